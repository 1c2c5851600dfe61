#pragma once
// What of the host's files may be reached by name (Landlock, from Linux 5.13). What is open already stays open.
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor {

/// What may be done below a folder, or to a file.
enum class FileRights : u8 {
  Read,           ///< files and folders
  Write,          ///< files that are there
  ReadAndWrite,   ///< likewise
  Change,         ///< all but to execute and to make devices; also to make, rename and remove
  ChangeDevices,  ///< likewise with devices
  Remove,         ///< sockets and files
  Pass,           ///< sockets and folders are made and removed
  Execute,        ///< a program
};

struct FileRule {
  std::string path;  ///< a rule for what is not there is none
  FileRights rights = FileRights::Read;
};

class Landlock {
 public:
  /// The version of the kernel's interface; 0: there is none.
  static int version();

  struct Options {
    std::vector<FileRule> rules{};
    bool connects = false;        ///< by TCP, and listens
    bool reads_anything = false;  ///< reading is not looked at
    bool executes = false;        ///< nor what is executed
  };
  /// The rules' folders are opened now, so that others may take their names later.
  static Result<Landlock> create(const Options& options);

  /// For the calling thread and those that it starts, for good; no_new_privs has to be set. 0 or an errno.
  /// (async-signal-safe)
  int put_on() const;
  int fd() const { return rules_.get(); }

 private:
  explicit Landlock(Fd rules) : rules_(std::move(rules)) {}
  Fd rules_;  ///< none: this host has no Landlock, or not enough of it
};

}  // namespace armvisor
