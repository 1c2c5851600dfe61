#include "exec/disk_layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

namespace armvisor::exec {
namespace {

constexpr u64 k_sector = 512;
constexpr u8 k_protective = 0xee;
/// 69DAD710-2CE4-4E3C-B16C-21A1D49ABED3, as it lies in an entry.
constexpr std::array<u8, 16> k_arm_root = {0x10, 0xd7, 0xda, 0x69, 0xe4, 0x2c, 0x3c, 0x4e,
                                           0xb1, 0x6c, 0x21, 0xa1, 0xd4, 0x9a, 0xbe, 0xd3};

struct Magic {
  u64 offset;
  std::string_view bytes;
  const char* type;
};
constexpr Magic k_magics[] = {
    {1024 + 56, std::string_view("\x53\xef", 2), "ext4"},  // ext2 and ext3, too
    {0, "XFSB", "xfs"},
    {65536 + 64, "_BHRfS_M", "btrfs"},
    {0, "hsqs", "squashfs"},
    {1024, std::string_view("\xe2\xe1\xf5\xe0", 4), "erofs"},
    {1024, std::string_view("\x10\x20\xf5\xf2", 4), "f2fs"},
};

class Disk {
 public:
  Disk(const ReadDisk& read, u64 size) : read_(read), size_(size) {}

  std::vector<FileSystemPlace> find() {
    if (const char* const type = file_system(0)) return {{.partition = 0, .offset = 0, .type = type}};
    if (!read_gpt()) read_mbr();
    std::ranges::stable_sort(places_, [](const auto& a, const auto& b) { return a.for_root && !b.for_root; });
    return std::move(places_);
  }
  bool is_disk() {
    std::array<u8, k_sector> sector;
    if (get(0, sector) && std::memcmp(&sector[257], "ustar", 5) == 0) return false;
    return file_system(0) || has_gpt() || has_mbr(sector);
  }

 private:
  bool get(u64 offset, std::span<u8> bytes) const {
    return offset <= size_ && bytes.size() <= size_ - offset && read_(offset, bytes);
  }
  template <class T>
  static T number(std::span<const u8> bytes, std::size_t at) {
    T value;
    std::memcpy(&value, &bytes[at], sizeof value);
    return value;
  }

  const char* file_system(u64 offset) const {
    std::array<u8, 8> bytes;
    for (const Magic& m : k_magics) {
      const auto part = std::span(bytes).first(m.bytes.size());
      if (get(offset + m.offset, part) && std::memcmp(part.data(), m.bytes.data(), part.size()) == 0) return m.type;
    }
    return nullptr;
  }

  /// Where the disk has so many sectors.
  void add(u32 partition, u64 first, bool for_root) {
    if (partition > k_most_partitions || first > size_ / k_sector) return;
    if (const char* const type = file_system(first * k_sector))
      places_.push_back({.partition = partition, .offset = first * k_sector, .type = type, .for_root = for_root});
  }

  bool has_gpt() const {
    std::array<u8, 8> mark;
    return get(k_sector, mark) && std::memcmp(mark.data(), "EFI PART", mark.size()) == 0;
  }
  bool read_gpt() {
    std::array<u8, 92> header;
    if (!has_gpt() || !get(k_sector, header)) return false;
    const u64 table = number<u64>(header, 72);
    const u32 count = std::min(number<u32>(header, 80), k_most_partitions), entry_size = number<u32>(header, 84);
    if (entry_size < 128 || entry_size > 4096 || table > size_ / k_sector) return false;
    for (u32 n = 0; n < count; ++n) {
      std::array<u8, 48> entry;
      if (!get(table * k_sector + u64{n} * entry_size, entry)) break;
      const bool used = std::ranges::any_of(std::span(entry).first(16), [](u8 byte) { return byte != 0; });
      if (used) add(n + 1, number<u64>(entry, 32), std::equal(k_arm_root.begin(), k_arm_root.end(), entry.begin()));
    }
    return true;
  }

  struct MbrEntry {
    u8 type;
    u32 first;
  };
  static bool is_extended(u8 type) { return type == 0x05 || type == 0x0f || type == 0x85; }
  static MbrEntry mbr_entry(std::span<const u8> sector, std::size_t n) {
    return {sector[446 + 16 * n + 4], number<u32>(sector, 446 + 16 * n + 8)};
  }
  static bool has_mbr(std::span<const u8> sector) {
    if (sector[510] != 0x55 || sector[511] != 0xaa) return false;
    bool any = false;
    for (std::size_t n = 0; n < 4; ++n) {
      const u8 active = sector[446 + 16 * n];
      if (active != 0 && active != 0x80) return false;
      any = any || mbr_entry(sector, n).type != 0;
    }
    return any;
  }
  void read_mbr() {
    std::array<u8, k_sector> sector;
    if (!get(0, sector) || !has_mbr(sector)) return;
    std::optional<u32> extended;
    for (u32 n = 0; n < 4; ++n) {
      const MbrEntry e = mbr_entry(sector, n);
      if (is_extended(e.type))
        extended = e.first;
      else if (e.type != 0 && e.type != k_protective)
        add(n + 1, e.first, false);
    }
    if (extended) read_logical(*extended);
  }
  /// Each has a sector that says where it is, and where the next such sector is, both from where theirs begin.
  void read_logical(u64 base) {
    u64 at = base;
    for (u32 n = 5; n <= k_most_partitions; ++n) {
      std::array<u8, k_sector> sector;
      if (at > size_ / k_sector || !get(at * k_sector, sector) || sector[510] != 0x55 || sector[511] != 0xaa) return;
      if (const MbrEntry e = mbr_entry(sector, 0); e.type != 0) add(n, at + e.first, false);
      const MbrEntry next = mbr_entry(sector, 1);
      if (!is_extended(next.type)) return;
      at = base + next.first;
    }
  }

  const ReadDisk& read_;
  const u64 size_;
  std::vector<FileSystemPlace> places_;
};

}  // namespace

std::vector<FileSystemPlace> find_file_systems(const ReadDisk& read, u64 size) { return Disk(read, size).find(); }
bool looks_like_disk(const ReadDisk& read, u64 size) { return Disk(read, size).is_disk(); }

}  // namespace armvisor::exec
