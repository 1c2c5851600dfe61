#pragma once
// Files of a folder that is somebody else's system: names and symbolic links in it mean what they mean there, and lead
// nowhere outside (openat2(2), RESOLVE_IN_ROOT).
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

class Folder {
 public:
  /// `what` is for messages: "system", "modules".
  static Result<Folder> open(const std::string& path, const std::string& what);

  /// nothing: there is no such folder in it.
  Result<Folder> enter(const std::string& path) const;
  bool has(const std::string& path) const { return static_cast<bool>(open_inside(path)); }
  /// Names of what is in one of its folders, sorted; empty if there is no such folder.
  std::vector<std::string> list(const std::string& path) const;
  /// A regular file of at most `most` bytes.
  Result<std::vector<u8>> read(const std::string& path, u64 most) const;
  Result<Fd> open_file(const std::string& path) const;
  const std::string& path() const { return path_; }  ///< for messages

 private:
  Folder(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd open_inside(const std::string& path, int flags = 0) const;
  Fd fd_;
  std::string path_;
};

}  // namespace armvisor::exec
