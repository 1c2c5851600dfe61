#pragma once
// Fragments of IPv4 packets put together again (RFC 791 3.2), in a bounded room: libslirp keeps as many as a guest
// sends, for half a minute each, so it is given whole packets only.
#include <array>
#include <bitset>
#include <span>
#include <vector>

#include "base/types.h"
#include "devices/backends/guest_packet.h"

namespace armvisor::devices {

class Ipv4Reassembly {
 public:
  /// Packets that may be incomplete at once; another one takes the place of the oldest. 64 KiB each.
  static constexpr std::size_t k_packets = 16;
  static constexpr u64 k_patience_ms = 30'000;

  /// Takes the frame of a fragment, which `p` is read from. The frame of the whole packet when that was the last one
  /// missing, else nothing; it stands until the next call.
  std::span<const u8> add(std::span<const u8> frame, const GuestPacket& p, u64 now_ms);

 private:
  static constexpr u32 k_max_payload = 65535 - 20;
  struct Packet {
    bool used = false;
    IpAddress source, destination;
    u16 id = 0;
    u8 protocol = 0;
    u64 started_ms = 0;
    u32 total = 0;    ///< payload bytes; 0: the last fragment has not come
    u32 missing = 0;  ///< units of 8 bytes below the highest one there is
    u32 highest = 0;  ///< unit behind the last one there is
    std::bitset<8192> there;
    std::vector<u8> frame;  ///< Ethernet and IPv4 header of the first fragment, then the payload
    u32 header = 0;         ///< bytes before the payload; 0: the first fragment has not come
  };
  Packet& find(const GuestPacket& p, u64 now_ms);
  static std::span<const u8> finish(Packet& packet);

  std::array<Packet, k_packets> packets_;
};

}  // namespace armvisor::devices
