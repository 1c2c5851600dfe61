#pragma once
// What the controller does to a frame on its way out: checksums, segmentation, the tag of a VLAN (317453 section 3.3).
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices::e1000 {

/// Where a checksum begins, where it goes, and the last byte that it is of; 0: the frame's.
struct ChecksumPlace {
  u32 start = 0, place = 0, last = 0;
};

/// A context descriptor (317453 section 3.3.6).
struct SegmentContext {
  ChecksumPlace ip, payload;
  u32 header_bytes = 0, segment_bytes = 0;  ///< of a segment: up to its data, and of data
  bool tcp = false, ipv4 = false;
};

/// A frame that is to be sent.
struct Outgoing {
  static constexpr std::size_t k_max_bytes = 0x10000 + 0x100;  ///< with its headers
  std::vector<u8> bytes;
  bool begun = false, too_long = false;
  bool segments = false;  ///< to be cut by `context`
  bool ip_checksum = false, payload_checksum = false;
  SegmentContext context;
  std::optional<u16> tag;
  u16 tag_type = 0;

  /// Keeps the memory.
  void clear() {
    std::vector<u8> kept = std::move(bytes);
    kept.clear();
    *this = {};
    bytes = std::move(kept);
  }
};

/// Calls `send` for each frame that `out` becomes, and returns how many there were; changes its bytes.
u32 send_as_told(Outgoing& out, const std::function<void(std::span<const u8>)>& send);

}  // namespace armvisor::devices::e1000
