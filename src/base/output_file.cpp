#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/host_error.h"
#include "base/log.h"
#include "base/write_all.h"

namespace armvisor {
namespace {

/// The descriptor that a path of /dev or /proc stands for.
std::optional<int> own_descriptor(std::string_view path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view directory : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(directory)) continue;
    const std::string_view digits = path.substr(directory.size());
    int fd = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (error == std::errc() && end == digits.data() + digits.size() && fd >= 0) return fd;
  }
  return std::nullopt;
}

}  // namespace

Error OutputFile::failed(int error) const {
  return host_error(option_ + ": expected to write " + path_, error, "check the path and its permissions");
}

Result<OutputFile> OutputFile::open(const std::string& option, const std::string& path) {
  OutputFile file(option, path);
  if (const auto fd = own_descriptor(path)) {
    AV_TRY(file.open_descriptor(*fd));
  } else {
    AV_TRY(file.open_path(O_CREAT));
  }
  return file;
}

Status OutputFile::check(const std::string& option, const std::string& path) {
  OutputFile file(option, path);
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0 && errno == ENOENT) return {};
  return file.open_path(0);
}

Status OutputFile::open_descriptor(int fd) {
  fd_ = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!fd_) return failed(errno);
  return {};
}

Status OutputFile::open_path(int flags) {
  // Without O_NONBLOCK this would wait for the reader of a FIFO.
  fd_ = Fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | flags, 0666));
  if (!fd_ && errno == ELOOP)
    return Error{ErrorKind::HostResource,
                 option_ + ": expected a file, found the symbolic link " + path_ + "; name the file that it points to"};
  struct stat st {};
  if (!fd_ && errno == ENXIO && ::lstat(path_.c_str(), &st) == 0 && S_ISFIFO(st.st_mode)) {
    fifo_ = path_;  // nobody reads it yet
    return {};
  }
  if (!fd_) return failed(errno);
  AV_TRY(check_kind());
  // This open file is nobody else's: writing to it waits from now on.
  const int status = ::fcntl(fd_.get(), F_GETFL);
  ::fcntl(fd_.get(), F_SETFL, status & ~O_NONBLOCK);
  return {};
}

Status OutputFile::check_kind() {
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) return failed(errno);
  regular_ = S_ISREG(st.st_mode);
  if (regular_) return lock();
  if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) return {};
  return Error{ErrorKind::HostResource, option_ + ": expected a file, a FIFO or a character device, found " + path_ +
                                            ", which is none of these; choose another"};
}

/// A lock against disks, which have one of their own, and against others who write. It goes with the open file.
Status OutputFile::lock() {
  struct flock request = {};
  request.l_type = F_WRLCK;
  request.l_whence = SEEK_SET;
  if (::fcntl(fd_.get(), F_OFD_SETLK, &request) == 0) return {};
  if (errno == EAGAIN || errno == EACCES)
    return Error{ErrorKind::HostResource, option_ + ": expected a file that nothing else uses, found " + path_ +
                                              ", which is in use by another machine or another option; choose another"};
  // Some network file systems have no locks; a file there is written all the same.
  AV_LOG(Debug, "%s: %s cannot be locked: %s", option_.c_str(), path_.c_str(), std::strerror(errno));
  return {};
}

Status OutputFile::differs_from(const std::vector<std::string>& others) const {
  struct stat own {
  }, other{};
  if (!regular_ || ::fstat(fd_.get(), &own) != 0) return {};
  for (const std::string& path : others)
    if (::stat(path.c_str(), &other) == 0 && other.st_dev == own.st_dev && other.st_ino == own.st_ino)
      return Error{ErrorKind::BadArguments, option_ + ": expected a file that the machine does not read, found " +
                                                path_ + ", which it reads as " + path + "; choose another"};
  return {};
}

Status OutputFile::empty() {
  if (regular_ && ::ftruncate(fd_.get(), 0) != 0) return failed(errno);
  return {};
}

Status OutputFile::append() {
  if (!regular_) return {};
  const int status = ::fcntl(fd_.get(), F_GETFL);
  if (status < 0 || ::fcntl(fd_.get(), F_SETFL, status | O_APPEND) != 0) return failed(errno);
  return {};
}

Result<Outlet::Target> OutputFile::share() const {
  if (!fd_) return Outlet::Target{{}, -1, fifo_};
  Fd own(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!own) return failed(errno);
  return Outlet::Target{std::move(own), -1, {}};
}

Status OutputFile::replace(std::span<const u8> bytes) {
  AV_TRY(empty());
  if (!fifo_.empty() && !(fd_ = Fd(::open(fifo_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)))) return failed(errno);
  if (!write_all(fd_.get(), bytes)) return failed(errno);
  return {};
}

}  // namespace armvisor
