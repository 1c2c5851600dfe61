#include "exec/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace armvisor::exec {
namespace {

constexpr std::size_t k_block = std::size_t{1} << 16;
constexpr u64 k_most_behind = 1 << 20;  ///< bytes that follow the end of an archive
constexpr std::size_t k_longest_path = 4096;

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;
using Writer = std::unique_ptr<archive, decltype(&archive_write_free)>;
using Entry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;
using Links = std::unique_ptr<archive_entry_linkresolver, decltype(&archive_entry_linkresolver_free)>;

Error bad(std::string message) { return {ErrorKind::BadInput, std::move(message)}; }

std::string why(archive* a) {
  const char* const text = archive_error_string(a);
  return text ? text : std::strerror(archive_errno(a));
}

Error no_memory() { return {ErrorKind::HostResource, "cp: expected memory, found none; end other programs"}; }

// --- to the guest

/// Files of /proc and /sys say that they are empty.
bool has_bytes(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  u8 byte = 0;
  return file && ::read(file.get(), &byte, 1) == 1;
}

u64 size_now(const std::string& path) {
  struct stat now {};
  return ::lstat(path.c_str(), &now) == 0 ? static_cast<u64>(now.st_size) : 0;
}

/// The file's bytes, zeros where it has none; as many as its size said.
Status write_data(archive* from, archive* to, const std::string& path, u64 size) {
  static const std::array<u8, k_block> zeros{};
  u64 at = 0;
  const auto put = [&](const void* bytes, std::size_t n) {
    at += n;
    return archive_write_data(to, bytes, n) == static_cast<la_ssize_t>(n);
  };
  for (;;) {
    const void* bytes = nullptr;
    std::size_t n = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(from, &bytes, &n, &offset);
    if (result == ARCHIVE_EOF && at < size && size_now(path) < size)
      return bad("cp: expected " + path + " to stay as it is, it shrank; try again");
    const u64 until = result == ARCHIVE_EOF ? size : static_cast<u64>(offset);
    if (result != ARCHIVE_EOF && result != ARCHIVE_OK)
      return bad("cp: expected to read " + path + ", the host says: " + why(from) + "; check it");
    if (until > size || until + n > size) return bad("cp: expected " + path + " to stay as it is, it grew; try again");
    while (at < until)
      if (!put(zeros.data(), std::min<u64>(zeros.size(), until - at))) return bad("cp: " + why(to));
    if (result == ARCHIVE_EOF) return {};
    if (n > 0 && !put(bytes, n)) return bad("cp: " + why(to));
  }
}

Status write_entry(archive* from, archive* to, archive_entry* entry, const std::string& path) {
  const int written = archive_write_header(to, entry);
  if (written != ARCHIVE_OK)
    return bad("cp: expected a file that an archive can have, found " + path + ": " + why(to) + "; leave it out");
  const auto size = static_cast<u64>(std::max<la_int64_t>(archive_entry_size(entry), 0));
  if (size > 0) return write_data(from, to, path, size);
  if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) && has_bytes(path))
    return bad("cp: expected " + path + " to have the size that it says, found that it has bytes but says 0; use cat");
  return {};
}

Status write_entries(archive* from, archive* to, archive_entry_linkresolver* links, const std::string& path,
                     const std::string& name) {
  const Entry entry(archive_entry_new(), archive_entry_free);
  if (!entry) return no_memory();
  for (;;) {
    archive_entry_clear(entry.get());
    const int result = archive_read_next_header2(from, entry.get());
    if (result == ARCHIVE_EOF) return {};
    const char* const found = archive_entry_pathname(entry.get());
    const std::string at = found ? found : path;
    if (result != ARCHIVE_OK) return bad("cp: expected to read " + at + ", the host says: " + why(from) + "; check it");
    (void)archive_read_disk_descend(from);
    archive_entry_set_pathname(entry.get(), ("./" + name + at.substr(std::min(path.size(), at.size()))).c_str());
    archive_entry_set_uid(entry.get(), 0);
    archive_entry_set_gid(entry.get(), 0);
    archive_entry_sparse_clear(entry.get());
    archive_entry *one = entry.get(), *other = nullptr;
    archive_entry_linkify(links, &one, &other);
    if (one) AV_TRY(write_entry(from, to, one, at));
  }
}

}  // namespace

Status write_tar(const std::string& path, const std::string& name, bool follow, int fd) {
  const Reader from(archive_read_disk_new(), archive_read_free);
  const Writer to(archive_write_new(), archive_write_free);
  const Links links(archive_entry_linkresolver_new(), archive_entry_linkresolver_free);
  if (!from || !to || !links) return no_memory();
  archive_entry_linkresolver_set_strategy(links.get(), ARCHIVE_FORMAT_TAR_GNUTAR);
  if (follow)
    archive_read_disk_set_symlink_logical(from.get());
  else
    archive_read_disk_set_symlink_physical(from.get());
  archive_read_disk_set_behavior(from.get(),
                                 ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS);
  archive_write_set_format_gnutar(to.get());
  if (archive_read_disk_open(from.get(), path.c_str()) != ARCHIVE_OK)
    return bad("cp: expected to read " + path + ", the host says: " + why(from.get()) + "; check it");
  if (archive_write_open_fd(to.get(), fd) != ARCHIVE_OK) return bad("cp: " + why(to.get()));
  if (const Status written = write_entries(from.get(), to.get(), links.get(), path, name); !written) {
    archive_write_fail(to.get());  // without the zeros that say that it is whole
    return written;
  }
  return archive_write_close(to.get()) == ARCHIVE_OK ? Status() : Status(bad("cp: " + why(to.get())));
}

// --- from the guest

