#pragma once
// The entries of a tar archive, packed by gzip, bzip2, xz, zstd or not at all (libarchive). Names are what the archive
// has.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exec/byte_source.h"
#include "exec/ext_image.h"

namespace armvisor::exec {

struct TarEntry {
  std::string path;
  Attributes attributes;  ///< without a type: a hard link only
  std::string link;       ///< where a symbolic link leads, or what a hard link names
  bool is_hard_link = false;
  u64 size = 0;
  bool sparse = false;
  std::vector<std::pair<std::string, std::vector<u8>>> xattrs{};
};

class TarReader {
 public:
  /// An error for what is no tar. The source is borrowed. `most`: bytes that are read of it, unpacked.
  static Result<TarReader> open(ByteSource& source, u64 most);
  TarReader(TarReader&&) noexcept;
  ~TarReader();

  /// nothing: the archive has ended.
  Result<std::optional<TarEntry>> next();
  /// Of the archive, unpacked, that were read until now.
  u64 bytes() const;
  /// The path of the first entry that is not the root, which next() still has; empty: there is none.
  Result<std::string> first_path();
  /// The bytes of the entry that came last, where it has some.
  Status read(const std::function<Status(u64 offset, std::span<const u8> bytes)>& take);

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  Result<std::optional<TarEntry>> read_entry();
  Error failed() const;
  Status check() const;
  std::unique_ptr<State> s_;
  std::deque<TarEntry> waiting_;
};

/// Whether a path names the root: "", ".", "./", "/".
bool is_root_path(std::string_view path);

}  // namespace armvisor::exec
