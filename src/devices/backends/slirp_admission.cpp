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

#include "base/log_once.h"
#include "devices/backends/slirp_network.h"
#include "devices/frame_bytes.h"

namespace armvisor::devices {
namespace {

constexpr u32 k_broadcast = 0xffffffff;
constexpr u16 k_dhcp_server = 67;
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

/// Ethernet, IPv4 and TCP headers of a RST segment of the guest's.
std::array<u8, 54> reset_frame(const NetworkFlows::Reset& r) {
  std::array<u8, 54> frame{};
  put16(frame, 12, 0x0800);
  const std::span<u8> ip = std::span(frame).subspan(14, 20), tcp = std::span(frame).subspan(34);
  put16(ip, 0, 0x4500);
  put16(ip, 2, 40);
  put16(ip, 8, 0x4006);  // time to live 64, TCP
  put32(ip, 12, r.key.guest);
  put32(ip, 16, r.key.far);
  put16(ip, 10, internet_checksum(ip));
  put16(tcp, 0, r.key.guest_port);
  put16(tcp, 2, r.key.far_port);
  put32(tcp, 4, r.seq);
  put16(tcp, 12, 0x5000 | k_tcp_rst);
  constexpr u32 k_protocol_and_length = 6 + 20;  // with the addresses, the pseudo header (RFC 9293 3.1)
  put16(tcp, 16, internet_checksum(std::span(frame).subspan(26), k_protocol_and_length));
  return frame;
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

}  // namespace

/// Whether libslirp has room for what it would keep of the packet.
bool SlirpNetwork::admit(const GuestPacket& p, std::size_t frame_bytes) {
  switch (p.kind) {
    case GuestPacket::Kind::Arp: return true;
    case GuestPacket::Kind::Tcp: {
      if ((p.flags & k_tcp_syn) && (frame_bytes > k_max_syn_frame || p.max_segment < k_min_max_segment)) return false;
      constexpr u8 k_all = k_tcp_syn | k_tcp_fin | k_tcp_rst | k_tcp_urg | k_tcp_ack;
      return (p.flags & k_all) == k_tcp_syn ? admit_connection(p) : flows_.admit_segment(p, frame_bytes);
    }
    case GuestPacket::Kind::Udp:
    case GuestPacket::Kind::Echo: return admit_datagram(p);
    case GuestPacket::Kind::Fragment:  // they are given whole
    case GuestPacket::Kind::Refused: return false;
  }
  return false;
}

bool SlirpNetwork::admit_connection(const GuestPacket& p) {
  if (flows_.has(NetworkFlows::key_from_guest(p))) return true;
  if (flows_.streams_full() || descriptors_are_scarce()) close_ended_streams();
  if (!flows_.streams_full() && !descriptors_are_scarce()) return true;
  if (flows_.streams_full())
    AV_LOG_ONCE(Warn, "network: the guest has flows=%u TCP connections, and gets no more until some end",
                options_.flows);
  else
    AV_LOG_ONCE(Warn, "network: few descriptors are left, so the guest gets no more TCP connections; raise ulimit -n");
  return false;
}

bool SlirpNetwork::admit_datagram(const GuestPacket& p) {
  const u64 now = now_ms();
  if (p.kind == GuestPacket::Kind::Udp) {
    // DHCP is answered at once, without a flow.
    if (p.destination_port == k_dhcp_server && (p.destination == options_.host || p.destination == k_broadcast))
      return true;
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
  if (p.kind == GuestPacket::Kind::Arp)
    taught_.reset();
  else
    teach_address(frame, p);
  opening_ = NetworkFlows::key_from_guest(p);
  slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
  opening_.reset();
  if (p.destination_port == k_dhcp_server) taught_.reset();  // a lease takes a place in libslirp's table
}

/// libslirp keeps packets for an address whose MAC it does not know, without a bound, for a second. So it learns that
/// of each packet's source first: the answer then leaves at once. Its table is small, so a guest with many addresses,
/// or one that sends ARP, may make it forget.
void SlirpNetwork::teach_address(std::span<const u8> frame, const GuestPacket& p) {
  if (taught_ == p.source) return;
  const auto reply = arp_frame(frame, p.source);
  slirp_input(slirp_, reply.data(), reply.size());
  taught_ = p.source;
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
  for (auto ended = flows_.ended_stream(); ended; ended = flows_.ended_stream()) {
    const u32 before = flows_.streams();
    const auto frame = reset_frame(*ended);
    slirp_input(slirp_, frame.data(), frame.size());
    if (flows_.streams() == before) return;
  }
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
  NetworkFlows::Key key{NetworkFlows::Kind::Stream};
  sockaddr_in own{}, peer{};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size);
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size);
  key.far = ntohl(peer.sin_addr.s_addr);
  if (key.far == 0 || key.far >> 24 == 127) key.far = options_.host;
  key.far_port = ntohs(peer.sin_port);
  const u32 own_address = ntohl(own.sin_addr.s_addr);
  for (const HostForward& f : forwards_)
    if (!f.udp && f.host_port == ntohs(own.sin_port) && (f.host_address == 0 || f.host_address == own_address)) {
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
  if (!flows_.streams_full() && !descriptors_are_scarce()) return true;
  accept_again_ms_ = now_ms() + k_accept_pause_ms;
  return false;
}

}  // namespace armvisor::devices
