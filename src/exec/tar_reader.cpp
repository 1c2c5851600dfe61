#include "exec/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <locale.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace armvisor::exec {
namespace {

constexpr std::size_t k_most_xattrs = 64, k_longest_xattr = 4096;

/// Names are bytes: without it libarchive would turn them into the user's character set, and lose those it lacks.
class Utf8 {
 public:
  Utf8() : made_(newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{})), was_(made_ ? uselocale(made_) : locale_t{}) {}
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;
  ~Utf8() {
    if (!made_) return;
    uselocale(was_);
    freelocale(made_);
  }

 private:
  locale_t made_, was_;
};

std::string text(const char* bytes, const char* utf8) {
  if (bytes) return bytes;
  return utf8 ? utf8 : "";
}

/// Of those that a file system keeps for others than programs, which file capabilities and what users put there are
/// not.
bool is_kept(std::string_view name) { return name.starts_with("user.") || name == "security.capability"; }

void read_xattrs(archive_entry* e, TarEntry& entry) {
  archive_entry_xattr_reset(e);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (entry.xattrs.size() < k_most_xattrs && archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
    if (!name || !is_kept(name) || size > k_longest_xattr) continue;
    const auto* const bytes = static_cast<const u8*>(value);
    entry.xattrs.emplace_back(name, std::vector<u8>(bytes, bytes + size));
  }
}

u32 id(la_int64_t value) { return value >= 0 && value < 0xffffffff ? static_cast<u32>(value) : 0; }

TarEntry as_entry(archive_entry* e) {
  TarEntry entry;
  entry.path = text(archive_entry_pathname(e), archive_entry_pathname_utf8(e));
  Attributes& a = entry.attributes;
  a.mode = archive_entry_filetype(e) | (archive_entry_perm(e) & 07777);
  a.uid = id(archive_entry_uid(e));
  a.gid = id(archive_entry_gid(e));
  a.mtime = archive_entry_mtime(e);
  a.major = static_cast<u32>(archive_entry_rdevmajor(e)) & 0xfff;
  a.minor = static_cast<u32>(archive_entry_rdevminor(e)) & 0xfffff;
  const std::string hard = text(archive_entry_hardlink(e), archive_entry_hardlink_utf8(e));
  entry.is_hard_link = !hard.empty();
  entry.link = entry.is_hard_link ? hard : text(archive_entry_symlink(e), archive_entry_symlink_utf8(e));
  entry.size = archive_entry_size_is_set(e) ? static_cast<u64>(std::max<la_int64_t>(archive_entry_size(e), 0)) : 0;
  entry.sparse = archive_entry_sparse_count(e) > 0;
  read_xattrs(e, entry);
  return entry;
}

}  // namespace

bool is_root_path(std::string_view path) {
  while (path.starts_with('.') || path.starts_with('/')) {
    if (path == ".") return true;
    if (path.starts_with("./"))
      path.remove_prefix(2);
    else if (path.starts_with('/'))
      path.remove_prefix(1);
    else
      return false;
  }
  return path.empty();
}

struct TarReader::State {
  State(ByteSource& bytes, u64 most_bytes) : source(bytes), most(most_bytes), archive(archive_read_new()) {}
  ~State() {
    if (archive) archive_read_free(archive);
  }
  Utf8 utf8;
  ByteSource& source;
  const u64 most;
  struct archive* archive;
  std::optional<Error> error;  ///< of the source
  bool in_entry = false;       ///< whose bytes may not all be read
};

TarReader::TarReader(std::unique_ptr<State> state) : s_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Error TarReader::failed() const {
  if (s_->error) return *s_->error;
  const char* const why = archive_error_string(s_->archive);
  return {ErrorKind::BadInput, fmt::format("{}: expected a whole tar archive, found another file or a broken one ({}); "
                                           "check it",
                                           s_->source.path(), why ? why : "no reason is known")};
}

Result<TarReader> TarReader::open(ByteSource& source, u64 most) {
  TarReader reader(std::make_unique<State>(source, most));
  State& s = *reader.s_;
  if (!s.archive)
    return Error{ErrorKind::HostResource, source.path() + ": expected memory to read it; end other programs"};
  archive_read_support_format_tar(s.archive);
  archive_read_support_filter_gzip(s.archive);
  archive_read_support_filter_bzip2(s.archive);
  archive_read_support_filter_xz(s.archive);
  archive_read_support_filter_zstd(s.archive);
  const auto read = [](struct archive* a, void* user, const void** bytes) -> la_ssize_t {
    auto& state = *static_cast<State*>(user);
    const auto piece = state.source.next();
    if (!piece) {
      state.error = piece.error();
      archive_set_error(a, EIO, "it cannot be read");
      return -1;
    }
    *bytes = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  };
  if (archive_read_open(s.archive, &s, nullptr, read, nullptr) != ARCHIVE_OK) return reader.failed();
  return reader;
}

Status TarReader::check() const {
  AV_TRY(s_->source.patience().check());
  if (bytes() > s_->most)
    return Error{ErrorKind::BadInput, fmt::format("{}: expected at most {} MiB of archive when it is unpacked, found "
                                                  "more; give --unpacked a greater size",
                                                  s_->source.path(), s_->most >> 20)};
  return {};
}

u64 TarReader::bytes() const { return static_cast<u64>(archive_filter_bytes(s_->archive, 0)); }

Result<std::optional<TarEntry>> TarReader::read_entry() {
  // What nobody asked for is read here, where it counts and takes no more time than anybody has.
  if (std::exchange(s_->in_entry, false)) AV_TRY(read([](u64, std::span<const u8>) { return Status(); }));
  AV_TRY(check());
  archive_entry* e = nullptr;
  for (;;) {
    const int result = archive_read_next_header(s_->archive, &e);
    if (result == ARCHIVE_EOF) return std::optional<TarEntry>();
    if (result == ARCHIVE_RETRY) continue;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return failed();
    s_->in_entry = true;
    return std::optional<TarEntry>(as_entry(e));
  }
}

Result<std::string> TarReader::first_path() {
  for (;;) {
    AV_TRY_ASSIGN(auto entry, read_entry());
    if (!entry) return std::string();
    waiting_.push_back(*std::move(entry));
    if (!is_root_path(waiting_.back().path)) return waiting_.back().path;
    if (waiting_.size() > 16) return std::string(".");  // an archive of nothing but its root is one of a system
  }
}

Result<std::optional<TarEntry>> TarReader::next() {
  if (waiting_.empty()) return read_entry();
  std::optional<TarEntry> entry(std::move(waiting_.front()));
  waiting_.pop_front();
  return entry;
}

Status TarReader::read(const std::function<Status(u64 offset, std::span<const u8> bytes)>& take) {
  for (;;) {
    AV_TRY(check());
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(s_->archive, &bytes, &size, &offset);
    if (result == ARCHIVE_EOF) return {};
    if (result == ARCHIVE_RETRY) continue;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return failed();
    if (size) AV_TRY(take(static_cast<u64>(offset), {static_cast<const u8*>(bytes), size}));
  }
}

}  // namespace armvisor::exec
