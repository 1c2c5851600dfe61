#include "base/input_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/host_error.h"

namespace armvisor {
namespace {
/// What is read between two looks whether the reading is to end; of a pipe, what it holds at once.
constexpr u64 k_piece = u64{4} << 20, k_pipe_piece = u64{64} << 10;
}  // namespace

Error InputFile::problem(const std::string& found) const {
  return {ErrorKind::BadInput,
          role_ + " " + path_ + ": expected a readable file, " + found + "; check the path and its permissions"};
}

Error InputFile::failed(int error) const {
  return file_error(role_ + " " + path_ + ": expected a readable file", error, "check the path and its permissions");
}

Result<InputFile> InputFile::open(std::string path, std::string role, const StopEvent* stop) {
  InputFile file(std::move(path), std::move(role), stop);
  // O_NONBLOCK: a FIFO is not waited for here but in wait(), which ends when it has to.
  file.fd_ = Fd(::open(file.path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!file.fd_ || fstat(file.fd_.get(), &info) != 0) return file.failed(errno);
  if (S_ISDIR(info.st_mode)) return file.problem("found a directory");
  if (S_ISREG(info.st_mode)) file.size_ = static_cast<u64>(info.st_size);
  return file;
}

Status InputFile::check_regular() const {
  if (size_) return {};
  return Error{ErrorKind::BadInput,
               role_ + " " + path_ + ": expected a regular file, found a pipe or device; copy it to a file"};
}

/// Returns when there is something to read, or the end.
Status InputFile::wait() {
  std::array<pollfd, 2> fds = {{{fd_.get(), POLLIN, 0}, {stop_ ? stop_->fd() : -1, POLLIN, 0}}};
  while (poll(fds.data(), fds.size(), -1) < 0)
    if (errno != EINTR) return failed(errno);
  if (fds[1].revents) return problem("found the machine's end first");
  return {};
}

Status InputFile::read_to(u64 count) {
  while (!ended_ && bytes_.size() < count) {
    AV_TRY(wait());
    const u64 done = bytes_.size();
    // A file of known size gets its room at once, with a byte to find its end; other room is doubled.
    const bool known = size_.value_or(0) >= done && size_;
    if (bytes_.capacity() == done) bytes_.reserve(std::min(count, known ? *size_ + 1 : 2 * done + k_pipe_piece));
    bytes_.resize(done + std::min({count - done, bytes_.capacity() - done, known ? k_piece : k_pipe_piece}));
    const ssize_t n = ::read(fd_.get(), bytes_.data() + done, bytes_.size() - done);
    const int error = errno;
    bytes_.resize(done + static_cast<u64>(std::max<ssize_t>(n, 0)));
    if (n < 0 && error != EINTR && error != EAGAIN) return failed(error);
    ended_ = n == 0;
  }
  return {};
}

Status InputFile::too_long(u64 most, const std::string& found, const std::string& advice) const {
  return Error{ErrorKind::BadInput,
               fmt::format("{} {}: expected at most {} bytes, found {}; {}", role_, path_, most, found, advice)};
}

Status InputFile::read_all(u64 most, const std::string& advice) {
  if (size_ && *size_ > most) return too_long(most, std::to_string(*size_), advice);
  AV_TRY(read_to(most));
  if (!ended_) AV_TRY(read_to(most + 1));
  if (bytes_.size() > most) return too_long(most, "more", advice);
  if (bytes_.empty()) return problem("found an empty one");
  return {};
}

Result<std::vector<u8>> read_file(const std::string& path, const std::string& role, u64 most, const std::string& advice,
                                  const StopEvent* stop) {
  AV_TRY_ASSIGN(InputFile file, InputFile::open(path, role, stop));
  AV_TRY(file.read_all(most, advice));
  return file.take();
}

}  // namespace armvisor
