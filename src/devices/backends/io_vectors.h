#pragma once
// Lists of buffers, as preadv(2) takes them.
#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices {

inline u64 total_bytes(std::span<const iovec> v) {
  u64 bytes = 0;
  for (const iovec& part : v) bytes += part.iov_len;
  return bytes;
}

/// Leaves out the first `bytes` of what `v` has.
inline void advance(std::span<iovec>& v, std::size_t bytes) {
  while (!v.empty() && bytes >= v.front().iov_len) {
    bytes -= v.front().iov_len;
    v = v.subspan(1);
  }
  if (!v.empty()) {
    v.front().iov_base = static_cast<u8*>(v.front().iov_base) + bytes;
    v.front().iov_len -= bytes;
  }
}

/// Calls f(buffer, bytes) for each part of the first `bytes` of what `v` has.
template <class F>
void for_each_part(std::span<const iovec> v, std::size_t bytes, F f) {
  for (const iovec& part : v) {
    const std::size_t n = std::min(bytes, part.iov_len);
    if (n) f(static_cast<u8*>(part.iov_base), n);
    bytes -= n;
    if (bytes == 0) return;
  }
}

/// The first `bytes` of what `v` has, as a list of its own in `out`.
inline void copy_first(std::span<const iovec> v, std::size_t bytes, std::vector<iovec>& out) {
  out.clear();
  for_each_part(v, bytes, [&out](u8* at, std::size_t n) { out.push_back({at, n}); });
}

inline void gather(std::span<const iovec> from, std::size_t bytes, u8* to) {
  for_each_part(from, bytes, [&to](const u8* at, std::size_t n) {
    std::memcpy(to, at, n);
    to += n;
  });
}

inline void scatter(const u8* from, std::size_t bytes, std::span<const iovec> to) {
  for_each_part(to, bytes, [&from](u8* at, std::size_t n) {
    std::memcpy(at, from, n);
    from += n;
  });
}

inline void fill_zeros(std::span<const iovec> to, std::size_t bytes) {
  for_each_part(to, bytes, [](u8* at, std::size_t n) { std::memset(at, 0, n); });
}

}  // namespace armvisor::devices
