#include "devices/backends/stream_link.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"

namespace armvisor::devices {
namespace {

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

/// A client connects again.
ThreadKind StreamLink::duties() const {
  if (is_server() || options_.remote.family == SocketAddress::Family::Descriptor) return {};
  return options_.remote.family == SocketAddress::Family::Unix ? ThreadKind::Sockets : ThreadKind::Internet;
}

StreamLink::~StreamLink() {
  if (listening_ && options_.local.family == SocketAddress::Family::Unix) ::unlink(options_.local.path.c_str());
}

FrameLink::Wait StreamLink::wait() {
  if (connecting_) return {connecting_.get(), POLLOUT};
  if (peer_) return {peer_->fd(), peer_->events()};
  if (next_try_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next_try_ - Clock::now()).count();
    return {-1, 0, static_cast<int>(std::clamp<long>(left, 0, 1'000'000))};
  }
  return {listening_.get(), POLLIN};
}

bool StreamLink::serve(const Receive& receive) {
  if (connecting_) finish_connecting();
  if (!peer_ && !connecting_ && (!next_try_ || Clock::now() >= *next_try_)) {
    if (is_server())
      accept();
    else if (next_try_)
      connect();
  }
  sent_all();
  return peer_ && receive_some(receive);
}

void StreamLink::accept() {
  next_try_.reset();
  Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) return connected(std::move(socket));
  if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) try_again_after(k_no_room_ms);
}

void StreamLink::connect() {
  const HostAddress& to = addresses_[address_];
  connecting_ = Fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connecting_) return not_connected(errno);
  if (::connect(connecting_.get(), to.get(), to.size) == 0) return connected(std::move(connecting_));
  if (errno != EINPROGRESS) not_connected(errno);
}

void StreamLink::finish_connecting() {
  pollfd p{connecting_.get(), POLLOUT, 0};
  if (::poll(&p, 1, 0) == 0) return;
  if (const int error = connection_error(connecting_.get())) return not_connected(error);
  connected(std::move(connecting_));
}

void StreamLink::connected(Fd socket) {
  peer_.emplace(std::move(socket));
  next_try_.reset();
  address_ = 0;
}

/// The next address is tried, if there is one; else all of them again when it is time.
void StreamLink::not_connected(int error) {
  connecting_.reset();
  if (++address_ < addresses_.size()) return try_again_after(0);
  address_ = 0;
  AV_LOG_ONCE(Warn, "%s: no connection to %s: %s%s", options_.option.c_str(), place().text().c_str(),
              std::strerror(error), options_.reconnect_ms ? "; it is tried again" : "");
  next_try_.reset();
  if (error == EAGAIN) return try_again_after(options_.reconnect_ms.value_or(k_no_room_ms));
  if (options_.reconnect_ms) try_again_after(*options_.reconnect_ms);
}

void StreamLink::disconnect() {
  peer_.reset();
  AV_LOG_ONCE(Info, "%s: the peer at %s has gone", options_.option.c_str(), place().text().c_str());
  if (!is_server() && options_.reconnect_ms && !addresses_.empty()) try_again_after(*options_.reconnect_ms);
}

void StreamLink::send(std::span<const u8> frame) {
  if (peer_ && !peer_->send(frame))
    AV_LOG_ONCE(Warn, "%s: frames are lost: the peer at %s does not take them", options_.option.c_str(),
                place().text().c_str());
}

void StreamLink::sent_all() {
  if (peer_ && !peer_->flush()) disconnect();
}

bool StreamLink::receive_some(const Receive& receive) {
  const auto came = peer_->receive([&receive](std::span<const u8> frame) {
    if (frame.size() >= k_least_frame && frame.size() <= k_largest_frame) receive(frame);
  });
  if (came == FrameStream::Came::Wrong)
    AV_LOG_ONCE(Warn, "%s: the peer at %s sent a length that no frame has, and was disconnected",
                options_.option.c_str(), place().text().c_str());
  if (came == FrameStream::Came::Gone || came == FrameStream::Came::Wrong) disconnect();
  return came == FrameStream::Came::More;
}

}  // namespace armvisor::devices
