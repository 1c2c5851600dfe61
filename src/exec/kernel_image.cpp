#include "exec/kernel_image.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <regex>

#include "base/user_directory.h"
#include "base/write_all.h"
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

/// A folder in another, made if there is none. Nothing: it is a link, or somebody else's, or others can write to it,
/// who could put a kernel there.
Fd own_folder(const Fd& above, const char* name) {
  mkdirat(above.get(), name, 0700);
  Fd folder(openat(above.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat s {};
  if (!folder || fstat(folder.get(), &s) != 0 || s.st_uid != geteuid() || (s.st_mode & 022) != 0) return {};
  return folder;
}

std::string image_name(const struct stat& s) {
  return fmt::format("{:x}-{:x}-{:x}-{:x}.{:09}-{:x}.{:09}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

/// Whether a name is one of image_name(), or that with what an unfinished one has behind it.
bool is_image_name(const std::string& name) {
  static const std::regex form(
      "[0-9a-f]+-[0-9a-f]+-[0-9a-f]+--?[0-9a-f]+[.][0-9]{9}--?[0-9a-f]+[.][0-9]{9}([.][0-9A-Za-z]+)?");
  return name.size() < 256 && std::regex_match(name, form);
}

/// Those that were made first, beyond so many, and what a process left that was killed.
void remove_old(const std::string& folder, std::size_t most) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (is_image_name(at->path().filename()) && at->symlink_status(error).type() == fs::file_type::regular)
      files.emplace_back(at->last_write_time(error), at->path());
  std::ranges::sort(files, std::greater());
  for (std::size_t n = most; n < files.size(); ++n) fs::remove(files[n].second, error);
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

KernelCache KernelCache::for_file(int kernel) {
  KernelCache cache;
  struct stat s {};
  const std::string caches = user_cache_directory();
  if (caches.empty() || fstat(kernel, &s) != 0 || !S_ISREG(s.st_mode)) return cache;
  std::error_code error;
  std::filesystem::create_directories(caches, error);
  const Fd above(::open(caches.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  cache.folder_ = own_folder(own_folder(above, "armvisor"), "kernels");
  cache.name_ = image_name(s);
  return cache;
}

std::optional<Fd> KernelCache::find(u64 size) const {
  if (!folder_) return std::nullopt;
  Fd fd(openat(folder_.get(), name_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat s {};
  if (!fd || fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode) || static_cast<u64>(s.st_size) != size)
    return std::nullopt;
  return fd;
}

/// It has its name when all of it is on the disk.
void KernelCache::keep(std::span<const u8> image) const {
  if (!folder_) return;
  const std::string path = "/proc/self/fd/" + std::to_string(folder_.get());
  remove_old(path, k_most - 1);
  std::string unfinished = path + "/" + name_ + ".XXXXXX";
  const Fd fd(mkostemp(unfinished.data(), O_CLOEXEC));
  if (!fd) return;
  const bool whole = write_all(fd.get(), image) && fdatasync(fd.get()) == 0 &&
                     renameat(AT_FDCWD, unfinished.c_str(), folder_.get(), name_.c_str()) == 0;
  if (!whole) unlink(unfinished.c_str());
}

}  // namespace armvisor::exec
