#include "devices/vhost_user/connection.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace armvisor::devices::vhost_user {
namespace {

constexpr std::size_t k_most_descriptors = 2;

u64 now_ms() {
  return static_cast<u64>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

Error failed(std::string what) { return Error{ErrorKind::HostResource, std::move(what)}; }
Error no_reply(Request request) {
  return failed(fmt::format("something that is no reply to request {}", static_cast<u32>(request)));
}

}  // namespace

void Connection::begin() { until_ms_ = now_ms() + static_cast<u64>(patience_ms_); }

Status Connection::wait(short events) {
  for (;;) {
    const u64 now = now_ms();
    if (now >= until_ms_) return failed(fmt::format("no answer within {} ms", patience_ms_));
    std::array<pollfd, 2> fds = {{{socket_.get(), events, 0}, {stop_ ? stop_->fd() : -1, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), static_cast<int>(until_ms_ - now)) < 0 && errno != EINTR)
      return failed(std::string("an error of poll: ") + std::strerror(errno));
    if (stop_ && stop_->is_set()) return failed("that the machine was ended meanwhile");
    if (fds[0].revents) return {};
  }
}

Status Connection::send(Request request, std::span<const u8> payload, std::span<const int> fds, bool need_reply) {
  std::vector<u8> bytes = message(request, payload, need_reply);
  iovec piece = {bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(k_most_descriptors * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  while (piece.iov_len > 0) {
    const ssize_t n = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return failed(std::string("the connection lost: ") + std::strerror(errno));
      AV_TRY(wait(POLLOUT));
      continue;
    }
    piece.iov_base = static_cast<u8*>(piece.iov_base) + n;
    piece.iov_len -= static_cast<std::size_t>(n);
    header.msg_control = nullptr;  // descriptors go with the first byte
    header.msg_controllen = 0;
  }
  return {};
}

Status Connection::receive(std::span<u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n == 0) return failed("the connection closed");
    if (n > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      AV_TRY(wait(POLLIN));
    } else if (errno != EINTR) {
      return failed(std::string("the connection lost: ") + std::strerror(errno));
    }
  }
  return {};
}

Result<std::vector<u8>> Connection::receive_reply(Request request) {
  std::array<u8, k_header_bytes> header;
  AV_TRY(receive(header));
  const auto size = payload_bytes(header, request);
  if (!size) return no_reply(request);
  std::vector<u8> payload(*size);
  AV_TRY(receive(payload));
  return payload;
}

Result<std::vector<u8>> Connection::ask(Request request, std::span<const u8> payload) {
  AV_TRY(send(request, payload));
  return receive_reply(request);
}

Result<u64> Connection::ask_number(Request request) {
  AV_TRY_ASSIGN(const std::vector<u8> payload, ask(request));
  const auto number = number_of(payload);
  if (!number) return no_reply(request);
  return *number;
}

Status Connection::demand(Request request, std::span<const u8> payload, std::span<const int> fds) {
  AV_TRY(send(request, payload, fds, true));
  AV_TRY_ASSIGN(const std::vector<u8> reply, receive_reply(request));
  const auto number = number_of(reply);
  if (!number) return no_reply(request);
  if (*number != 0) return failed(fmt::format("request {} refused", static_cast<u32>(request)));
  return {};
}

}  // namespace armvisor::devices::vhost_user
