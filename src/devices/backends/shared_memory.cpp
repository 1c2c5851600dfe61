#include "devices/backends/shared_memory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/host_error.h"

namespace armvisor::devices {
namespace {

Error failed(const SharedMemoryOptions& o) {
  return file_error(o.option + ": expected to use " + o.path, errno, "check the path and who may write there");
}

/// As QEMU: a file is made if it is not there, and filled up if it is empty; one that is too short is refused.
Result<Fd> open_file(const SharedMemoryOptions& o) {
  struct stat st {};
  const bool folder = ::stat(o.path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  Fd fd(folder ? ::open(o.path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
               : ::open(o.path.c_str(), (o.read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                        0644));
  if (!fd || ::fstat(fd.get(), &st) != 0) return failed(o);
  if (!S_ISREG(st.st_mode))
    return Error{ErrorKind::BadInput, o.option + ": expected a regular file, found " + o.path + ", which is none"};
  const u64 size = static_cast<u64>(st.st_size);
  if (size == 0 && !o.read_only && ::ftruncate(fd.get(), static_cast<off_t>(o.size)) != 0) return failed(o);
  if ((size > 0 || o.read_only) && size < o.size)
    return Error{ErrorKind::BadInput,
                 fmt::format("{}: expected a file of at least {} bytes, found {} in {}; change size=", o.option, o.size,
                             size, o.path)};
  return fd;
}

}  // namespace

Result<std::shared_ptr<SharedMemory>> SharedMemory::open(const SharedMemoryOptions& o) {
  Fd fd;
  if (!o.path.empty()) {
    AV_TRY_ASSIGN(fd, open_file(o));
  }
  const int kind = o.path.empty() ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : o.shared ? MAP_SHARED : MAP_PRIVATE;
  const int rights = PROT_READ | (o.read_only ? 0 : PROT_WRITE);
  void* const at = ::mmap(nullptr, o.size, rights, kind, fd ? fd.get() : -1, 0);
  if (at == MAP_FAILED)
    return host_error(o.option + ": expected to map " + std::to_string(o.size) + " bytes", errno, "make it smaller");
  return std::shared_ptr<SharedMemory>(new SharedMemory({static_cast<u8*>(at), o.size}, o.read_only));
}

SharedMemory::~SharedMemory() { ::munmap(bytes_.data(), bytes_.size()); }

}  // namespace armvisor::devices
