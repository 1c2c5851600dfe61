#pragma once
// Frames as a guest's network stack builds them, for tests: Ethernet, ARP, IPv4, UDP, TCP. Addresses in host order.
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::testing {

inline constexpr std::string_view k_guest_mac{"\x52\x54\x00\x12\x34\x56", 6};
inline constexpr std::string_view k_broadcast{"\xff\xff\xff\xff\xff\xff", 6};
inline constexpr u32 k_guest_ip = 0x0a00020f;
inline constexpr u32 k_host_ip = 0x0a000202;
inline constexpr u8 k_fin = 1, k_syn = 2, k_rst = 4, k_psh = 8, k_ack = 16;

inline std::string be16(u32 v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
inline std::string be32(u32 v) { return be16(v >> 16) + be16(v & 0xffff); }
inline u32 get16(std::string_view s, std::size_t at) {
  return static_cast<u32>(static_cast<u8>(s[at]) << 8 | static_cast<u8>(s[at + 1]));
}
inline u32 get32(std::string_view s, std::size_t at) { return get16(s, at) << 16 | get16(s, at + 2); }

/// RFC 1071, over big-endian 16-bit words.
inline u32 checksum(std::string_view s) {
  u32 sum = 0;
  for (std::size_t i = 0; i < s.size(); i += 2)
    sum += static_cast<u32>(static_cast<u8>(s[i]) << 8) + (i + 1 < s.size() ? static_cast<u8>(s[i + 1]) : 0u);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
inline std::string ethernet(std::string_view to, u32 type, std::string_view payload) {
  return std::string(to) + std::string(k_guest_mac) + be16(type) + std::string(payload);
}
inline std::string arp_request(u32 who) {
  return ethernet(k_broadcast, 0x0806,
                  be16(1) + be16(0x800) + "\x06\x04" + be16(1) + std::string(k_guest_mac) + be32(k_guest_ip) +
                      std::string(6, '\0') + be32(who));
}
inline std::string arp_reply(std::string_view to_mac, u32 to_ip) {
  return ethernet(to_mac, 0x0806,
                  be16(1) + be16(0x800) + "\x06\x04" + be16(2) + std::string(k_guest_mac) + be32(k_guest_ip) +
                      std::string(to_mac) + be32(to_ip));
}
inline std::string ipv4(std::string_view to_mac, u32 source, u32 destination, u8 protocol, std::string_view payload) {
  std::string h = be16(0x4500) + be16(static_cast<u32>(20 + payload.size())) + be32(0) +
                  std::string{64, static_cast<char>(protocol)} + be16(0) + be32(source) + be32(destination);
  h.replace(10, 2, be16(checksum(h)));
  return ethernet(to_mac, 0x0800, h + std::string(payload));
}
inline std::string pseudo_header(u32 source, u32 destination, u8 protocol, std::size_t size) {
  return be32(source) + be32(destination) + be16(protocol) + be16(static_cast<u32>(size));
}
inline std::string udp(std::string_view to_mac, u32 source, u32 from, u32 destination, u32 to, std::string_view data) {
  std::string p = be16(from) + be16(to) + be16(static_cast<u32>(8 + data.size())) + be16(0) + std::string(data);
  p.replace(6, 2, be16(checksum(pseudo_header(source, destination, 17, p.size()) + p)));
  return ipv4(to_mac, source, destination, 17, p);
}
/// `offload`: leave the checksum to the device, with the pseudo header's sum in its place.
inline std::string tcp(std::string_view to_mac, u32 from, u32 destination, u32 to, u32 seq, u32 ack, u8 flags,
                       std::string_view data = {}, bool offload = false) {
  std::string p =
      be16(from) + be16(to) + be32(seq) + be32(ack) + be16(0x5000u | flags) + be16(32000) + be32(0) + std::string(data);
  const std::string pseudo = pseudo_header(k_guest_ip, destination, 6, p.size());
  p.replace(16, 2, be16(offload ? ~checksum(pseudo) & 0xffff : checksum(pseudo + p)));
  return ipv4(to_mac, k_guest_ip, destination, 6, p);
}

/// Addresses of IPv6 are 16 bytes.
inline const std::string k_guest_ip6("\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f", 16);
inline const std::string k_host_ip6("\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
inline std::string ipv6(std::string_view source, std::string_view destination, u8 next, std::string_view payload) {
  return ethernet(k_broadcast, 0x86dd,
                  be32(0x60000000) + be16(static_cast<u32>(payload.size())) + static_cast<char>(next) + '\xff' +
                      std::string(source) + std::string(destination) + std::string(payload));
}
/// `p` in a packet, with its checksum at `at`.
inline std::string ipv6_checked(std::string_view source, std::string_view destination, u8 next, std::string p,
                                std::size_t at) {
  const std::string pseudo =
      std::string(source) + std::string(destination) + be32(static_cast<u32>(p.size())) + be32(next);
  p.replace(at, 2, be16(checksum(pseudo + p)));
  return ipv6(source, destination, next, p);
}
inline std::string udp6(std::string_view source, u32 from, std::string_view destination, u32 to,
                        std::string_view data) {
  return ipv6_checked(source, destination, 17,
                      be16(from) + be16(to) + be16(static_cast<u32>(8 + data.size())) + be16(0) + std::string(data), 6);
}
inline std::string tcp6(u32 from, std::string_view destination, u32 to, u32 seq, u32 ack, u8 flags,
                        std::string_view data = {}) {
  return ipv6_checked(
      k_guest_ip6, destination, 6,
      be16(from) + be16(to) + be32(seq) + be32(ack) + be16(0x5000u | flags) + be16(32000) + be32(0) + std::string(data),
      16);
}
inline std::string icmp6(std::string_view source, std::string_view destination, u8 type, std::string_view rest) {
  return ipv6_checked(source, destination, 58, static_cast<char>(type) + std::string(3, '\0') + std::string(rest), 2);
}
inline std::string neighbor_solicitation(std::string_view source, std::string_view who) {
  const std::string group = std::string("\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff", 13) + std::string(who.substr(13));
  return icmp6(source, group, 135, std::string(4, '\0') + std::string(who) + "\x01\x01" + std::string(k_guest_mac));
}

/// What a test looks at in a TCP segment.
struct TcpView {
  bool valid = false;
  std::string mac;
  u32 source_ip = 0, source = 0, destination = 0, seq = 0, ack = 0;
  u8 flags = 0;
  std::string data;
};
/// Of IPv4 or IPv6; source_ip is that of IPv4.
inline TcpView parse_tcp(std::string_view f) {
  TcpView v;
  const bool v6 = f.size() >= 74 && get16(f, 12) == 0x86dd && static_cast<u8>(f[20]) == 6;
  if (!v6 && (f.size() < 54 || get16(f, 12) != 0x0800 || static_cast<u8>(f[23]) != 6)) return v;
  const std::size_t t = v6 ? 54 : 34, size = v6 ? get16(f, 18) : get16(f, 16) - 20;
  const std::string_view addresses = v6 ? f.substr(22, 32) : f.substr(26, 8);
  const std::size_t header = static_cast<std::size_t>(static_cast<u8>(f[t + 12]) >> 4) * 4;
  v.valid =
      checksum(std::string(addresses) + be16(6) + be16(static_cast<u32>(size)) + std::string(f.substr(t, size))) == 0;
  v.mac = f.substr(6, 6);
  if (!v6) v.source_ip = get32(f, 26);
  v.source = get16(f, t);
  v.destination = get16(f, t + 2);
  v.seq = get32(f, t + 4);
  v.ack = get32(f, t + 8);
  v.flags = static_cast<u8>(f[t + 13]);
  v.data = f.substr(t + header, size - header);
  return v;
}

}  // namespace armvisor::testing
