#include "devices/backends/stream_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"

namespace armvisor::devices {
namespace {

constexpr int k_receive_burst = 4;  // reads, then the guest's frames get their turn
constexpr std::size_t k_send_at_once = 64 * 1024;
constexpr u32 k_no_room_ms = 1000;  // the host has no descriptor, or a peer's queue is full

}  // namespace

Result<std::shared_ptr<FrameLink>> StreamLink::open(const FrameLinkOptions& options) {
  std::shared_ptr<StreamLink> link(new StreamLink(options));
  const bool handed_over = link->place().family == SocketAddress::Family::Descriptor;
  if (handed_over) {
    AV_TRY_ASSIGN(Fd socket, take_socket(options.option, link->place(), SOCK_STREAM, link->is_server()));
    if (link->is_server())
      link->listening_ = std::move(socket);
    else
      link->connected(std::move(socket));
  } else if (link->is_server()) {
    AV_TRY_ASSIGN(link->listening_, bind_socket(options.option, options.local, SOCK_STREAM));
    if (::listen(link->listening_.get(), 1) != 0)
      return host_error(options.option + ": expected to listen on " + options.local.text(), errno,
                        "check the address, and who uses it");
  } else {
    AV_TRY_ASSIGN(link->addresses_, find_addresses(options.option, options.remote, SOCK_STREAM, false));
    link->try_again_after(0);
  }
  return std::shared_ptr<FrameLink>(std::move(link));
}

StreamLink::~StreamLink() {
  if (listening_ && options_.local.family == SocketAddress::Family::Unix) ::unlink(options_.local.path.c_str());
}

FrameLink::Wait StreamLink::wait() {
  if (socket_ && connecting_) return {socket_.get(), POLLOUT};
  if (socket_) return {socket_.get(), static_cast<short>(POLLIN | (waiting_.empty() ? 0 : POLLOUT))};
  if (next_try_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next_try_ - Clock::now()).count();
    return {-1, 0, static_cast<int>(std::clamp<long>(left, 0, 1'000'000))};
  }
  return {listening_.get(), POLLIN};
}

bool StreamLink::serve(const Receive& receive) {
  if (socket_ && connecting_) finish_connecting();
  if (!socket_ && (!next_try_ || Clock::now() >= *next_try_)) {
    if (is_server())
      accept();
    else if (next_try_)
      connect();
  }
  if (!socket_ || connecting_) return false;
  flush();
  return receive_some(receive);
}

void StreamLink::accept() {
  next_try_.reset();
  Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) return connected(std::move(socket));
  if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) try_again_after(k_no_room_ms);
}

void StreamLink::connect() {
  const HostAddress& to = addresses_[address_];
  socket_ = Fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return not_connected(errno);
  if (::connect(socket_.get(), to.get(), to.size) == 0) return connected(std::move(socket_));
  connecting_ = errno == EINPROGRESS;
  if (!connecting_) not_connected(errno);
}

void StreamLink::finish_connecting() {
  pollfd p{socket_.get(), POLLOUT, 0};
  if (::poll(&p, 1, 0) == 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error) return not_connected(error);
  connected(std::move(socket_));
}

void StreamLink::connected(Fd socket) {
  const int on = 1;  // fails for a Unix socket, which delays nothing
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  socket_ = std::move(socket);
  connecting_ = false;
  next_try_.reset();
  address_ = 0;
  reader_.restart();
}

/// The next address is tried, if there is one; else all of them again when it is time.
void StreamLink::not_connected(int error) {
  socket_.reset();
  connecting_ = false;
  if (++address_ < addresses_.size()) return try_again_after(0);
  address_ = 0;
  AV_LOG_ONCE(Warn, "%s: no connection to %s: %s%s", options_.option.c_str(), place().text().c_str(),
              std::strerror(error), options_.reconnect_ms ? "; it is tried again" : "");
  next_try_.reset();
  if (error == EAGAIN) return try_again_after(options_.reconnect_ms.value_or(k_no_room_ms));
  if (options_.reconnect_ms) try_again_after(*options_.reconnect_ms);
}

void StreamLink::disconnect() {
  socket_.reset();
  waiting_.clear();
  sent_ = 0;
  AV_LOG_ONCE(Info, "%s: the peer at %s has gone", options_.option.c_str(), place().text().c_str());
  if (!is_server() && options_.reconnect_ms && !addresses_.empty()) try_again_after(*options_.reconnect_ms);
}

void StreamLink::send(std::span<const u8> frame) {
  if (!socket_ || connecting_) return;
  const auto length = FrameReader::length_of(frame);
  if (waiting_.size() - sent_ + length.size() + frame.size() > k_most_waiting) {
    AV_LOG_ONCE(Warn, "%s: frames are lost: the peer at %s does not take them", options_.option.c_str(),
                place().text().c_str());
    return;
  }
  waiting_.insert(waiting_.end(), length.begin(), length.end());
  waiting_.insert(waiting_.end(), frame.begin(), frame.end());
  if (waiting_.size() - sent_ >= k_send_at_once) flush();
}

void StreamLink::flush() {
  while (socket_ && sent_ < waiting_.size()) {
    const ssize_t n = ::send(socket_.get(), waiting_.data() + sent_, waiting_.size() - sent_, MSG_NOSIGNAL);
    if (n > 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else if (n == 0 || errno != EINTR) {
      return disconnect();
    }
  }
  if (sent_ == 0) return;
  if (sent_ != waiting_.size() && sent_ < k_most_waiting / 2) return;  // moving the rest now and then is enough
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(sent_));
  sent_ = 0;
}

bool StreamLink::receive_some(const Receive& receive) {
  for (int i = 0; socket_ && i < k_receive_burst; ++i) {
    const std::span<u8> room = reader_.room();
    const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
      disconnect();
      return false;
    }
    const bool whole = reader_.take(static_cast<std::size_t>(n), [&](std::span<const u8> frame) {
      if (frame.size() >= k_least_frame && frame.size() <= k_largest_frame) receive(frame);
    });
    if (!whole) {
      AV_LOG_ONCE(Warn, "%s: the peer at %s sent a length that no frame has, and was disconnected",
                  options_.option.c_str(), place().text().c_str());
      disconnect();
    }
  }
  return static_cast<bool>(socket_);
}

}  // namespace armvisor::devices
