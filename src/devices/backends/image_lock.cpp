#include "devices/backends/image_lock.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log_once.h"
#include "base/types.h"

namespace armvisor::devices {
namespace {

/// What is done to an image, by its bit in QEMU's BLK_PERM_*.
constexpr u32 k_read = 0, k_write = 1, k_resize = 3;
constexpr off_t k_does = 100, k_minds = 200;

struct flock byte_range(short type, off_t first) {
  struct flock request = {};
  request.l_type = type;
  request.l_whence = SEEK_SET;
  request.l_start = first;
  request.l_len = 1;
  return request;
}

/// 0, or an errno; EAGAIN when another program has locked the byte for itself.
int take(int fd, off_t byte) {
  struct flock request = byte_range(F_RDLCK, byte);
  return fcntl(fd, F_OFD_SETLK, &request) == 0 ? 0 : errno;
}

/// Whether another open file has any lock on the byte.
bool taken(int fd, off_t byte) {
  struct flock request = byte_range(F_WRLCK, byte);
  return fcntl(fd, F_OFD_GETLK, &request) == 0 && request.l_type != F_UNLCK;
}

Error in_use(const std::string& what, bool read_only) {
  return {ErrorKind::HostResource,
          "disk " + what + " is in use by another machine" +
              (read_only ? ", which writes to it" : "; stop that machine, or open the disk read-only in both")};
}

}  // namespace

Status lock_image(int fd, const std::string& what, bool read_only) {
  constexpr std::array k_reader_takes{k_does + k_read, k_minds + k_write, k_minds + k_resize};
  for (const off_t byte : k_reader_takes) {
    const int error = take(fd, byte);
    if (error == EAGAIN || error == EACCES) return in_use(what, read_only);
    if (error == 0) continue;
    // Some network file systems have no locks; a disk there still works, unguarded.
    AV_LOG_ONCE(Warn, "disk %s cannot be locked (%s): nothing keeps another machine from using it", what.c_str(),
                std::strerror(error));
    return {};
  }
  if (!read_only && take(fd, k_does + k_write) != 0) return in_use(what, read_only);
  const bool minded = taken(fd, k_minds + k_read) || (!read_only && taken(fd, k_minds + k_write));
  if (minded || taken(fd, k_does + k_write) || taken(fd, k_does + k_resize)) return in_use(what, read_only);
  return {};
}

}  // namespace armvisor::devices
