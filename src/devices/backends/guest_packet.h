#pragma once
// What an Ethernet frame of the user-mode network asks of whoever keeps its state: read once, from headers that are
// whole and agree with each other. Addresses and ports are in host byte order.
#include <span>

#include "base/types.h"
#include "devices/backends/ip_address.h"

namespace armvisor::devices {

inline constexpr u8 k_tcp_fin = 1, k_tcp_syn = 2, k_tcp_rst = 4, k_tcp_ack = 16, k_tcp_urg = 32;
inline constexpr u8 k_protocol_tcp = 6, k_protocol_icmp6 = 58;
inline constexpr u8 k_neighbor_advertisement = 136;  ///< a type of ICMPv6
inline constexpr std::size_t k_ethernet_header = 14, k_ipv6_header = 40;

struct GuestPacket {
  enum class Kind : u8 {
    Refused,   ///< neither ARP nor IP of a known protocol, or headers that do not hold
    Arp,       //
    Neighbor,  ///< solicitations and advertisements of neighbours, and solicitations of routers (RFC 4861)
    Fragment,  ///< of an IPv4 packet: the fields up to `more`
    Tcp,
    Udp,
    Echo,  ///< an ICMP or ICMPv6 echo request
  };
  Kind kind = Kind::Refused;
  u8 protocol = 0;
  IpAddress source, destination;
  u32 header_bytes = 0;   ///< of the IP header
  u32 packet_bytes = 0;   ///< of the IP header and what it says is behind it: no more of the frame means anything
  u32 payload_bytes = 0;  ///< behind it, or with TCP behind the TCP header
  u16 id = 0;             ///< a fragment's
  u32 offset = 0;         ///< of a fragment, in bytes
  bool more = false;      ///< fragments follow
  u16 source_port = 0, destination_port = 0;
  u32 seq = 0, ack = 0;      ///< TCP
  u8 flags = 0;              ///< TCP
  u32 max_segment = 0xffff;  ///< the smallest that a SYN's options name; else 0xffff
  /// The sequence numbers that it uses (RFC 9293 3.4).
  u32 sequence_length() const {
    return payload_bytes + ((flags & k_tcp_syn) != 0 ? 1 : 0) + ((flags & k_tcp_fin) != 0 ? 1 : 0);
  }
};

/// Addresses that are a host's own, of loopback, are on no wire (RFC 1122 3.2.1.3, RFC 4291 2.5.3): what goes to them
/// is refused, and so does not reach the host's own services. Of IPv6, packets have no extension headers, and are no
/// longer than the network's 1,500 bytes: libslirp takes no others.
GuestPacket parse_guest_packet(std::span<const u8> frame);

/// The sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1), for internet_checksum.
u32 pseudo_header_sum(const IpAddress& source, const IpAddress& destination, u8 protocol, std::size_t bytes);
/// The Internet checksum (RFC 1071) of `bytes`, to be stored in network byte order; `sum` is added to it.
u16 internet_checksum(std::span<const u8> bytes, u32 sum = 0);

}  // namespace armvisor::devices
