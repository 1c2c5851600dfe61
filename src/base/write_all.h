#pragma once
#include <unistd.h>

#include <cerrno>
#include <span>

#include "base/types.h"

namespace armvisor {

/// Writes all bytes to a file. False: errno says why; also behind a write that was short, where the host told nothing.
inline bool write_all(int fd, std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace armvisor
