#include "exec/preparation.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"
#include "base/input_file.h"
#include "base/write_all.h"

namespace armvisor::exec {
namespace {

/// Of the modules and the kernel, packed and unpacked, and of names: some 200 bytes for each 8 KiB of what is unpacked.
constexpr u64 k_memory = u64{1} << 30, k_bytes_for_memory = 16;
constexpr u64 k_least_file = u64{512} << 20, k_most_initramfs = u64{512} << 20;

Confines confines(const SystemOptions& system) {
  const u64 unpacked = std::min(system.unpacked, ExtImage::k_most);
  return {.memory = k_memory + unpacked / k_bytes_for_memory, .file_size = std::max(k_least_file, 2 * unpacked)};
}

enum Word : std::size_t {
  Path,
  Disk,  ///< of the next four: "": it is none
  DiskPath,
  Format,
  ReadOnly,
  Snapshot,
  IsImage,
  Config,
  TextOffset,  ///< "": none
  FetchedFrom,
  Words
};
enum File : std::size_t { KernelFile, Initramfs, Kept };  // the last, if there is one

const char* flag(bool value) { return value ? "1" : ""; }

Result<Fd> in_memory(std::span<const u8> bytes) {
  Fd file(memfd_create("armvisor-initramfs", MFD_CLOEXEC));
  if (!file || !write_all(file.get(), bytes))
    return host_error("exec: expected memory for the initramfs", errno, "end other programs");
  return file;
}

Findings tell(System system, Kernel kernel, Fd initramfs) {
  Findings f;
  f.words.resize(Words);
  f.words[Path] = system.path;
  f.words[Disk] = flag(system.disk.has_value());
  if (system.disk) {
    f.words[DiskPath] = system.disk->path;
    f.words[Format] = system.disk->format;
    f.words[ReadOnly] = flag(system.disk->read_only);
    f.words[Snapshot] = flag(system.disk->snapshot);
  }
  f.words[IsImage] = flag(system.is_image);
  if (system.is_image) f.words[Config] = system.config.text();
  if (kernel.text_offset) f.words[TextOffset] = std::to_string(*kernel.text_offset);
  if (kernel.fetched) f.words[FetchedFrom] = kernel.modules->path();
  f.files.push_back(std::move(kernel.file));
  f.files.push_back(std::move(initramfs));
  if (system.kept) f.files.push_back(std::move(system.kept));
  return f;
}

Result<Findings> look(const SystemOptions& options, const KernelOptions& kernel_options, GuestSetup setup,
                      const std::function<Status(const System&)>& check) {
  Patience patience;  // who waits for this has another, and does not ask
  AV_TRY_ASSIGN(System system, open_system(options, patience));
  AV_TRY(check(system));
  AV_TRY_ASSIGN(Kernel kernel, find_kernel(kernel_options, system.files ? &*system.files : nullptr, system.path));
  AV_TRY(use_image(kernel));
  setup.disks = system.file_systems;
  AV_TRY_ASSIGN(const std::vector<u8> bytes, make_initramfs(setup, kernel));
  AV_TRY_ASSIGN(Fd initramfs, in_memory(bytes));
  return tell(std::move(system), std::move(kernel), std::move(initramfs));
}

Result<Preparation> understand(Findings f, const std::string& what) {
  const Error nonsense = {ErrorKind::Internal, what + ": what was found out about it makes no sense; report it"};
  if (f.words.size() != Words || f.files.size() <= Initramfs) return nonsense;
  Preparation p;
  p.system.path = f.words[Path];
  p.system.is_image = !f.words[IsImage].empty();
  if (p.system.is_image) {
    AV_TRY_ASSIGN(p.system.config, parse_image_config(f.words[Config], what));
  }
  if (f.files.size() > Kept) p.system.kept = std::move(f.files[Kept]);
  if (!f.words[Disk].empty()) {
    p.system.disk.emplace();
    p.system.disk->path =
        p.system.kept ? "/proc/self/fd/" + std::to_string(p.system.kept.get()) : std::move(f.words[DiskPath]);
    p.system.disk->format = f.words[Format];
    p.system.disk->read_only = !f.words[ReadOnly].empty();
    p.system.disk->snapshot = !f.words[Snapshot].empty();
  }
  p.kernel.file = std::move(f.files[KernelFile]);
  if (!f.words[TextOffset].empty()) p.kernel.text_offset = std::strtoull(f.words[TextOffset].c_str(), nullptr, 10);
  p.fetched_from = std::move(f.words[FetchedFrom]);
  AV_TRY_ASSIGN(p.initramfs,
                read_file("/proc/self/fd/" + std::to_string(f.files[Initramfs].get()), "initramfs", k_most_initramfs));
  return p;
}

}  // namespace

Result<Preparation> prepare(const SystemOptions& system, const KernelOptions& kernel, const GuestSetup& setup,
                            Patience& patience, const std::function<Status(const System&)>& check) {
  AV_TRY_ASSIGN(Findings findings, work_confined("system " + system.name, confines(system), patience,
                                                 [&] { return look(system, kernel, setup, check); }));
  return understand(std::move(findings), system.name);
}

}  // namespace armvisor::exec
