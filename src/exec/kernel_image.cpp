#include "exec/kernel_image.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

#include "base/write_all.h"
#include "exec/byte_source.h"
#include "exec/unpack.h"

namespace armvisor::exec {
namespace {

constexpr std::size_t k_magic_at = 0x24, k_second_magic_at = 0x34, k_table_at = 0x38;
constexpr u32 k_magic = 0x016f2818, k_second_magic = 0x45454545, k_table_magic = 0x5a534c4b;
// The table: its size in words, its magic number, where the packed size is, bytes of bss, TEXT_OFFSET, ...
constexpr std::size_t k_size_at_word = 2, k_text_offset_word = 4, k_table_words = 5;
constexpr u64 k_most_image = u64{256} << 20, k_most_offset = u64{64} << 20;
constexpr std::array<std::string_view, 3> k_beginnings = {std::string_view("\xfd"
                                                                           "7zXZ\0",
                                                                           6),
                                                          std::string_view("\x1f\x8b\x08", 3),
                                                          std::string_view("\x28\xb5\x2f\xfd", 4)};
constexpr int k_tries = 8;  ///< places that look like the beginning, of which one is

std::optional<u32> word(std::span<const u8> bytes, u64 at) {
  u32 value;
  if (at > bytes.size() || bytes.size() - at < sizeof value) return std::nullopt;
  std::memcpy(&value, &bytes[at], sizeof value);
  return value;
}

}  // namespace

std::optional<PackedKernel> packed_kernel(std::span<const u8> zimage) {
  if (word(zimage, k_magic_at) != k_magic || word(zimage, k_second_magic_at) != k_second_magic) return std::nullopt;
  const auto table = word(zimage, k_table_at);
  if (!table || word(zimage, *table + u64{4}) != k_table_magic || word(zimage, *table) < k_table_words)
    return std::nullopt;
  const auto size_at = word(zimage, *table + 4 * k_size_at_word);
  const auto offset = word(zimage, *table + 4 * k_text_offset_word);
  const auto size = size_at ? word(zimage, *size_at) : std::nullopt;
  if (!size || !offset || *size == 0 || *size > k_most_image || *offset > k_most_offset || *offset % 4 != 0)
    return std::nullopt;
  return PackedKernel{*size, *offset};
}

/// Where it begins is not said: the code that unpacks it has the same numbers in it.
std::optional<std::vector<u8>> unpack_kernel(std::span<const u8> zimage, const PackedKernel& packed) {
  const std::string_view text(reinterpret_cast<const char*>(zimage.data()), zimage.size());
  for (const std::string_view beginning : k_beginnings) {
    std::size_t at = text.find(beginning);
    for (int tries = 0; at != text.npos && tries < k_tries; at = text.find(beginning, at + 1), ++tries) {
      auto image = unpack("kernel", {zimage.begin() + static_cast<std::ptrdiff_t>(at), zimage.end()}, packed.size);
      if (image && image->size() == packed.size) return *std::move(image);
    }
  }
  return std::nullopt;
}

KernelCache::KernelCache(std::span<const u8> zimage)
    : folder_(CacheFolder::open("kernels", "", {.files = k_most})),
      name_(fmt::format("{}-{:x}", digest_of(zimage), zimage.size())) {}

std::optional<Fd> KernelCache::find(u64 size) const {
  std::optional<Fd> fd = folder_.find(name_);
  struct stat s {};
  if (!fd || fstat(fd->get(), &s) != 0 || static_cast<u64>(s.st_size) != size) return std::nullopt;
  return fd;
}

void KernelCache::keep(std::span<const u8> image) const {
  CacheFolder::Unfinished file = folder_.begin(name_);
  if (file && write_all(file.file(), image)) folder_.keep(file, name_);
}

}  // namespace armvisor::exec
