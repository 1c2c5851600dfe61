#include "exec/kernel.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"
#include "base/input_file.h"
#include "base/write_all.h"
#include "exec/fetch_kernel.h"
#include "exec/kernel_image.h"

namespace armvisor::exec {
namespace {

constexpr std::string_view k_name = "vmlinuz-";
constexpr u64 k_largest_kernel = u64{256} << 20;

Result<Fd> in_memory(std::span<const u8> bytes) {
  Fd fd(memfd_create("armvisor-kernel", MFD_CLOEXEC));
  if (!fd || !write_all(fd.get(), bytes))
    return host_error("kernel: expected memory for it", errno, "end other programs");
  return fd;
}

Error bad(std::string message) { return {ErrorKind::BadInput, std::move(message)}; }

/// nothing: it has no such modules.
Result<std::optional<ModuleFolder>> modules_of(const Folder& system, const std::string& version) {
  const std::string path = "lib/modules/" + version;
  if (!system.has(path + "/modules.dep")) return std::optional<ModuleFolder>();
  AV_TRY_ASSIGN(Folder folder, system.enter(path));
  AV_TRY_ASSIGN(ModuleFolder modules, ModuleFolder::open(std::move(folder)));
  return std::optional<ModuleFolder>(std::move(modules));
}

/// Of a kernel in FOLDER/boot, as a package has it: FOLDER/lib/modules/VERSION; else the system's.
Result<std::optional<ModuleFolder>> modules_near(const std::string& kernel, const Folder* system) {
  const std::size_t slash = kernel.rfind('/');
  const std::string name = slash == kernel.npos ? kernel : kernel.substr(slash + 1);
  if (!name.starts_with(k_name)) return std::optional<ModuleFolder>();
  const std::string version = name.substr(k_name.size());
  const std::string above = slash == kernel.npos ? ".." : kernel.substr(0, slash) + "/..";
  AV_TRY_ASSIGN(const Folder package, Folder::open(above, "--kernel"));
  AV_TRY_ASSIGN(auto beside, modules_of(package, version));
  if (beside || !system) return beside;
  return modules_of(*system, version);
}

Result<Kernel> given_kernel(const KernelOptions& options, const Folder* system) {
  Kernel kernel;
  // A FIFO is not waited for here, but where it is read (vmm::Vm), which signals and the time limit end.
  kernel.file = Fd(::open(options.kernel.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!kernel.file) return file_error("--kernel: expected to read " + options.kernel, errno, "check the path");
  if (options.modules.empty()) {
    AV_TRY_ASSIGN(kernel.modules, modules_near(options.kernel, system));
  }
  return kernel;
}

/// Nothing: it has none.
Result<std::optional<Kernel>> own_kernel(const Folder& system) {
  std::vector<std::string> versions;
  for (const std::string& name : system.list("boot"))
    if (name.starts_with(k_name)) versions.push_back(name.substr(k_name.size()));
  std::ranges::sort(versions, [](const auto& a, const auto& b) { return strverscmp(a.c_str(), b.c_str()) > 0; });
  for (const std::string& version : versions) {
    AV_TRY_ASSIGN(auto modules, modules_of(system, version));
    if (!modules) continue;
    Kernel kernel{.modules = std::move(modules)};
    AV_TRY_ASSIGN(kernel.file, system.open_file("boot/" + std::string(k_name) + version));
    return std::optional<Kernel>(std::move(kernel));
  }
  return std::optional<Kernel>();
}

Result<Kernel> kernel_without_a_word(const Folder* system, const std::string& path) {
  if (system) {
    AV_TRY_ASSIGN(auto own, own_kernel(*system));
    if (own) return *std::move(own);
  }
  if (const auto folder = fetched_kernel()) {
    AV_TRY_ASSIGN(auto fetched, own_kernel(*folder));
    if (fetched) {
      fetched->fetched = true;
      return *std::move(fetched);
    }
  }
  return bad("system " + path + ": expected a kernel boot/vmlinuz-VERSION with lib/modules/VERSION, found " +
             (system ? "none" : "a file system that only a kernel can read") + "; get one for all systems by '" +
             k_fetch_command + "', install one in it (linux-image-armmp), or name one with --kernel");
}

}  // namespace

std::string Kernel::argument(u64 ram) const {
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  return text_offset ? fmt::format("{}@{:#x}", path, ram + *text_offset) : path;
}

Status use_image(Kernel& kernel) {
  struct stat s {};
  if (fstat(kernel.file.get(), &s) != 0 || !S_ISREG(s.st_mode)) return {};  // a pipe is read once
  AV_TRY_ASSIGN(const std::vector<u8> zimage, read_file(kernel.argument(0), "kernel", k_largest_kernel));
  const auto packed = packed_kernel(zimage);
  if (!packed) return {};
  const KernelCache cache(zimage);
  std::optional<Fd> image = cache.find(packed->size);
  if (!image) {
    const auto unpacked = unpack_kernel(zimage, *packed);
    if (!unpacked) return {};
    cache.keep(*unpacked);
    AV_TRY_ASSIGN(image, in_memory(*unpacked));
  }
  kernel.file = *std::move(image);
  kernel.text_offset = packed->text_offset;
  return {};
}

Result<Kernel> find_kernel(const KernelOptions& options, const Folder* system, const std::string& path) {
  AV_TRY_ASSIGN(Kernel kernel,
                options.kernel.empty() ? kernel_without_a_word(system, path) : given_kernel(options, system));
  if (options.modules.empty()) return kernel;
  AV_TRY_ASSIGN(Folder folder, Folder::open(options.modules, "--modules"));
  AV_TRY_ASSIGN(kernel.modules, ModuleFolder::open(std::move(folder)));
  return kernel;
}

}  // namespace armvisor::exec
