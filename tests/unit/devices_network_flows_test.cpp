// The accounts of a user-mode network, on plain values.
#include <gtest/gtest.h>

#include "devices/backends/ipv4_reassembly.h"
#include "devices/backends/network_flows.h"
#include "guest_packets.h"

namespace armvisor::devices {
namespace {

using namespace armvisor::testing;
using Kind = GuestPacket::Kind;

std::span<const u8> bytes(const std::string& s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }
GuestPacket parse(const std::string& frame) { return parse_guest_packet(bytes(frame)); }

GuestPacket from_guest(u32 seq, u32 ack, u8 flags, std::size_t size = 0) {
  return parse(tcp(k_broadcast, 1000, k_host_ip, 80, seq, ack, flags, std::string(size, 'd')));
}
/// With the ends of from_guest.
GuestPacket to_guest(u32 seq, u32 ack, u8 flags, std::size_t size = 0) {
  GuestPacket p = parse(tcp(k_broadcast, 80, k_guest_ip, 1000, seq, ack, flags, std::string(size, 'd')));
  p.source = k_host_ip;
  return p;
}

TEST(GuestPackets, HeadersThatHold) {
  GuestPacket p = from_guest(5, 6, k_syn, 3);
  EXPECT_EQ(p.kind, Kind::Tcp);
  EXPECT_EQ(p.source, k_guest_ip);
  EXPECT_EQ(p.destination, k_host_ip);
  EXPECT_EQ(p.source_port, 1000);
  EXPECT_EQ(p.destination_port, 80);
  EXPECT_EQ(p.payload_bytes, 3u);
  EXPECT_EQ(p.sequence_length(), 4u);
  p = parse(udp(k_broadcast, k_guest_ip, 7, k_host_ip, 53, "data"));
  EXPECT_EQ(p.kind, Kind::Udp);
  EXPECT_EQ(p.source_port, 7);
  EXPECT_EQ(parse(arp_request(k_host_ip)).kind, Kind::Arp);
  EXPECT_EQ(parse(ipv4(k_broadcast, k_guest_ip, k_host_ip, 1, std::string(8, '\x08'))).kind, Kind::Echo);
}

TEST(GuestPackets, WhatNeedsNoStateIsRefused) {
  for (const u32 type : {0x86ddu, 0x88f8u, 0x8100u})  // no IPv6, NC-SI, VLAN
    EXPECT_EQ(parse(ethernet(k_broadcast, type, std::string(60, 'E'))).kind, Kind::Refused);
  EXPECT_EQ(parse(ipv4(k_broadcast, k_guest_ip, k_host_ip, 47, std::string(60, 'g'))).kind, Kind::Refused);
  EXPECT_EQ(parse(ipv4(k_broadcast, k_guest_ip, k_host_ip, 1, std::string(8, '\0'))).kind, Kind::Refused);
}

TEST(GuestPackets, HeadersThatLieAreRefused) {
  const std::string good = tcp(k_broadcast, 1, k_host_ip, 2, 3, 4, k_ack, "data");
  const std::pair<std::size_t, char> lies[] = {{14, 0x55}, {14, 0x44}, {14, 0x4f},  {16, 1},
                                               {17, 19},   {46, 0x40}, {46, '\xf0'}};
  for (const auto& [at, value] : lies) {
    std::string f = good;
    f[at] = value;
    EXPECT_EQ(parse(f).kind, Kind::Refused) << at;
  }
  for (const char length : {0, 7, 13}) {  // of 12
    std::string f = udp(k_broadcast, k_guest_ip, 7, k_host_ip, 53, "data");
    f[39] = length;
    EXPECT_EQ(parse(f).kind, Kind::Refused) << int{length};
  }
  for (std::size_t size = 0; size < 54; ++size) EXPECT_EQ(parse(good.substr(0, size)).kind, Kind::Refused) << size;
}

TEST(GuestPackets, HeadersOfIpv6ThatHold) {
  GuestPacket p = parse(tcp6(1000, k_host_ip6, 80, 5, 6, k_syn, "abc"));
  EXPECT_EQ(p.kind, Kind::Tcp);
  EXPECT_EQ(p.source, *parse_ipv6("fec0::f"));
  EXPECT_EQ(p.destination, *parse_ipv6("fec0::2"));
  EXPECT_EQ(p.source_port, 1000);
  EXPECT_EQ(p.sequence_length(), 4u);
  EXPECT_EQ(p.packet_bytes, 63u);
  EXPECT_EQ(parse(udp6(k_guest_ip6, 7, k_host_ip6, 53, "data")).kind, Kind::Udp);
  const std::string nobody(16, '\0');
  EXPECT_EQ(parse(icmp6(k_guest_ip6, k_host_ip6, 128, "ping")).kind, Kind::Echo);
  EXPECT_EQ(parse(neighbor_solicitation(k_guest_ip6, k_host_ip6)).kind, Kind::Neighbor);
  EXPECT_EQ(parse(neighbor_solicitation(nobody, k_guest_ip6)).kind, Kind::Neighbor) << "is my address another's?";
  EXPECT_EQ(parse(icmp6(nobody, k_host_ip6, 133, "rs..")).kind, Kind::Neighbor);
  for (const u8 hops : {0, 1, 254}) {
    std::string from_afar = neighbor_solicitation(k_guest_ip6, k_host_ip6);
    from_afar[21] = static_cast<char>(hops);
    EXPECT_EQ(parse(from_afar).kind, Kind::Refused) << int{hops};
  }
  // The pseudo header's sum is that by which these frames were made.
  const std::string frame = tcp6(1000, k_host_ip6, 80, 5, 6, k_syn, "abcd");
  EXPECT_EQ(internet_checksum(bytes(frame).subspan(54), pseudo_header_sum(p.source, p.destination, 6, 24)), 0);
}

TEST(GuestPackets, WhatGoesToALoopbackAddressIsRefused) {
  for (const u32 address : {0u, 1u, 0x7f000001u, 0x7f123456u, 0x00ffffffu}) {
    EXPECT_EQ(parse(tcp(k_broadcast, 1000, address, 80, 5, 0, k_syn)).kind, Kind::Refused) << address;
    EXPECT_EQ(parse(udp(k_broadcast, k_guest_ip, 7, address, 53, "data")).kind, Kind::Refused) << address;
  }
  EXPECT_EQ(parse(tcp(k_broadcast, 1000, 0x80000001, 80, 5, 0, k_syn)).kind, Kind::Tcp);
  for (const char last : {0, 1}) {
    const std::string address = std::string(15, '\0') + last;
    EXPECT_EQ(parse(tcp6(1000, address, 80, 5, 0, k_syn)).kind, Kind::Refused);
    EXPECT_EQ(parse(udp6(k_guest_ip6, 7, address, 53, "data")).kind, Kind::Refused);
    EXPECT_EQ(parse(icmp6(k_guest_ip6, address, 128, "ping")).kind, Kind::Refused);
  }
}

TEST(GuestPackets, WhatOfIpv6NobodyAnswersIsRefused) {
  const std::string nobody(16, '\0'), all("\xff\x02" + std::string(13, '\0') + '\x01');
  const std::string mapped(std::string(10, '\0') + "\xff\xff\x0a" + std::string("\0\x02\x0f", 3));
  const std::string segment = tcp6(1, k_host_ip6, 2, 3, 4, k_ack, "data").substr(54);
  EXPECT_EQ(parse(ipv6(k_guest_ip6, k_host_ip6, 6, segment)).kind, Kind::Tcp);
  for (const std::string& source : {nobody, all, mapped})
    EXPECT_EQ(parse(ipv6(source, k_host_ip6, 6, segment)).kind, Kind::Refused);
  EXPECT_EQ(parse(ipv6(k_guest_ip6, mapped, 6, segment)).kind, Kind::Refused);
  EXPECT_EQ(parse(icmp6(nobody, k_host_ip6, 128, "ping")).kind, Kind::Refused) << "libslirp would end the process";
  for (const u8 type : {1, 2, 3, 4, 129, 130, 134, 137, 143})
    EXPECT_EQ(parse(icmp6(k_guest_ip6, k_host_ip6, type, std::string(40, 'x'))).kind, Kind::Refused) << int{type};
  // Extension headers: hop-by-hop options, routing, a fragment, destination options, none, and those of IPsec.
  for (const u8 next : {0, 43, 44, 60, 59, 50, 51})
    EXPECT_EQ(parse(ipv6(k_guest_ip6, k_host_ip6, next, std::string("\6\0\1\4\0\0\0\0", 8) + segment)).kind,
              Kind::Refused);
  EXPECT_EQ(parse(udp6(k_guest_ip6, 1, k_host_ip6, 2, std::string(1452, 'u'))).kind, Kind::Udp);
  EXPECT_EQ(parse(udp6(k_guest_ip6, 1, k_host_ip6, 2, std::string(1453, 'u'))).kind, Kind::Refused);
}

TEST(GuestPackets, HeadersOfIpv6ThatLieAreRefused) {
  const std::string good = tcp6(1, k_host_ip6, 2, 3, 4, k_ack, "data");
  const std::pair<std::size_t, char> lies[] = {{14, 0x40}, {14, 0x70}, {18, 1},     {19, 19},
                                               {19, 25},   {66, 0x40}, {66, '\xf0'}};
  for (const auto& [at, value] : lies) {
    std::string f = good;
    f[at] = value;
    EXPECT_EQ(parse(f).kind, Kind::Refused) << at;
  }
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_EQ(parse(good.substr(0, size)).kind, Kind::Refused);
}

TEST(IpAddresses, BothVersions) {
  EXPECT_EQ(ip_text(0x0a00020f), "10.0.2.15");
  EXPECT_EQ(ip_text(*parse_ipv6("FEC0:0::2")), "[fec0::2]");
  EXPECT_EQ(ip_text(*parse_ipv6("::")), "[::]");
  EXPECT_FALSE(parse_ipv6("::ffff:10.0.2.15")) << "no packet has it";
  for (const char* bad : {"", "10.0.2.15", "fec0", "[::1]", "::1%lo", "1:2:3:4:5:6:7:8:9"})
    EXPECT_FALSE(parse_ipv6(bad)) << bad;
  EXPECT_NE(IpAddress(1u), *parse_ipv6("::1"));
}

TEST(NetworkFlows, CountsWhatIsOpen) {
  NetworkFlows flows(2);
  const auto key = NetworkFlows::key_from_guest(from_guest(0, 0, k_syn));
  flows.opened(5, key, 1);
  EXPECT_TRUE(flows.has(key));
  flows.opened(6, {NetworkFlows::Kind::Datagram, 1u, {}, 2, 0}, 10);
  flows.opened(7, {}, 11);
  EXPECT_EQ(flows.streams(), 1u);
  EXPECT_TRUE(flows.datagrams_full());
  EXPECT_EQ(flows.datagram_used_ms(0), 10u);
  EXPECT_EQ(flows.datagram_used_ms(1), 11u);
  flows.used({NetworkFlows::Kind::Datagram, 1u, {}, 2, 0}, 12);
  EXPECT_EQ(flows.datagram_used_ms(0), 11u);
  flows.opened(5, key, 20);  // the number is used again though nobody said that it was closed
  EXPECT_EQ(flows.streams(), 1u);
  for (const int fd : {5, 6, 7, 7, 99, -1}) flows.closed(fd);
  EXPECT_EQ(flows.streams() + flows.datagrams(), 0u);
  EXPECT_FALSE(flows.has(key));
}

/// A connection whose guest has sent up to `acked`, across the end of the sequence numbers when that is small.
struct Stream {
  NetworkFlows flows{4};
  u32 acked;
  explicit Stream(u32 a) : acked(a) {
    flows.opened(5, NetworkFlows::key_from_guest(from_guest(0, 0, k_syn)), 1);
    EXPECT_FALSE(flows.admit_segment(from_guest(acked, 7, k_ack, 1), 100)) << "nothing is in order yet";
    flows.answered(to_guest(6, acked, k_syn | k_ack));
  }
  bool admit(u32 ahead, std::size_t size, u8 flags = k_ack) {
    return flows.admit_segment(from_guest(acked + ahead, 7, flags, size), 54 + size);
  }
};

TEST(NetworkFlows, DataInOrderIsFree) {
  for (const u32 acked : {1000u, 0xffffff00u}) {
    Stream s(acked);
    for (int i = 0; i < 10000; ++i) ASSERT_TRUE(s.admit(0, 1460)) << "not taken yet: sent again";
    for (int i = 0; i < 10000; ++i) {
      ASSERT_TRUE(s.admit(0, 1460));
      s.acked += 1460;
      s.flows.answered(to_guest(7, s.acked, k_ack));
    }
  }
}

TEST(NetworkFlows, DataOutOfOrderIsBoundedUntilAllOfItIsTaken) {
  for (const u32 acked : {1000u, 0xffffff00u}) {
    Stream s(acked);
    std::size_t admitted = 0;
    while (s.admit(2 + 2 * static_cast<u32>(admitted), 1)) ++admitted;
    EXPECT_EQ(admitted, NetworkFlows::k_max_held / (NetworkFlows::k_segment_cost + 55));
    s.acked += 2;  // libslirp took what was in order; the rest may wait still
    s.flows.answered(to_guest(7, s.acked, k_ack));
    EXPECT_FALSE(s.admit(2, 1));
    EXPECT_TRUE(s.admit(0, 1));
    // A reset answers with the numbers that it was sent, so it says nothing.
    s.flows.answered(to_guest(7, s.acked + 100000, k_ack | k_rst));
    EXPECT_FALSE(s.admit(2, 1));
    s.acked += 2 * static_cast<u32>(admitted);
    s.flows.answered(to_guest(7, s.acked, k_ack));
    EXPECT_TRUE(s.admit(2, 1));
  }
}

TEST(NetworkFlows, NumbersThatGoRoundDoNotLookTaken) {
  Stream s(1000);
  while (s.admit(2, 1)) {
  }
  // Far ahead is refused; what is half of all numbers away is old, and libslirp drops it.
  for (u32 step = 0; step < 8; ++step) EXPECT_EQ(s.admit(step << 29 | 0x1000000, 1), step >= 4);
  s.flows.answered(to_guest(7, 1001, k_ack));
  EXPECT_FALSE(s.flows.admit_segment(from_guest(1003, 7, k_ack, 1), 55));
}

TEST(NetworkFlows, AnEndIsWhatBothSidesHaveSeen) {
  Stream s(1000);
  EXPECT_TRUE(s.admit(0, 0, k_fin | k_ack));
  EXPECT_FALSE(s.flows.ended_stream());
  s.flows.answered(to_guest(7, 1001, k_ack));
  EXPECT_FALSE(s.flows.ended_stream()) << "the far side may still send";
  s.flows.answered(to_guest(7, 1001, k_fin | k_ack, 10));
  EXPECT_FALSE(s.flows.ended_stream()) << "the guest has not seen it";
  s.flows.admit_segment(from_guest(1001, 17, k_ack), 54);
  EXPECT_FALSE(s.flows.ended_stream()) << "only the data";
  s.flows.admit_segment(from_guest(1001, 18, k_ack), 54);
  const auto ended = s.flows.ended_stream();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->seq, 1001u);
  EXPECT_EQ(ended->key.guest_port, 1000);
}

/// A fragment of a UDP datagram that is `data`.
std::string fragment(u16 id, std::string_view data, std::size_t at, std::size_t size) {
  std::string f = ipv4(k_broadcast, k_guest_ip, k_host_ip, 17, data.substr(at, size));
  f.replace(18, 2, be16(id));
  f.replace(20, 2, be16((at + size < data.size() ? 0x2000u : 0u) | static_cast<u32>(at / 8)));
  return f;
}

struct Reassembly {
  Ipv4Reassembly r;
  std::string add(const std::string& f, u64 now = 0) {
    const auto whole = r.add(bytes(f), parse(f), now);
    return {whole.begin(), whole.end()};
  }
};

TEST(Ipv4Reassembly, AnyOrderAndAnyOverlap) {
  const std::string data = udp(k_broadcast, k_guest_ip, 5, k_host_ip, 6, std::string(1000, 'r')).substr(34);
  Reassembly r;
  EXPECT_EQ(r.add(fragment(1, data, 800, 300)), "");
  EXPECT_EQ(r.add(fragment(2, data, 0, 400)), "") << "another packet";
  EXPECT_EQ(r.add(fragment(1, data, 400, 408)), "");
  EXPECT_EQ(r.add(fragment(1, data, 400, 408)), "") << "twice";
  const std::string whole = r.add(fragment(1, data, 0, 480));
  ASSERT_EQ(whole.size(), 34 + data.size());
  EXPECT_EQ(whole.substr(34), data);
  EXPECT_EQ(checksum(whole.substr(14, 20)), 0u);
  EXPECT_EQ(parse(whole).kind, Kind::Udp);
  EXPECT_EQ(r.add(fragment(1, data, 800, 300)), "") << "nothing is left of it";
}

TEST(Ipv4Reassembly, TheOldestGoesAndNoneStaysForLong) {
  const std::string data(1008, 'r');
  Reassembly r;
  for (u16 id = 0; id <= Ipv4Reassembly::k_packets; ++id) EXPECT_EQ(r.add(fragment(id, data, 0, 800), id), "");
  EXPECT_NE(r.add(fragment(1, data, 800, 208), 100), "");
  EXPECT_EQ(r.add(fragment(0, data, 800, 208), 100), "") << "it had to make room";
  EXPECT_EQ(r.add(fragment(2, data, 800, 208), 100 + Ipv4Reassembly::k_patience_ms), "") << "too late";
}

TEST(Ipv4Reassembly, FragmentsThatContradictEachOther) {
  const std::string data(1008, 'r');
  Reassembly r;
  EXPECT_EQ(r.add(fragment(1, data, 800, 208)), "");
  EXPECT_EQ(r.add(fragment(1, data.substr(0, 904), 800, 104)), "") << "an earlier end";
  EXPECT_EQ(r.add(fragment(1, data, 0, 800)), "") << "all of it was given up";
  std::string long_one = fragment(2, data, 0, 1000);
  long_one.replace(20, 2, be16(0x1fff));  // ends behind 65,535
  EXPECT_EQ(r.add(long_one), "");
  std::string odd = fragment(3, data, 0, 1000);
  odd.resize(odd.size() - 3);
  odd.replace(16, 2, be16(20 + 997));  // more follow, yet it is no multiple of 8
  EXPECT_EQ(r.add(odd), "");
}

}  // namespace
}  // namespace armvisor::devices
