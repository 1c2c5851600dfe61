#pragma once
// Reading a file that the user named, whatever it turns out to be: never more of it than is of use, and not for longer
// than the reader lives.
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/stop_event.h"
#include "base/types.h"

namespace armvisor {

class InputFile {
 public:
  /// Messages call the file `role` ("kernel", "initrd", ...) and `path`. `stop`, if any, ends a wait for bytes of a
  /// pipe or device, with an error; it outlives the file. A directory is refused.
  static Result<InputFile> open(std::string path, std::string role, const StopEvent* stop = nullptr);

  /// An error for what is no regular file: a pipe or a device.
  Status check_regular() const;
  /// Reads on until there are `count` bytes or the file ends.
  Status read_to(u64 count);
  /// Reads the rest. An error when the file is empty, or has more than `most` bytes; then nothing more of it is read if
  /// its size is known. `advice` says what to do about that.
  Status read_all(u64 most, const std::string& advice);

  const std::vector<u8>& bytes() const { return bytes_; }  ///< what was read so far
  std::vector<u8> take() { return std::move(bytes_); }

 private:
  InputFile(std::string path, std::string role, const StopEvent* stop)
      : path_(std::move(path)), role_(std::move(role)), stop_(stop) {}
  Error problem(const std::string& found) const;
  Error failed(int error) const;
  Status wait();
  Status too_long(u64 most, const std::string& found, const std::string& advice) const;

  std::string path_, role_;
  const StopEvent* stop_;
  Fd fd_;
  std::optional<u64> size_;  ///< of a regular file, when it was opened
  std::vector<u8> bytes_;
  bool ended_ = false;
};

/// The whole of a file of at most `most` bytes.
Result<std::vector<u8>> read_file(const std::string& path, const std::string& role, u64 most,
                                  const std::string& advice = "give the right file", const StopEvent* stop = nullptr);

}  // namespace armvisor
