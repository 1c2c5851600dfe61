#pragma once
// Kernel files: what kind of image a file is, and where its parts go. Nothing is written to guest memory here.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "base/types.h"

namespace armvisor::machine {

/// Bytes that go to one place in RAM; what follows them up to `memory_size` is zero.
struct Segment {
  GuestPa pa;
  std::vector<u8> bytes;
  u64 memory_size = 0;
  u64 size() const { return std::max<u64>(memory_size, bytes.size()); }  ///< in RAM
};

/// A kernel ready to be placed.
struct Image {
  std::vector<Segment> segments;
  u32 entry = 0;  ///< bit 0: Thumb
  GuestPa end;    ///< first byte after the last segment
  bool elf = false;
};

/// Where in RAM zImage goes, as QEMU does, and with QEMU a raw binary: clear of the first pages, and below where zImage
/// decompresses to, it moves itself.
inline constexpr u64 k_kernel_offset = 0x10000;

/// What a kernel argument says: FILE, or FILE@ADDRESS for a raw image.
struct ImageArgument {
  std::string path;
  std::optional<u64> address;
  static ImageArgument parse(const std::string& text);
};

/// Where images go.
struct ImageRoom {
  GuestPa ram_base;
  u64 ram_size = 0;
  std::optional<u64> raw_offset{};  ///< where in RAM a file of no known format goes; nothing: it is refused
  const StopEvent* stop = nullptr;  ///< ends the loading with an error
  bool holds(const Segment& s) const {
    return s.pa.value >= ram_base.value && s.size() <= ram_size && s.pa.value - ram_base.value <= ram_size - s.size();
  }
};

/// Recognises zImage (either byte order), ELF executables, legacy U-Boot images (plain or gzip) and, with an address,
/// raw binaries. A kernel for another CPU, a truncated image and one that RAM cannot hold are refused; of a file that
/// is too large for RAM no more than its start is read.
Result<Image> load_image(const ImageArgument& argument, const ImageRoom& room);

// The formats. `path` is for messages.
bool is_zimage(const std::vector<u8>& file);
Result<Image> load_zimage(const std::string& path, std::vector<u8> file, const ImageRoom& room);
bool is_elf(const std::vector<u8>& file);
Result<Image> load_elf(const std::string& path, const std::vector<u8>& file, const ImageRoom& room);
/// The architecture that an ELF file's build attributes name (ARM IHI 0045), if it is not one of which an ARMv7-A CPU
/// has all; else empty.
std::string_view newer_or_other_cpu(const std::vector<u8>& file);
bool is_uimage(const std::vector<u8>& file);
Result<Image> load_uimage(const std::string& path, const std::vector<u8>& file, const ImageRoom& room);

inline u32 little32(const std::vector<u8>& b, std::size_t at) {
  return u32(b[at]) | u32(b[at + 1]) << 8 | u32(b[at + 2]) << 16 | u32(b[at + 3]) << 24;
}
inline u32 big32(const std::vector<u8>& b, std::size_t at) {
  return u32(b[at]) << 24 | u32(b[at + 1]) << 16 | u32(b[at + 2]) << 8 | u32(b[at + 3]);
}
inline u32 little16(const std::vector<u8>& b, std::size_t at) { return u32(b[at]) | u32(b[at + 1]) << 8; }

}  // namespace armvisor::machine
