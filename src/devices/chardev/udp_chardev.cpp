#include "devices/chardev/udp_chardev.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/host_error.h"
#include "base/thread.h"

namespace armvisor::devices {
namespace {

constexpr std::size_t k_most_sent = 32 * 1024, k_most_received = 65536;

/// Until it was connected, anybody could send to it. No more than the kernel's buffer had room for.
void drop_what_came_from_others(int socket) {
  constexpr int k_most = 4096;
  u8 byte = 0;
  for (int n = 0; n < k_most; ++n)
    if (::recv(socket, &byte, 1, MSG_DONTWAIT) < 0 && errno != ECONNREFUSED && errno != EINTR) return;
}

}  // namespace

Result<std::unique_ptr<UdpChardev>> UdpChardev::create(const std::string& option, const SocketAddress& remote,
                                                       const SocketAddress& local) {
  AV_TRY_ASSIGN(const auto to, find_addresses(option, remote, SOCK_DGRAM, false));
  SocketAddress from = local;  // of the family that the other one turned out to be
  from.ipv4 = to[0].family() == AF_INET;
  from.ipv6 = to[0].family() == AF_INET6;
  AV_TRY_ASSIGN(Fd socket, bind_socket(option, from, SOCK_DGRAM));
  if (::connect(socket.get(), to[0].get(), to[0].size) != 0)
    return host_error(option + ": expected to send to " + remote.text(), errno, "check the address");
  drop_what_came_from_others(socket.get());
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create("console"));
  return std::unique_ptr<UdpChardev>(new UdpChardev(std::move(socket), std::move(wake)));
}

Status UdpChardev::start() {
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Line, "console", [this] { run(); }));
  return {};
}

void UdpChardev::stop() {
  if (stopping_.exchange(true)) return;
  wake_.wake();
  if (thread_.joinable()) thread_.join();
}

/// While the user takes no input, one datagram waits here and others in the kernel's buffer.
void UdpChardev::run() {
  std::vector<u8> waiting, datagram(k_most_received);
  while (!stopping_) {
    std::array<pollfd, 2> fds = {{{waiting.empty() ? socket_.get() : -1, POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[1].revents) wake_.take();
    if (fds[0].revents) {
      // An error is about a datagram that was sent before: nobody was there.
      const ssize_t n = ::recv(socket_.get(), datagram.data(), datagram.size(), 0);
      if (n > 0) waiting.assign(datagram.begin(), datagram.begin() + n);
    }
    if (!stopping_) hand_over(waiting);  // with nothing, too: a mux may hold back something itself
  }
}

bool UdpChardev::do_offer(std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), k_most_sent);
    // Nobody was there for the last one, says ECONNREFUSED, and this one is not sent.
    for (int tries = 0; tries < 2 && ::send(socket_.get(), bytes.data(), size, MSG_NOSIGNAL) < 0; ++tries)
      if (errno != ECONNREFUSED) break;
    bytes = bytes.subspan(size);
  }
  return true;
}

}  // namespace armvisor::devices
