#pragma once
// What exec makes once for many starts, in a folder of $XDG_CACHE_HOME/armvisor (or ~/.cache), which may be removed at
// any time. That folder and its own have to be the user's, no links, and closed to what others write: they could put a
// kernel or a system there. Where nothing can be kept nothing is, and that is no error.
//
// A file has its name when all of it is on the disk, so what has a name is whole, whatever ended whoever made it; of
// two who make the same the last one's stays, and who has the other open keeps it.
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

/// What tells a regular file's content from what it is at another time: device, inode, size, times; empty: it is none.
std::string file_identity(int file);

/// The path of such a folder, made if there is none; empty: nothing can be kept.
std::string own_cache_folder(const char* name);

class CacheFolder {
 public:
  struct Bounds {
    std::size_t files = 0;
    u64 bytes = ~u64{0};  ///< on the disk, together
  };
  /// A file that has no name yet; without keep() it goes.
  class Unfinished {
   public:
    Unfinished() = default;
    Unfinished(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
    Unfinished(Unfinished&&) noexcept = default;
    Unfinished& operator=(Unfinished&&) noexcept = default;
    ~Unfinished();
    int file() const { return file_.get(); }
    explicit operator bool() const { return static_cast<bool>(file_); }
    Fd take() && { return std::move(file_); }

   private:
    friend class CacheFolder;
    Fd file_;
    std::string path_;  ///< a name for the meantime; empty: it has none
  };

  CacheFolder() = default;
  /// `name` of the folder; what has another form than its files (hexadecimal digits, '.' and '-', as file_identity(),
  /// behind `prefix`) is left alone in it.
  static CacheFolder open(const char* name, std::string prefix, Bounds bounds);
  explicit operator bool() const { return static_cast<bool>(folder_); }

  /// nothing: there is none. It counts as used now.
  std::optional<Fd> find(const std::string& name) const;
  /// Nothing, without an error, where nothing can be kept.
  Unfinished begin(const std::string& name) const;
  /// Gives it its name, and removes those used least lately beyond the bounds. False: it has none.
  bool keep(Unfinished& file, const std::string& name) const;
  bool is_name(const std::string& name) const;  ///< of one of its files, finished or not

 private:
  void remove_old() const;
  std::string path() const;
  Fd folder_;
  std::string prefix_;
  Bounds bounds_;
};

}  // namespace armvisor::exec
