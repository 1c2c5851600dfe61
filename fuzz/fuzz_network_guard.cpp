// What stands between a guest's frames and libslirp: headers that lie, fragments in any order, flows that come and go.
#include <vector>

#include "devices/backends/guest_packet.h"
#include "devices/backends/ipv4_reassembly.h"
#include "devices/backends/network_flows.h"
#include "input.h"

using namespace armvisor;
using devices::GuestPacket;
using devices::NetworkFlows;

namespace {

/// Headers that mostly hold, over bytes of the input: Ethernet and IPv4, few addresses and ports.
std::vector<u8> ipv4_from(fuzz::Input& in) {
  const auto bytes = in.bytes(in.get<u8>());
  std::vector<u8> frame(14 + 20, 0);
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  frame[12] = 8;
  frame[14] = 0x45;
  const u32 total = static_cast<u32>(frame.size() - 14);
  frame[16] = static_cast<u8>(total >> 8);
  frame[17] = static_cast<u8>(total);
  frame[19] = in.get<u8>() & 3;  // identification
  const u8 fragment = in.get<u8>();
  frame[20] = fragment & 0x3f;
  frame[21] = in.get<u8>();
  if (fragment & 0x40) frame[20] = frame[21] = 0;
  frame[23] = std::array<u8, 4>{6, 17, 1, 6}[in.get<u8>() & 3];
  frame[29] = in.get<u8>() & 3;
  frame[33] = in.get<u8>() & 3;
  return frame;
}

/// The same of IPv6, with extension headers now and then.
std::vector<u8> ipv6_from(fuzz::Input& in) {
  const auto bytes = in.bytes(in.get<u8>());
  std::vector<u8> frame(14 + 40, 0);
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  frame[12] = 0x86;
  frame[13] = 0xdd;
  frame[14] = 0x60;
  frame[19] = static_cast<u8>(bytes.size());
  frame[20] = std::array<u8, 8>{6, 17, 58, 58, 0, 44, 60, 6}[in.get<u8>() & 7];
  frame[21] = 0xff;
  const u8 addresses = in.get<u8>();
  frame[22] = frame[38] = 0xfe;
  if (addresses & 0x80) frame[22] = 0;
  if (addresses & 0x40) frame[38] = 0;
  if (addresses & 0x20) frame[32] = frame[33] = 0xff;
  frame[37] = addresses & 3;
  frame[53] = addresses >> 2 & 3;
  return frame;
}

std::vector<u8> frame_from(fuzz::Input& in, bool ipv6) {
  std::vector<u8> frame = ipv6 ? ipv6_from(in) : ipv4_from(in);
  const u8 lie = in.get<u8>();
  if (lie) frame[lie % frame.size()] ^= in.get<u8>();
  return frame;
}

/// What the network relies on, as libslirp does not check all of it.
void check_packet(const GuestPacket& p, std::span<const u8> frame) {
  if (p.kind == GuestPacket::Kind::Refused || p.kind == GuestPacket::Kind::Arp) return;
  if (p.packet_bytes + 14 > frame.size()) fuzz::fail("a packet longer than its frame");
  if (p.source.is_ipv4()) return;
  if (p.packet_bytes > 1500 || p.source.is_multicast6() || p.destination.is_ipv4()) fuzz::fail("a packet of IPv6");
  if (p.source.is_unspecified() && p.kind != GuestPacket::Kind::Neighbor) fuzz::fail("a packet from nowhere");
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  devices::Ipv4Reassembly fragments;
  constexpr u32 k_limit = 4;
  NetworkFlows flows(k_limit);
  u64 now = 0;
  while (!in.empty()) {
    now += in.get<u8>() * 100;
    const u8 choice = in.get<u8>();
    const auto frame = frame_from(in, (choice & 0x80) != 0);
    GuestPacket p = devices::parse_guest_packet(frame);
    check_packet(p, frame);
    std::span<const u8> whole = frame;
    if (p.kind == GuestPacket::Kind::Fragment) {
      whole = fragments.add(frame, p, now);
      if (whole.size() > 65535 + 14) fuzz::fail("a packet that is too long");
      p = devices::parse_guest_packet(whole);
      if (p.kind == GuestPacket::Kind::Fragment) fuzz::fail("a whole packet is a fragment");
      if (!whole.empty() && devices::internet_checksum(whole.subspan(14, std::size_t{whole[14] & 0xfu} * 4)) != 0)
        fuzz::fail("a header's checksum");
    }
    const NetworkFlows::Key key = NetworkFlows::key_from_guest(p);
    switch (choice % 4) {
      case 0: flows.opened(choice / 4 % 8, key, now); break;
      case 1: flows.closed(choice / 4 % 8); break;
      case 2: flows.answered(p); break;
      case 3:
        flows.used(key, now);
        flows.admit_segment(p, whole.size());
        break;
    }
    if (flows.streams() + flows.datagrams() > 8) fuzz::fail("more flows than descriptors");
    for (u32 i = 0; i < flows.datagrams(); ++i) flows.datagram_used_ms(i);
    if (const auto ended = flows.ended_stream(); ended && !flows.has(ended->key))
      fuzz::fail("an ended flow that is not");
  }
  return 0;
}
