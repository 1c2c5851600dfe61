#pragma once
// Frames that wait for a guest's buffers, in the order in which they came. What finds no room is the card's to drop, as
// on a wire.
#include <deque>
#include <utility>
#include <vector>

#include "base/types.h"

namespace armvisor::devices {

struct WaitingFrame {
  std::vector<u8> bytes;
  u16 header_bytes = 0, segment_bytes = 0;  ///< as virtio::Frame has them
};

class WaitingFrames {
 public:
  static constexpr std::size_t k_max_frames = 512, k_max_bytes = 512 * 1024;

  bool empty() const { return frames_.empty(); }
  const WaitingFrame& front() const { return frames_.front(); }
  bool has_room(std::size_t bytes) const { return frames_.size() < k_max_frames && bytes_ + bytes <= k_max_bytes; }
  void add(WaitingFrame frame) {
    bytes_ += frame.bytes.size();
    frames_.push_back(std::move(frame));
  }
  void pop() {
    bytes_ -= frames_.front().bytes.size();
    frames_.pop_front();
  }
  void clear() {
    frames_.clear();
    bytes_ = 0;
  }

 private:
  std::deque<WaitingFrame> frames_;
  std::size_t bytes_ = 0;
};

}  // namespace armvisor::devices
