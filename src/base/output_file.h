#pragma once
// A file that the user names to be written.
//
// Opening it changes nothing in it. What it holds goes only when all else has been found right, and only if it is what
// the user can have meant: no disk of a running machine, no file that another machine writes, no block device, and not
// through a symbolic link.
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/outlet.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor {

class OutputFile {
 public:
  /// A regular file, which is made if there is none, and locked; a FIFO; or a character device. /dev/stdout,
  /// /dev/stderr and /dev/fd/N are what this process has open there. `option` is for messages. Does not wait.
  static Result<OutputFile> open(const std::string& option, const std::string& path);
  /// Whether open() would take `path` if there is such a file. Leaves nothing behind.
  static Status check(const std::string& option, const std::string& path);

  /// An error if it is one of `others`, paths of files that are read.
  Status differs_from(const std::vector<std::string>& others) const;
  /// Removes what a regular file holds.
  Status empty();
  /// What is written goes behind what it holds.
  Status append();
  /// Replaces what it holds. Waits for the reader of a FIFO.
  Status replace(std::span<const u8> bytes);
  /// Hands it on, as a way for output.
  Outlet::Target take() && { return {std::move(fd_), -1, std::move(fifo_)}; }
  /// Likewise, with a descriptor of its own.
  Result<Outlet::Target> share() const;
  Error failed(int error) const;
  bool is_regular() const { return regular_; }

 private:
  OutputFile(std::string option, std::string path) : option_(std::move(option)), path_(std::move(path)) {}
  Status open_descriptor(int fd);
  Status open_path(int flags);
  Status check_kind();
  Status lock();

  std::string option_, path_;
  Fd fd_;
  std::string fifo_;  ///< not empty: a FIFO, not yet opened
  bool regular_ = false;
};

}  // namespace armvisor
