#pragma once
// Files of a folder that is somebody else's system: names and symbolic links in it mean what they mean there, and lead
// nowhere outside. It is a folder of the host's (openat2(2), RESOLVE_IN_ROOT), or one in a file system (ext_folder.h).
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

/// Where the files are. Errors are errno values, messages the folder's.
class FolderFiles {
 public:
  virtual ~FolderFiles() = default;
  /// Null: errno says why there is none.
  virtual std::shared_ptr<const FolderFiles> enter(const std::string& path) const = 0;
  virtual bool has(const std::string& path) const = 0;
  virtual std::vector<std::string> list(const std::string& path) const = 0;
  /// Any file, without waiting for one; none: errno says why.
  virtual Fd open_file(const std::string& path) const = 0;
};

class Folder {
 public:
  /// `what` is for messages: "system", "modules".
  static Result<Folder> open(const std::string& path, const std::string& what);
  /// `path` is for messages.
  Folder(std::shared_ptr<const FolderFiles> files, std::string path)
      : files_(std::move(files)), path_(std::move(path)) {}

  /// nothing: there is no such folder in it.
  Result<Folder> enter(const std::string& path) const;
  bool has(const std::string& path) const { return files_->has(path); }
  /// Names of what is in one of its folders, sorted; empty if there is no such folder.
  std::vector<std::string> list(const std::string& path) const;
  /// A regular file of at most `most` bytes.
  Result<std::vector<u8>> read(const std::string& path, u64 most) const;
  Result<Fd> open_file(const std::string& path) const;
  const std::string& path() const { return path_; }  ///< for messages

 private:
  std::shared_ptr<const FolderFiles> files_;
  std::string path_;
};

/// Whether it is the root of one, by what any has.
bool is_system(const Folder& folder);

}  // namespace armvisor::exec
