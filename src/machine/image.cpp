#include "machine/image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/fd.h"

namespace armvisor::machine {
namespace {

std::string hex(u64 v) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(v));
  return text;
}

Image place(std::vector<u8> file, GuestPa pa, u32 entry) {
  Image image;
  const u64 size = file.size();
  image.segments.push_back({pa, std::move(file), size});
  image.entry = entry;
  image.end = pa + size;
  return image;
}

/// Names a file of a kind that we know and cannot run.
std::string_view known_foreign(const std::vector<u8>& f) {
  const auto has = [&](std::size_t at, std::string_view magic) {
    return f.size() >= at + magic.size() && std::memcmp(f.data() + at, magic.data(), magic.size()) == 0;
  };
  if (has(0x202, "HdrS")) return "a kernel for x86 (bzImage)";
  if (has(56, "ARM\x64")) return "a kernel for 64-bit ARM (Image)";
  if (has(48, "RISCV") || has(56, "RSC\x05")) return "a kernel for RISC-V";
  if (has(0, "\x1f\x8b")) return "a gzip file";
  if (has(0,
          "\xfd"
          "7zXZ"))
    return "an xz file";
  if (has(0, "\xd0\x0d\xfe\xed")) return "a device tree or FIT image";
  if (has(0, "!<arch>")) return "an archive (.deb or .a)";
  if (has(0, "MZ")) return "a PE executable";
  return {};
}

Status check_fits(const Image& image, const std::string& path, GuestPa ram_base, u64 ram_size) {
  for (const Segment& s : image.segments) {
    const u64 size = std::max<u64>(s.memory_size, s.bytes.size());
    if (s.pa.value >= ram_base.value && size <= ram_size && s.pa.value - ram_base.value <= ram_size - size) continue;
    return Error{ErrorKind::BadInput, "kernel " + path + ": expected RAM from " + hex(s.pa.value) + " to " +
                                          hex(s.pa.value + size) + ", the machine has RAM from " + hex(ram_base.value) +
                                          " to " + hex(ram_base.value + ram_size) +
                                          "; give it more with --memory, or load the image elsewhere"};
  }
  return {};
}

Result<Image> recognise(const ImageArgument& argument, std::vector<u8> file, GuestPa ram_base, u64 ram_size) {
  const std::string& path = argument.path;
  if (argument.address) return place(std::move(file), GuestPa(*argument.address), static_cast<u32>(*argument.address));
  if (is_zimage(file)) return load_zimage(path, std::move(file), ram_base);
  if (is_elf(file)) return load_elf(path, file, ram_base, ram_size);
  if (is_uimage(file)) return load_uimage(path, file, ram_base);
  const std::string_view foreign = known_foreign(file);
  return Error{ErrorKind::BadInput,
               "kernel " + path + ": expected a 32-bit ARM zImage, uImage or ELF file, found " +
                   (foreign.empty() ? "none of these" : std::string(foreign)) +
                   (foreign.empty() ? "; a raw binary needs its load address: --kernel " + path + "@0xADDRESS"
                                    : std::string("; give the kernel itself, built for ARMv7"))};
}

}  // namespace

ImageArgument ImageArgument::parse(const std::string& text) {
  const std::size_t at = text.rfind("@0x");
  if (at == std::string::npos || at + 3 == text.size()) return {text, std::nullopt};
  u64 address = 0;
  for (const char c : std::string_view(text).substr(at + 3)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0 || address > 0xffffffff) return {text, std::nullopt};
    address = address << 4 | static_cast<u64>(digit);
  }
  return {text.substr(0, at), address};
}

Result<std::vector<u8>> read_file(const std::string& path, const std::string& role) {
  const auto problem = [&](const std::string& what) {
    return Error{ErrorKind::BadInput,
                 role + " " + path + ": expected a readable file, " + what + "; check the path and its permissions"};
  };
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0) return problem(std::string("the host says: ") + std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return problem("found a directory");
  std::vector<u8> data(static_cast<std::size_t>(info.st_size));
  std::size_t done = 0;
  while (true) {
    if (done == data.size()) data.resize(done + 4096);  // a pipe, or a file that grew
    const ssize_t n = ::read(fd.get(), data.data() + done, data.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return problem(std::string("the host says: ") + std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  data.resize(done);
  if (data.empty()) return problem("found an empty one");
  return data;
}

Result<Image> load_image(const ImageArgument& argument, GuestPa ram_base, u64 ram_size) {
  AV_TRY_ASSIGN(std::vector<u8> file, read_file(argument.path, "kernel"));
  AV_TRY_ASSIGN(Image image, recognise(argument, std::move(file), ram_base, ram_size));
  AV_TRY(check_fits(image, argument.path, ram_base, ram_size));
  return image;
}

// --- zImage (Linux Documentation/arm/booting.rst; the header is in arch/arm/boot/compressed/head.S)

namespace {
constexpr std::size_t k_zimage_magic_at = 0x24, k_zimage_start_at = 0x28, k_zimage_end_at = 0x2c;
constexpr u32 k_zimage_magic = 0x016f2818;
/// Where zImage goes in RAM, as QEMU does: clear of the first pages, and below where it decompresses to, it moves
/// itself.
constexpr u64 k_zimage_offset = 0x10000;
}  // namespace

bool is_zimage(const std::vector<u8>& file) {
  return file.size() >= 0x30 &&
         (little32(file, k_zimage_magic_at) == k_zimage_magic || big32(file, k_zimage_magic_at) == k_zimage_magic);
}

Result<Image> load_zimage(const std::string& path, std::vector<u8> file, GuestPa ram_base) {
  const bool big = big32(file, k_zimage_magic_at) == k_zimage_magic;
  const auto word = [&](std::size_t at) { return big ? big32(file, at) : little32(file, at); };
  const u32 size = word(k_zimage_end_at) - word(k_zimage_start_at);
  // A device tree may be appended, so the file may be longer than the header says, never shorter.
  if (size > file.size())
    return Error{ErrorKind::BadInput, "kernel " + path + ": expected a zImage of " + std::to_string(size) +
                                          " bytes as its header says, found " + std::to_string(file.size()) +
                                          "; the file is truncated, copy it again"};
  const GuestPa pa = ram_base + k_zimage_offset;
  return place(std::move(file), pa, static_cast<u32>(pa.value));
}

}  // namespace armvisor::machine
