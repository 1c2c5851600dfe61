#pragma once
// The one folder whose files a guest may have.
//
// The guest names a file by a path from there, or by an absolute one that leads into it. The kernel itself resolves the
// path beneath the folder (openat2, RESOLVE_BENEATH): no "..", symbolic link or rename meanwhile leads out of it.
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::machine::semihosting {

class Folder {
 public:
  static constexpr std::size_t k_longest_path = 4095;

  /// `option` is for messages.
  static Result<Folder> open(const std::string& option, const std::string& path);

  // Each says by an errno value why it was not done; 0: it was.
  /// A regular file, which is none of the kernel's own (procfs, sysfs...); `flags` as of open(2). No other kind is
  /// opened, so nothing done with it waits for anybody, and nobody notices that it was tried.
  int open_file(const std::string& path, int flags, Fd& file) const;
  int remove(const std::string& path) const;  ///< a file or an empty folder
  int rename(const std::string& from, const std::string& to) const;

 private:
  explicit Folder(Fd fd) : fd_(std::move(fd)) {}
  /// From the folder; empty: it leads elsewhere.
  std::string inside(std::string_view path) const;
  /// The folder that holds the last part of `path`, which is left there.
  int open_parent(std::string& path, Fd& parent) const;

  Fd fd_;
  std::vector<std::string> names_;  ///< absolute paths of it: as given, and without symbolic links
};

}  // namespace armvisor::machine::semihosting
