#include "devices/frame_bytes.h"

#include <cstring>

namespace armvisor::devices {

u16 ones_complement_sum(std::span<const u8> data) {
  u64 sum = 0;
  std::size_t i = 0;
  for (; i + 4 <= data.size(); i += 4) {
    u32 word;
    std::memcpy(&word, data.data() + i, 4);
    sum += word;
  }
  u8 tail[4] = {};
  std::memcpy(tail, data.data() + i, data.size() - i);
  u32 word;
  std::memcpy(&word, tail, 4);
  sum += word;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<u16>(sum);
}

bool complete_checksum(std::span<u8> frame, std::size_t start, std::size_t end, std::size_t place) {
  if (start > end || end > frame.size() || place + 2 > frame.size()) return false;
  u16 sum = static_cast<u16>(~ones_complement_sum(frame.subspan(start, end - start)));
  if (sum == 0) sum = 0xffff;  // for UDP 0 means none; the two are the same number
  std::memcpy(frame.data() + place, &sum, sizeof sum);
  return true;
}

}  // namespace armvisor::devices
