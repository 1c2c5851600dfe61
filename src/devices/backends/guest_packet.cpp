#include "devices/backends/guest_packet.h"

#include <algorithm>

#include "devices/frame_bytes.h"

namespace armvisor::devices {
namespace {

constexpr u32 k_type_ipv4 = 0x0800, k_type_arp = 0x0806, k_type_ipv6 = 0x86dd;
constexpr u8 k_icmp = 1, k_udp = 17, k_icmp_echo = 8;
constexpr u8 k_icmp6_echo = 128, k_router_solicitation = 133, k_neighbor_solicitation = 135;
constexpr u32 k_max_ipv6_packet = 1500;
constexpr u32 k_option_end = 0, k_option_nop = 1, k_option_max_segment = 2;

/// The smallest maximum segment size that the options name.
u32 max_segment(std::span<const u8> options) {
  u32 result = 0xffff;
  while (!options.empty() && options[0] != k_option_end) {
    std::size_t size = 1;
    if (options[0] != k_option_nop) {
      if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) break;
      size = options[1];
      if (options[0] == k_option_max_segment && size == 4) result = std::min<u32>(result, get16(options, 2));
    }
    options = options.subspan(size);
  }
  return result;
}

bool parse_tcp(std::span<const u8> s, GuestPacket& p) {
  if (s.size() < 20) return false;
  const std::size_t header = std::size_t{s[12]} >> 4 << 2;
  if (header < 20 || header > s.size()) return false;
  p.source_port = get16(s, 0);
  p.destination_port = get16(s, 2);
  p.seq = get32(s, 4);
  p.ack = get32(s, 8);
  p.flags = s[13] & 0x3f;
  p.payload_bytes = static_cast<u32>(s.size() - header);
  if (p.flags & k_tcp_syn) p.max_segment = max_segment(s.first(header).subspan(20));
  p.kind = GuestPacket::Kind::Tcp;
  return true;
}

bool parse_udp(std::span<const u8> s, GuestPacket& p) {
  if (s.size() < 8 || get16(s, 4) < 8 || get16(s, 4) > s.size()) return false;
  p.source_port = get16(s, 0);
  p.destination_port = get16(s, 2);
  p.kind = GuestPacket::Kind::Udp;
  return true;
}

/// Other messages are not answered by a user-mode network, nor passed on.
bool parse_icmp(std::span<const u8> s, GuestPacket& p) {
  if (s.size() < 8 || s[0] != k_icmp_echo) return false;
  p.kind = GuestPacket::Kind::Echo;
  return true;
}

/// An echo request that could not be answered, as its sender has no address, is refused; so is what routers say, and
/// errors, which a user-mode network does not look at. What neighbours say has come from no further (RFC 4861 6.1.1,
/// 7.1.1, 7.1.2).
bool parse_icmp6(std::span<const u8> s, u8 hop_limit, GuestPacket& p) {
  if (s.size() < 8) return false;
  switch (s[0]) {
    case k_icmp6_echo: p.kind = GuestPacket::Kind::Echo; return !p.source.is_unspecified();
    case k_router_solicitation:
    case k_neighbor_solicitation:
    case k_neighbor_advertisement: p.kind = GuestPacket::Kind::Neighbor; return hop_limit == 255;
    default: return false;
  }
}

bool parse_ipv6_packet(std::span<const u8> s, GuestPacket& p) {
  if (s.size() < k_ipv6_header || s[0] >> 4 != 6) return false;
  p.header_bytes = k_ipv6_header;
  p.payload_bytes = get16(s, 4);
  p.packet_bytes = p.header_bytes + p.payload_bytes;
  if (p.packet_bytes > s.size() || p.packet_bytes > k_max_ipv6_packet) return false;
  p.protocol = s[6];
  p.source = get_ipv6(s, 8);
  p.destination = get_ipv6(s, 24);
  if (p.source.is_ipv4() || p.destination.is_ipv4() || p.source.is_multicast6() || p.destination.is_loopback())
    return false;
  const std::span<const u8> payload = s.subspan(k_ipv6_header, p.payload_bytes);
  if (p.protocol == k_protocol_icmp6) return parse_icmp6(payload, s[7], p);
  if (p.source.is_unspecified()) return false;
  if (p.protocol == k_protocol_tcp) return parse_tcp(payload, p);
  return p.protocol == k_udp && parse_udp(payload, p);
}

bool parse_ipv4_packet(std::span<const u8> s, GuestPacket& p) {
  if (s.size() < 20 || s[0] >> 4 != 4) return false;
  p.header_bytes = u32{s[0] & 0xfu} * 4;
  const u32 total = get16(s, 2);
  if (p.header_bytes < 20 || total < p.header_bytes || total > s.size()) return false;
  p.protocol = s[9];
  p.source = get32(s, 12);
  p.destination = get32(s, 16);
  if (p.destination.is_loopback()) return false;
  p.packet_bytes = total;
  p.payload_bytes = total - p.header_bytes;
  p.id = get16(s, 4);
  const u32 fragment = get16(s, 6);
  p.offset = (fragment & 0x1fff) * 8;
  p.more = (fragment & 0x2000) != 0;
  if (p.more || p.offset) {
    p.kind = GuestPacket::Kind::Fragment;
    return true;
  }
  const std::span<const u8> payload = s.subspan(p.header_bytes, p.payload_bytes);
  switch (p.protocol) {
    case k_protocol_tcp: return parse_tcp(payload, p);
    case k_udp: return parse_udp(payload, p);
    case k_icmp: return parse_icmp(payload, p);
    default: return false;
  }
}

}  // namespace

GuestPacket parse_guest_packet(std::span<const u8> frame) {
  GuestPacket p;
  if (frame.size() < k_ethernet_header) return p;
  const u32 type = get16(frame, 12);
  if (type == k_type_arp) p.kind = GuestPacket::Kind::Arp;
  const std::span<const u8> packet = frame.subspan(k_ethernet_header);
  if (type == k_type_ipv4 && !parse_ipv4_packet(packet, p)) p.kind = GuestPacket::Kind::Refused;
  if (type == k_type_ipv6 && !parse_ipv6_packet(packet, p)) p.kind = GuestPacket::Kind::Refused;
  return p;
}

u32 pseudo_header_sum(const IpAddress& source, const IpAddress& destination, u8 protocol, std::size_t bytes) {
  u32 sum = protocol + static_cast<u32>(bytes);
  for (const IpAddress& a : {source, destination}) {
    const u64 high = a.is_ipv4() ? 0 : a.high, low = a.is_ipv4() ? a.ipv4() : a.low;
    for (int shift = 0; shift < 64; shift += 16)
      sum += (static_cast<u32>(high >> shift) & 0xffff) + (static_cast<u32>(low >> shift) & 0xffff);
  }
  return sum;
}

u16 internet_checksum(std::span<const u8> bytes, u32 sum) {
  u64 total = sum;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) total += get16(bytes, i);
  if (bytes.size() % 2) total += u32{bytes.back()} << 8;
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return static_cast<u16>(~total);
}

}  // namespace armvisor::devices
