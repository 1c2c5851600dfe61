#include "devices/backends/datagram_link.h"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"

namespace armvisor::devices {
namespace {

constexpr int k_receive_burst = 64;  // then the guest's frames get their turn

/// On every machine of the host that has joined: the socket is bound to the group, and shares its port. What a machine
/// sends comes back to it, too, as with QEMU.
Result<Fd> join(const FrameLinkOptions& options, const HostAddress& group) {
  ip_mreq membership{};
  membership.imr_multiaddr = reinterpret_cast<const sockaddr_in*>(&group.storage)->sin_addr;
  const bool named = options.local.family == SocketAddress::Family::Inet;
  if (named) {
    AV_TRY_ASSIGN(const auto local, find_addresses(options.option, options.local, SOCK_DGRAM, true));
    if (local[0].family() != AF_INET)
      return Error{ErrorKind::BadArguments, options.option + ": expected an interface's IPv4 address, found " +
                                                options.local.host + "; change it"};
    membership.imr_interface = reinterpret_cast<const sockaddr_in*>(&local[0].storage)->sin_addr;
  }
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const auto set = [&](int level, int name, const auto& value) {
    return ::setsockopt(socket.get(), level, name, &value, sizeof value) == 0;
  };
  if (!socket || !set(SOL_SOCKET, SO_REUSEADDR, on) || ::bind(socket.get(), group.get(), group.size) != 0 ||
      !set(IPPROTO_IP, IP_ADD_MEMBERSHIP, membership) || !set(IPPROTO_IP, IP_MULTICAST_LOOP, on) ||
      (named && !set(IPPROTO_IP, IP_MULTICAST_IF, membership.imr_interface)))
    return host_error(options.option + ": expected to join the multicast group " + options.remote.text(), errno,
                      "check the address, and that an interface has a route to it");
  return socket;
}

}  // namespace

Result<std::shared_ptr<FrameLink>> DatagramLink::open(const FrameLinkOptions& options) {
  std::shared_ptr<DatagramLink> link(new DatagramLink(options));
  if (options.local.family == SocketAddress::Family::Descriptor) {
    AV_TRY_ASSIGN(link->socket_, take_socket(options.option, options.local, SOCK_DGRAM, false));
  }
  if (options.remote.family != SocketAddress::Family::None) {
    AV_TRY_ASSIGN(const auto remote, find_addresses(options.option, options.remote, SOCK_DGRAM, false));
    link->remote_ = remote[0];
  }
  if (!link->socket_ && link->remote_.is_multicast()) {
    AV_TRY_ASSIGN(link->socket_, join(options, link->remote_));
  } else if (!link->socket_) {
    SocketAddress local = options.local;  // of the family that the other one turned out to be
    if (link->remote_.family() == AF_INET) local.ipv6 = false;
    if (link->remote_.family() == AF_INET6) local.ipv4 = false;
    AV_TRY_ASSIGN(link->socket_, bind_socket(options.option, local, SOCK_DGRAM));
  }
  return std::shared_ptr<FrameLink>(std::move(link));
}

DatagramLink::~DatagramLink() {
  if (socket_ && options_.local.family == SocketAddress::Family::Unix) ::unlink(options_.local.path.c_str());
}

FrameLink::Wait DatagramLink::wait() { return {socket_.get(), POLLIN}; }

bool DatagramLink::serve(const Receive& receive) {
  for (int i = 0; i < k_receive_burst; ++i) {
    const ssize_t n = ::recv(socket_.get(), frame_.data(), frame_.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    // An error is about a datagram that was sent before: nobody was there. A length of 0 is a datagram of that length.
    const auto size = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    if (size >= k_least_frame && size <= k_largest_frame) receive(std::span(frame_).first(size));
  }
  return true;
}

void DatagramLink::send(std::span<const u8> frame) {
  const ssize_t n = remote_.size == 0 ? ::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL)
                                      : ::sendto(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL, remote_.get(),
                                                 remote_.size);
  if (n < 0) AV_LOG_ONCE(Info, "%s: frames are lost: %s", options_.option.c_str(), std::strerror(errno));
}

}  // namespace armvisor::devices
