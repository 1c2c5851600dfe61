#include "devices/backends/disk_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/host_error.h"
#include "base/log_once.h"
#include "devices/backends/image_format.h"
#include "devices/backends/image_lock.h"
#include "devices/backends/io_vectors.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_sector = 512;

Error failed(const std::string& path, const char* what, int error) {
  return host_error("disk " + path + ": expected " + what, error, "check the file");
}

int vector_count(std::span<iovec> v) { return static_cast<int>(std::min<std::size_t>(v.size(), IOV_MAX)); }

}  // namespace

DiskFile::DiskFile(Fd fd, std::string path, u64 file_size, bool read_only, DiskFileOptions options)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      file_size_(file_size),
      size_(align_up(file_size, k_sector)),
      read_only_(read_only),
      options_(options) {}

DiskFile::~DiskFile() {
  if (!unflushed_) return;
  if (const int error = flush())
    AV_LOG_ONCE(Error, "disk %s: the last writes may be lost: %s", path_.c_str(), std::strerror(error));
}

Result<std::unique_ptr<DiskFile>> DiskFile::open(const std::string& path, bool read_only, DiskFileOptions options) {
  // (A FIFO would be waited for without O_NONBLOCK.)
  Fd fd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    const bool denied = !read_only && (error == EACCES || error == EROFS || error == EPERM);
    return file_error("disk " + path + ": expected to open it for " + (read_only ? "reading" : "writing"), error,
                      denied ? "try it read-only (FILE,ro)" : "check the path and its permissions");
  }
  struct stat st = {};
  if (fstat(fd.get(), &st) != 0) return failed(path, "to look at it", errno);
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
    return Error{ErrorKind::BadInput, "disk " + path + ": expected a file or a block device, found neither; copy it"};
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  AV_TRY(lock_image(fd.get(), path, read_only));
  const off_t end = lseek(fd.get(), 0, SEEK_END);
  if (end < 0) return failed(path, "its size", errno);
  if (end == 0)
    return Error{ErrorKind::BadInput,
                 "disk " + path + ": expected at least 512 bytes, found it empty; give it a size (truncate -s 4G)"};
  const u64 size = static_cast<u64>(end);
  if (size % k_sector)
    AV_LOG_ONCE(Warn, "disk %s has %llu bytes, not a multiple of 512: the last sector is filled up with zeros",
                path.c_str(), static_cast<unsigned long long>(size));
  return std::unique_ptr<DiskFile>(new DiskFile(std::move(fd), path, size, read_only, options));
}

int DiskFile::read(std::span<iovec> to, u64 offset) {
  while (!to.empty()) {
    const ssize_t n = preadv(fd_.get(), to.data(), vector_count(to), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (n == 0) {
      // The end of the file: of one whose last sector is short, or of one that somebody else cut.
      if (offset < file_size_) return ENODATA;
      for (const iovec& v : to) std::memset(v.iov_base, 0, v.iov_len);
      return 0;
    }
    offset += static_cast<u64>(n);
    advance(to, static_cast<std::size_t>(n));
  }
  return 0;
}

bool DiskFile::read_at_once(std::span<const iovec> to, u64 offset) {
  if (to.size() > IOV_MAX) return false;
  u64 bytes = 0;
  for (const iovec& v : to) bytes += v.iov_len;
  // What is not cached gives EAGAIN, or fewer bytes; file systems that cannot tell give EOPNOTSUPP.
  return preadv2(fd_.get(), to.data(), static_cast<int>(to.size()), static_cast<off_t>(offset), RWF_NOWAIT) ==
         static_cast<ssize_t>(bytes);
}

int DiskFile::write(std::span<iovec> from, u64 offset) {
  if (options_.keep_raw && offset == 0) {
    std::array<u8, k_format_bytes> head{};
    const std::size_t bytes = std::min<u64>(total_bytes(from), head.size());
    gather(from, bytes, head.data());
    if (format_of_content(std::span(head).first(bytes)) != "raw") return EPERM;
  }
  unflushed_ = true;
  while (!from.empty()) {
    const ssize_t n = pwritev(fd_.get(), from.data(), vector_count(from), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (n == 0) return EIO;
    offset += static_cast<u64>(n);
    advance(from, static_cast<std::size_t>(n));
  }
  return 0;
}

int DiskFile::flush() {
  if (!unflushed_ || options_.ignore_flush) return 0;
  if (fdatasync(fd_.get()) != 0) return errno;
  unflushed_ = false;
  return 0;
}

int DiskFile::discard(u64 offset, u64 size) {
  if (!can_discard_) return 0;
  unflushed_ = true;
  if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(size)) == 0)
    return 0;
  // Discarding is advice: a file system without holes keeps the data.
  if (errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  can_discard_ = false;
  return 0;
}

int DiskFile::write_zeroes(u64 offset, u64 size, bool unmap) {
  unflushed_ = true;
  const int mode = (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
  if (fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(size)) == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) return errno;
  return write_zero_bytes(offset, size);
}

int DiskFile::write_zero_bytes(u64 offset, u64 size) {
  static constexpr std::array<u8, 65536> k_zeros{};
  while (size > 0) {
    const u64 n = std::min<u64>(size, k_zeros.size());
    iovec v = {const_cast<u8*>(k_zeros.data()), n};
    if (const int error = write(std::span(&v, 1), offset)) return error;
    offset += n;
    size -= n;
  }
  return 0;
}

}  // namespace armvisor::devices
