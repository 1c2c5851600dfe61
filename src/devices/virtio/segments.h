#pragma once
// Joins TCP segments that follow each other into one, as a network card does for its driver.
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices::virtio {

/// A frame for the driver.
struct Frame {
  std::span<const u8> bytes;
  u16 header_bytes = 0;   ///< up to TCP's data, in one that was joined
  u16 segment_bytes = 0;  ///< of data in each of the segments but the last; 0: not joined
};

class Segments {
 public:
  /// Takes the frame if it goes on where the last one ended, or is a TCP segment with data and none is held. False: it
  /// was not taken.
  bool add(std::span<const u8> frame);
  void clear();
  u32 count() const { return count_; }
  /// What was taken, as one frame. A single one is as it came; of more, lengths and the IP checksum are made right, and
  /// in place of TCP's is the sum of the pseudo header.
  Frame joined();

  static constexpr u16 k_tcp_start = 34, k_tcp_checksum = 16;

 private:
  void start(std::span<const u8> frame);
  bool follows(std::span<const u8> frame) const;

  std::vector<u8> frame_;
  u32 count_ = 0, next_sequence_ = 0;
  u16 header_bytes_ = 0, segment_bytes_ = 0;
  bool closed_ = false;  ///< the last one was shorter, or wants to be delivered (PSH)
};

}  // namespace armvisor::devices::virtio
