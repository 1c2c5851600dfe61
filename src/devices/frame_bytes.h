#pragma once
// Bytes of frames: numbers in network byte order, and the Internet checksum. `at + size` lies inside.
#include <span>

#include "base/types.h"

namespace armvisor::devices {

inline u16 get16(std::span<const u8> bytes, std::size_t at) { return static_cast<u16>(bytes[at] << 8 | bytes[at + 1]); }
inline u32 get32(std::span<const u8> bytes, std::size_t at) {
  return u32{get16(bytes, at)} << 16 | get16(bytes, at + 2);
}
inline void put16(std::span<u8> bytes, std::size_t at, u32 value) {
  bytes[at] = static_cast<u8>(value >> 8);
  bytes[at + 1] = static_cast<u8>(value);
}
inline void put32(std::span<u8> bytes, std::size_t at, u32 value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value);
}

/// The Internet checksum of `data` (RFC 1071), folded but not complemented, in memory's byte order.
u16 ones_complement_sum(std::span<const u8> data);
/// Puts the checksum of [start, end), which has the sum of the pseudo header in it, at `place`. False, and nothing is
/// done: one of them lies outside.
bool complete_checksum(std::span<u8> frame, std::size_t start, std::size_t end, std::size_t place);

}  // namespace armvisor::devices
