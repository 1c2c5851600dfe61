#include "machine/image.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/input_file.h"
#include "base/log.h"

namespace armvisor::machine {
namespace {

/// Enough of a file to tell an ELF file.
constexpr u64 k_head = 64;
constexpr u64 k_largest_elf = u64{1} << 30;

Image place(std::vector<u8> file, GuestPa pa, u32 entry, u64 memory_size = 0) {
  Image image;
  const u64 size = std::max<u64>(file.size(), memory_size);
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

/// Xen for ARM: the name of a property that it alone looks for (its docs/misc/arm/device-tree/booting.txt). Linux's
/// zImage has its strings compressed.
bool is_xen(const std::vector<u8>& f) {
  constexpr std::string_view k_property = "xen,xen-bootargs";
  constexpr std::size_t k_where = std::size_t{16} << 20;
  return memmem(f.data(), std::min(f.size(), k_where), k_property.data(), k_property.size()) != nullptr;
}

Status check_fits(const Image& image, const std::string& path, const ImageRoom& room) {
  for (const Segment& s : image.segments) {
    if (room.holds(s)) continue;
    return Error{
        ErrorKind::BadInput,
        fmt::format("kernel {}: expected RAM from {:#x} to {:#x}, the machine has RAM from {:#x} to {:#x}; "
                    "give it more with --memory, or load the image elsewhere",
                    path, s.pa.value, s.pa.value + s.size(), room.ram_base.value, room.ram_base.value + room.ram_size)};
  }
  return {};
}

Result<Image> recognise(const ImageArgument& argument, std::vector<u8> file, const ImageRoom& room) {
  const std::string& path = argument.path;
  if (argument.address) return place(std::move(file), GuestPa(*argument.address), static_cast<u32>(*argument.address));
  if (is_zimage(file)) return load_zimage(path, std::move(file), room);
  if (is_elf(file)) return load_elf(path, file, room);
  if (is_uimage(file)) return load_uimage(path, file, room);
  const std::string_view foreign = known_foreign(file);
  if (foreign.empty() && room.raw_offset) {
    const GuestPa pa = room.ram_base + *room.raw_offset;
    return place(std::move(file), pa, static_cast<u32>(pa.value));
  }
  return Error{ErrorKind::BadInput,
               fmt::format("kernel {}: expected a 32-bit ARM zImage, uImage or ELF file, found {}; {}", path,
                           foreign.empty() ? "none of these" : foreign,
                           foreign.empty() ? "a raw binary needs its load address: --kernel " + path + "@0xADDRESS"
                                           : "give the kernel itself, built for ARMv7")};
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

Result<Image> load_image(const ImageArgument& argument, const ImageRoom& room) {
  AV_TRY_ASSIGN(InputFile file, InputFile::open(argument.path, "kernel", room.stop));
  AV_TRY(file.read_to(k_head));
  // Of an ELF file with what a debugger needs, only a part goes to RAM.
  const bool elf = !argument.address && is_elf(file.bytes());
  AV_TRY(file.read_all(elf ? k_largest_elf : room.ram_size,
                       elf ? "strip it" : "that is all RAM that the machine has; give it more with --memory"));
  if (is_xen(file.bytes()))
    AV_LOG(Warn,
           "kernel %s is the Xen hypervisor: it needs a CPU with Virtualization Extensions that enters it in Hyp "
           "mode (EL2), which this machine does not have, and will stop without a word",
           argument.path.c_str());
  AV_TRY_ASSIGN(Image image, recognise(argument, file.take(), room));
  image.elf = elf;
  AV_TRY(check_fits(image, argument.path, room));
  return image;
}

// --- zImage (Linux Documentation/arm/booting.rst; the header is in arch/arm/boot/compressed/head.S)

namespace {
constexpr std::size_t k_zimage_magic_at = 0x24, k_zimage_start_at = 0x28, k_zimage_end_at = 0x2c;
constexpr u32 k_zimage_magic = 0x016f2818;
/// What only Linux has behind these, from 3.14 on: the byte order, and from 4.15 on another magic number.
constexpr std::size_t k_linux_order_at = 0x30, k_linux_magic_at = 0x34;
constexpr u32 k_linux_order = 0x04030201, k_linux_magic = 0x45454545;
}  // namespace

bool is_zimage(const std::vector<u8>& file) {
  return file.size() >= 0x30 &&
         (little32(file, k_zimage_magic_at) == k_zimage_magic || big32(file, k_zimage_magic_at) == k_zimage_magic);
}

Result<Image> load_zimage(const std::string& path, std::vector<u8> file, const ImageRoom& room) {
  const bool big = big32(file, k_zimage_magic_at) == k_zimage_magic;
  const auto word = [&](std::size_t at) {
    return at + 4 > file.size() ? 0 : big ? big32(file, at) : little32(file, at);
  };
  const u32 start = word(k_zimage_start_at), end = word(k_zimage_end_at), size = end - start;
  if (end < start)
    return Error{ErrorKind::BadInput, fmt::format("kernel {}: expected a zImage that ends behind its start, {:#x}, "
                                                  "found {:#x}; the file is damaged, copy it again",
                                                  path, start, end)};
  // A device tree may be appended, so the file may be longer than the header says. It is shorter where others than
  // Linux count their bss as part of the image.
  if (size > file.size()) {
    if (word(k_linux_order_at) == k_linux_order || word(k_linux_magic_at) == k_linux_magic)
      return Error{ErrorKind::BadInput, fmt::format("kernel {}: expected a zImage of {} bytes as its header says, "
                                                    "found {}; the file is truncated, copy it again",
                                                    path, size, file.size())};
    AV_LOG(Warn, "kernel %s has %zu of the %u bytes in its header: the others are taken to be zeros (bss)",
           path.c_str(), file.size(), size);
  }
  const GuestPa pa = room.ram_base + k_kernel_offset;
  return place(std::move(file), pa, static_cast<u32>(pa.value), size);
}

}  // namespace armvisor::machine