namespace {

/// The name that stands for `path` beside `from`, which the guest was asked for; nothing: it was not asked for that.
std::optional<std::string> renamed(const char* path, const std::string& from, const std::string& to) {
  std::string_view rest = path ? path : "";
  if (rest.size() > k_longest_path) return std::nullopt;
  while (rest.starts_with("./")) rest.remove_prefix(rest.starts_with(".//") ? 3 : 2);
  if (from == ".") {
    if (rest.empty() || rest == ".") return to;
    return rest.starts_with('/') ? std::nullopt : std::optional(to + "/" + std::string(rest));
  }
  if (!rest.starts_with(from)) return std::nullopt;
  rest.remove_prefix(from.size());
  if (!rest.empty() && !rest.starts_with('/')) return std::nullopt;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  return to + std::string(rest);
}

bool is_folder(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

class Unpacker {
 public:
  Unpacker(archive* from, archive* to, const std::string& first, const std::string& name, const TarBounds& bounds)
      : from_(from), to_(to), first_(first), name_(name), bounds_(bounds) {}

  Status run() {
    archive_entry* entry = nullptr;
    for (;;) {
      const int result = archive_read_next_header(from_, &entry);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return bad("cp: expected an archive from the guest, found a broken one: " + why(from_) + "; try again");
      if (++names_ > bounds_.bytes / TarBounds::k_bytes_of_a_name + 1) return too_much();
      AV_TRY(take(entry));
    }
    if (names_ == 0) return bad("cp: expected files from the guest, found none; check its path");
    // What folders have that were made is set now.
    return archive_write_close(to_) == ARCHIVE_OK ? Status() : Status(failed("the folders"));
  }

 private:
  Error too_much() const {
    return bad(fmt::format("cp: expected at most {} bytes and a name for each {} of them, found more; give --most",
                           bounds_.bytes, TarBounds::k_bytes_of_a_name));
  }
  Error failed(const std::string& path) const {
    return bad("cp: expected to write " + path + ", the host says: " + why(to_) + "; check it");
  }

  Status take(archive_entry* entry) {
    const char* const said = archive_entry_pathname(entry);
    const auto path = renamed(said, first_, name_);
    if (!path)
      return bad("cp: expected '" + first_ + "' from the guest, found another name; its tar is not to be trusted");
    archive_entry_set_pathname(entry, path->c_str());
    if (const char* const link = archive_entry_hardlink(entry)) {
      const auto other = renamed(link, first_, name_);
      if (!other) return bad("cp: " + *path + ": expected a hard link to what is copied, found another; leave it out");
      archive_entry_set_hardlink(entry, other->c_str());
    } else {
      const auto type = archive_entry_filetype(entry);
      if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != AE_IFIFO)
        return bad("cp: " + *path + ": expected a file, a folder, a link or a FIFO, found a device; leave it out");
    }
    archive_entry_set_perm(entry, archive_entry_perm(entry) & 01777);
    const auto size = static_cast<u64>(std::max<la_int64_t>(archive_entry_size(entry), 0));
    if (size > bounds_.bytes - bytes_) return too_much();
    bytes_ += size;
    if (archive_entry_filetype(entry) == AE_IFDIR && is_folder(*path)) return {};  // it stays as it is
    if (archive_write_header(to_, entry) != ARCHIVE_OK) return failed(*path);
    if (size > 0) AV_TRY(take_data(*path, size));
    return archive_write_finish_entry(to_) == ARCHIVE_OK ? Status() : Status(failed(*path));
  }

  Status take_data(const std::string& path, u64 size) {
    for (;;) {
      const void* bytes = nullptr;
      std::size_t n = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(from_, &bytes, &n, &offset);
      if (result == ARCHIVE_EOF) return {};
      if (result != ARCHIVE_OK)
        return bad("cp: " + path + ": expected all of it from the guest, found a broken archive: " + why(from_));
      if (static_cast<u64>(offset) > size || n > size - static_cast<u64>(offset)) return too_much();
      if (archive_write_data_block(to_, bytes, n, offset) != ARCHIVE_OK) return failed(path);
    }
  }

  archive *const from_, *const to_;
  const std::string &first_, &name_;
  const TarBounds& bounds_;
  u64 bytes_ = 0, names_ = 0;
};

/// Behind an archive there may be more, which its writer is not to be kept waiting for: a block is filled up.
Status read_rest(int fd) {
  std::array<u8, k_block> bytes;
  u64 left = k_most_behind;
  for (ssize_t n; (n = ::read(fd, bytes.data(), bytes.size())) > 0; left -= static_cast<u64>(n))
    if (static_cast<u64>(n) > left)
      return bad("cp: expected the end of the guest's archive, found ever more; try again");
  return {};
}

}  // namespace

Status read_tar(int fd, const std::string& folder, const std::string& from, const std::string& to,
                const TarBounds& bounds) {
  if (::chdir(folder.c_str()) != 0)
    return bad("cp: expected a folder " + folder + ", the host says: " + std::strerror(errno) + "; check it");
  const Reader in(archive_read_new(), archive_read_free);
  const Writer out(archive_write_disk_new(), archive_write_free);
  if (!in || !out) return no_memory();
  archive_read_support_format_tar(in.get());
  archive_write_disk_set_options(out.get(), ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_NO_AUTODIR | ARCHIVE_EXTRACT_TIME |
                                                ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
  if (archive_read_open_fd(in.get(), fd, k_block) != ARCHIVE_OK)
    return bad("cp: expected an archive from the guest, found none: " + why(in.get()));
  AV_TRY(Unpacker(in.get(), out.get(), from, to, bounds).run());
  return read_rest(fd);
}

}  // namespace armvisor::exec
