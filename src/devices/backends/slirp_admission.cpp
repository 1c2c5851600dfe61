// Which of the guest's packets libslirp is given, so that what it keeps for the guest is bounded.
#include <arpa/inet.h>
#include <fcntl.h>
#include <libslirp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/log_once.h"
#include "devices/backends/slirp_network.h"
#include "devices/frame_bytes.h"

namespace armvisor::devices {
namespace {

constexpr u32 k_broadcast = 0xffffffff;
constexpr u16 k_dhcp_server = 67, k_dhcp6_server = 547;
constexpr IpAddress k_dhcp6_servers(0xff02'0000'0000'0000, 0x1'0002);  // RFC 8415 7.1
/// How long libslirp keeps an idle UDP flow or an unanswered ping (its SO_EXPIRE), and the steps of it by which its
/// clock is put forward when that was not enough.
constexpr u64 k_datagram_life_ms = 240'000, k_expiry_step_ms = 15'000;
/// Descriptors that the guest's flows leave to the rest of the machine: disks, consoles, the control socket.
constexpr rlim_t k_spare_descriptors = 32;
/// How long connections to forwarded ports wait when there was no room for one.
constexpr u64 k_accept_pause_ms = 250;
/// libslirp keeps a SYN until the connection is made, and later sends segments of the size that it names.
constexpr std::size_t k_max_syn_frame = 2048;
constexpr u32 k_min_max_segment = 256;

/// Ethernet type and IPv6 header of a packet that goes no further than to its neighbour.
void put_ipv6_header(std::span<u8> frame, const IpAddress& source, const IpAddress& destination, u8 protocol,
                     u32 payload) {
  put16(frame, 12, 0x86dd);
  const std::span<u8> ip = frame.subspan(k_ethernet_header);
  ip[0] = 0x60;
  put16(ip, 4, payload);
  ip[6] = protocol;
  ip[7] = 255;
  put_ipv6(ip, 8, source);
  put_ipv6(ip, 24, destination);
}

/// Ethernet, IP and TCP headers of a RST segment of the guest's.
std::vector<u8> reset_frame(const NetworkFlows::Reset& r) {
  constexpr u32 k_tcp_header = 20;
  const bool ipv4 = r.key.guest.is_ipv4();
  std::vector<u8> frame(k_ethernet_header + (ipv4 ? 20 : k_ipv6_header) + k_tcp_header);
  const std::span<u8> ip = std::span(frame).subspan(k_ethernet_header);
  const std::span<u8> tcp = ip.last(k_tcp_header);
  if (ipv4) {
    put16(frame, 12, 0x0800);
    put16(ip, 0, 0x4500);
    put16(ip, 2, 20 + k_tcp_header);
    put16(ip, 8, 0x4000 | k_protocol_tcp);  // time to live 64
    put32(ip, 12, r.key.guest.ipv4());
    put32(ip, 16, r.key.far.ipv4());
    put16(ip, 10, internet_checksum(ip.first(20)));
  } else {
    put_ipv6_header(frame, r.key.guest, r.key.far, k_protocol_tcp, k_tcp_header);
  }
  put16(tcp, 0, r.key.guest_port);
  put16(tcp, 2, r.key.far_port);
  put32(tcp, 4, r.seq);
  put16(tcp, 12, 0x5000 | k_tcp_rst);
  put16(tcp, 16, internet_checksum(tcp, pseudo_header_sum(r.key.guest, r.key.far, k_protocol_tcp, k_tcp_header)));
  return frame;
}

/// Address and port of one end of a socket, as getsockname or getpeername names it.
std::pair<IpAddress, u16> socket_end(int fd, int (*name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  name(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  if (storage.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(storage);
    return {get_ipv6(std::span(in.sin6_addr.s6_addr), 0), ntohs(in.sin6_port)};
  }
  const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
  return {ntohl(in.sin_addr.s_addr), ntohs(in.sin_port)};
}

/// An ARP reply by which `address` is at the MAC that `frame` comes from.
std::array<u8, 42> arp_frame(std::span<const u8> frame, u32 address) {
  std::array<u8, 42> reply{};
  constexpr std::array<u8, 10> k_head = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2};
  std::copy(k_head.begin(), k_head.end(), reply.begin() + 12);
  std::copy_n(frame.begin() + 6, 6, reply.begin() + 6);
  std::copy_n(frame.begin() + 6, 6, reply.begin() + 22);
  put32(reply, 28, address);
  return reply;
}

/// The same of IPv6: an advertisement that nobody asked for (RFC 4861 4.4).
std::array<u8, 78> neighbor_frame(std::span<const u8> frame, const IpAddress& address, const IpAddress& host) {
  std::array<u8, 78> reply{};
  constexpr u32 k_bytes = 24;
  std::copy_n(frame.begin() + 6, 6, reply.begin() + 6);
  put_ipv6_header(reply, address, host, k_protocol_icmp6, k_bytes);
  const std::span<u8> icmp = std::span(reply).subspan(k_ethernet_header + k_ipv6_header);
  icmp[0] = k_neighbor_advertisement;
  put_ipv6(icmp, 8, address);
  put16(icmp, 2, internet_checksum(icmp, pseudo_header_sum(address, host, k_protocol_icmp6, k_bytes)));
  return reply;
}

}  // namespace

/// Whether libslirp has room for what it would keep of the packet.
bool SlirpNetwork::admit(const GuestPacket& p, std::size_t frame_bytes) {
  switch (p.kind) {
    case GuestPacket::Kind::Arp:
    case GuestPacket::Kind::Neighbor: return true;
    case GuestPacket::Kind::Tcp: {
      if ((p.flags & k_tcp_syn) && (frame_bytes > k_max_syn_frame || p.max_segment < k_min_max_segment)) return false;
      constexpr u8 k_all = k_tcp_syn | k_tcp_fin | k_tcp_rst | k_tcp_urg | k_tcp_ack;
      if ((p.flags & k_all) != k_tcp_syn) return admit_segment(p, frame_bytes);
      if (!admit_connection(p)) return false;
      if (is_forwarded(p)) flows_.asked(NetworkFlows::key_from_guest(p), p.seq + 1);
      return true;
    }
    case GuestPacket::Kind::Echo: return p.source.is_ipv4() ? admit_datagram(p) : answers_echo(p.destination);
    case GuestPacket::Kind::Udp: return admit_datagram(p);
    case GuestPacket::Kind::Fragment:  // they are given whole
    case GuestPacket::Kind::Refused: return false;
  }
  return false;
}

/// libslirp sends no echo requests of IPv6 to anybody else, but complains of them, without a bound. It answers for the
/// name server only at an address of the network, wherever that is said to be.
bool SlirpNetwork::answers_echo(const IpAddress& address) const {
  constexpr u64 k_link_local = 0xfe80'0000'0000'0000;
  for (const IpAddress& own : {options_.host6, options_.name_server6})
    if ((address == own && in_network6(options_, own)) || address == IpAddress(k_link_local, own.low)) return true;
  return false;
}

/// Whether the packet is to an address of guestfwd=. libslirp agrees to such a connection by itself, and makes what is
/// at its other end when the guest has answered.
bool SlirpNetwork::is_forwarded(const GuestPacket& p) const {
  return std::ranges::find(forwarded_, std::pair(p.destination, p.destination_port)) != forwarded_.end();
}

/// A guest's answer to a connection that libslirp agreed to by itself makes descriptors; without room it comes again.
bool SlirpNetwork::admit_segment(const GuestPacket& p, std::size_t frame_bytes) {
  const NetworkFlows::Key key = NetworkFlows::key_from_guest(p);
  if (flows_.is_asked(key)) {
    if (p.flags & k_tcp_rst)
      flows_.forget_asked(key);
    else if (descriptors_are_scarce())
      return false;
  }
  return flows_.admit_segment(p, frame_bytes);
}

/// Of connections that the guest asked for and never answered the oldest goes when there is no room for another.
void SlirpNetwork::make_room_of_asked() {
  const auto oldest = flows_.oldest_asked();
  if (!oldest || !flows_.streams_full()) return;
  flows_.forget_asked(oldest->key);
  reset_stream(*oldest);
}

bool SlirpNetwork::admit_connection(const GuestPacket& p) {
  const NetworkFlows::Key key = NetworkFlows::key_from_guest(p);
  if (flows_.has(key) || flows_.is_asked(key)) return true;
  // What the guest may reach when it is restricted, libslirp looks for among addresses of IPv4 only.
  if (options_.restricted && !p.destination.is_ipv4()) return false;
  if (flows_.streams_full() || descriptors_are_scarce()) close_ended_streams();
  make_room_of_asked();
  if (!flows_.streams_full() && !descriptors_are_scarce()) return true;
  if (flows_.streams_full())
    AV_LOG_ONCE(Warn, "network: the guest has flows=%u TCP connections, and gets no more until some end",
                options_.flows);
  else
    AV_LOG_ONCE(Warn, "network: few descriptors are left, so the guest gets no more TCP connections; raise ulimit -n");
  return false;
}

/// DHCP is answered at once, without a flow.
bool SlirpNetwork::is_dhcp(const GuestPacket& p) const {
  if (p.destination.is_ipv4())
    return p.destination_port == k_dhcp_server && (p.destination == options_.host || p.destination == k_broadcast);
  return p.destination_port == k_dhcp6_server && (p.destination == options_.host6 || p.destination == k_dhcp6_servers);
}

bool SlirpNetwork::admit_datagram(const GuestPacket& p) {
  const u64 now = now_ms();
  if (p.kind == GuestPacket::Kind::Udp) {
    if (is_dhcp(p)) return true;
    if (options_.restricted && !p.destination.is_ipv4() && !flows_.has(NetworkFlows::key_from_guest(p))) return false;
    const NetworkFlows::Key key = NetworkFlows::key_from_guest(p);
    flows_.used(key, now);
    if (flows_.has(key)) return true;
  }
  if (!flows_.datagrams_full() && !descriptors_are_scarce()) return true;
  AV_LOG_ONCE(Debug, "network: idle UDP flows of the guest make room for others: there are flows=%u", options_.flows);
  expire_datagrams();
  return !flows_.datagrams_full() && !descriptors_are_scarce();
}

void SlirpNetwork::input(std::span<const u8> frame, const GuestPacket& p) {
  const bool neighbors = p.kind == GuestPacket::Kind::Arp || p.kind == GuestPacket::Kind::Neighbor;
  if (neighbors)
    forget_address(p);
  else
    teach_address(frame, p);
  opening_ = NetworkFlows::key_from_guest(p);
  slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
  opening_.reset();
  if (p.destination_port == k_dhcp_server) taught_.reset();  // a lease takes a place in libslirp's table
}

/// libslirp keeps packets for an address whose MAC it does not know, without a bound, for a second. So it learns that
/// of each packet's source first: the answer then leaves at once. Its tables are small, so a guest with many addresses,
/// or one that sends ARP or its like of IPv6, may make it forget.
void SlirpNetwork::teach_address(std::span<const u8> frame, const GuestPacket& p) {
  const auto teach = [&](std::optional<IpAddress>& taught, const auto& reply) {
    slirp_input(slirp_, reply.data(), static_cast<int>(reply.size()));
    taught = p.source;
  };
  if (p.source.is_ipv4()) {
    if (taught_ != p.source) teach(taught_, arp_frame(frame, p.source.ipv4()));
  } else if (taught6_ != p.source) {
    teach(taught6_, neighbor_frame(frame, p.source, options_.host6));
  }
}

/// Lets go of the quarter of the datagram flows that was idle for longest. libslirp has no call for that, but lets go
/// of what was idle for four minutes: so its clock is put forward for a moment, to when those flows have been. (Its
/// clock is one variable of the process: another network that looks at that moment lets go of its idle flows too.)
void SlirpNetwork::expire_datagrams() {
  const u32 before = flows_.datagrams();
  if (before == 0) return;
  u64 until = flows_.datagram_used_ms(std::max(before / 4, 1u) - 1) + k_datagram_life_ms + 1;
  const u64 end = now_ms() + 2 * k_datagram_life_ms;
  for (; flows_.datagrams() == before && until < end; until += k_expiry_step_ms) {
    const u64 now = now_ms();
    clock_ahead_ms_ = until > now ? until - now : 0;
    look_at_clock();
    u32 timeout = 0;
    slirp_pollfds_fill(
        slirp_, &timeout, [](int, int, void*) { return -1; }, this);
  }
  clock_ahead_ms_ = 0;
  look_at_clock();
}

/// libslirp looks at its clock here, and told of an error it leaves the sockets alone.
void SlirpNetwork::look_at_clock() {
  slirp_pollfds_poll(
      slirp_, 1, [](int, void*) { return 0; }, this);
}

/// Connections that both sides have closed wait for ten seconds in libslirp (TIME-WAIT). A reset ends that.
void SlirpNetwork::close_ended_streams() {
  for (auto ended = flows_.ended_stream(); ended; ended = flows_.ended_stream())
    if (!reset_stream(*ended)) return;
}

/// True: there is one stream less.
bool SlirpNetwork::reset_stream(const NetworkFlows::Reset& reset) {
  const u32 before = flows_.streams();
  const auto frame = reset_frame(reset);
  slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
  return flows_.streams() != before;
}

bool SlirpNetwork::descriptors_are_scarce() const {
  rlimit limit;
  const Fd lowest(::fcntl(event(), F_DUPFD_CLOEXEC, 0));
  if (!lowest || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
  return static_cast<rlim_t>(lowest.get()) + k_spare_descriptors > limit.rlim_cur;
}

void SlirpNetwork::opened(int fd) { flows_.opened(fd, opening_ ? *opening_ : accepted_key(fd), now_ms()); }

/// The flow of a connection to a forwarded port. The guest sees the host's loopback addresses as its host.
NetworkFlows::Key SlirpNetwork::accepted_key(int fd) const {
  NetworkFlows::Key key{NetworkFlows::Kind::Stream, {}, {}, 0, 0};
  const auto [own, own_port] = socket_end(fd, ::getsockname);
  const auto [peer, peer_port] = socket_end(fd, ::getpeername);
  key.far = peer;
  key.far_port = peer_port;
  if (peer.is_unspecified() || (peer.is_ipv4() && peer.ipv4() >> 24 == 127) || peer == IpAddress(0, 1))
    key.far = own.is_ipv4() ? IpAddress(options_.host) : options_.host6;
  for (const HostForward& f : forwards_)
    if (!f.udp && f.host_port == own_port && f.host_address.is_ipv4() == own.is_ipv4() &&
        (f.host_address.is_unspecified() || f.host_address == own)) {
      key.guest = f.guest_address;
      key.guest_port = f.guest_port;
    }
  return key;
}

/// Whether it is the socket of a forwarded TCP port: those are no flows.
bool SlirpNetwork::accepts(int fd) {
  if (flows_.has(fd)) return false;
  const auto [at, is_new] = forward_accepts_.try_emplace(fd, false);
  if (is_new) {
    int listens = 0;
    socklen_t size = sizeof listens;
    at->second = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
  }
  return at->second;
}

/// Whether libslirp may take a connection to a forwarded port; if not, those wait for a while.
bool SlirpNetwork::take_connection() {
  make_room_of_asked();
  if (!flows_.streams_full() && !descriptors_are_scarce()) return true;
  accept_again_ms_ = now_ms() + k_accept_pause_ms;
  return false;
}

}  // namespace armvisor::devices
