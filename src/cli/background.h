#pragma once
// A program that goes to the background once it is ready: its parent ends when it is told, with the status that it is
// told, or with 1 if the child ends before.
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor::cli {

class Background {
 public:
  /// Returns in the child, which is in a session of its own. To be called before any thread exists.
  static Result<Background> enter();
  /// Lets standard input and output go, and standard error to `log_file` or nowhere; then the parent ends with 0.
  Status ready(const std::string& log_file);

 private:
  explicit Background(Fd parent) : parent_(std::move(parent)) {}
  Fd parent_;
};

/// A file that has the process's id while it lives.
class PidFile {
 public:
  /// Written and locked; an error if another program holds it.
  static Result<PidFile> create(const std::string& path);
  PidFile(PidFile&& other) noexcept : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})) {}
  ~PidFile();

 private:
  PidFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

}  // namespace armvisor::cli
