#pragma once
// Ethernet frames in a stream of bytes, as QEMU sends them over a socket: a length of 32 bits, big-endian, then the
// frame.
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices {

/// Takes a stream apart, however it is cut into pieces. What comes is not trusted: the reader's memory is that of two
/// of the largest frames.
class FrameReader {
 public:
  /// As QEMU's; a greater length ends its connections as well.
  static constexpr u32 k_longest = 4096 + 65536;
  static constexpr std::size_t k_length_bytes = 4;

  static std::array<u8, k_length_bytes> length_of(std::span<const u8> frame) {
    const u32 n = static_cast<u32>(frame.size());
    return {static_cast<u8>(n >> 24), static_cast<u8>(n >> 16), static_cast<u8>(n >> 8), static_cast<u8>(n)};
  }

  /// Where the next bytes of the stream go; never empty.
  std::span<u8> room() { return std::span(bytes_).subspan(end_); }

  /// `n` bytes were put into room(): gives each frame that is complete to `frame`. False when a length is greater than
  /// any frame's: nothing more can be made of the stream.
  template <class F>
  bool take(std::size_t n, F frame) {
    end_ += n;
    std::size_t begin = 0;
    while (end_ - begin >= k_length_bytes) {
      const u8* const p = bytes_.data() + begin;
      const u32 length = u32{p[0]} << 24 | u32{p[1]} << 16 | u32{p[2]} << 8 | p[3];
      if (length > k_longest) return false;
      if (end_ - begin - k_length_bytes < length) break;
      frame(std::span<const u8>(p + k_length_bytes, length));
      begin += k_length_bytes + length;
    }
    std::memmove(bytes_.data(), bytes_.data() + begin, end_ - begin);
    end_ -= begin;
    return true;
  }

  /// Another stream begins.
  void restart() { end_ = 0; }

 private:
  std::vector<u8> bytes_ = std::vector<u8>(2 * (k_length_bytes + k_longest));
  std::size_t end_ = 0;  ///< of the bytes that are no complete frame; less than one frame between calls of take()
};

}  // namespace armvisor::devices
