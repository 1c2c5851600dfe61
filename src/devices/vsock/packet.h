#pragma once
// Packets of virtio sockets (virtio 1.2 section 5.10.6): a header, and data behind it if it is of RW.
#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/types.h"

namespace armvisor::devices::vsock {

inline constexpr u64 k_host_cid = 2;
inline constexpr u16 k_type_stream = 1;

enum Op : u16 {
  Request = 1,   ///< wants to connect
  Response = 2,  ///< is connected
  Reset = 3,
  Shutdown = 4,
  ReadWrite = 5,
  CreditUpdate = 6,
  CreditRequest = 7,
};

// Flags of Shutdown: what its sender does no more, for good.
inline constexpr u32 k_receives_no_more = 1, k_sends_no_more = 2;
inline constexpr u32 k_does_nothing_more = k_receives_no_more | k_sends_no_more;

/// struct virtio_vsock_hdr, without what pads it in C++.
struct Header {
  u64 src_cid = 0, dst_cid = 0;
  u32 src_port = 0, dst_port = 0;
  u32 len = 0;  ///< bytes of data
  u16 type = k_type_stream, op = 0;
  u32 flags = 0;
  u32 buf_alloc = 0;  ///< bytes that its sender has room for, of what it was sent and has not passed on
  u32 fwd_cnt = 0;    ///< bytes that its sender has passed on since the connection was made, modulo 2^32
};
inline constexpr std::size_t k_header_bytes = 44;
static_assert(offsetof(Header, fwd_cnt) + sizeof(u32) == k_header_bytes);

using HeaderBytes = std::array<u8, k_header_bytes>;
inline Header read_header(const HeaderBytes& bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), bytes.size());
  return header;
}
inline HeaderBytes write_header(const Header& header) {
  HeaderBytes bytes;
  std::memcpy(bytes.data(), &header, bytes.size());
  return bytes;
}

/// What names a connection, since host and guest are always the same two.
struct Ports {
  u32 host = 0, guest = 0;
  auto operator<=>(const Ports&) const = default;
};

}  // namespace armvisor::devices::vsock
