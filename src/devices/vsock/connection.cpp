#include "devices/vsock/connection.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace armvisor::devices::vsock {
namespace {

constexpr u32 k_told_after = Connection::k_buffer / 4;  // bytes passed on without a word
constexpr std::size_t k_most_buffers = 1024;            // of sendmsg(2) and recvmsg(2)

bool would_wait(int error) { return error == EAGAIN; }

}  // namespace

Connection::Connection(Ports ports, Fd socket, MadeBy by)
    : ports_(ports),
      socket_(std::move(socket)),
      open_(by == MadeBy::Guest),
      request_(by == MadeBy::Host),
      response_(by == MadeBy::Guest) {}

void Connection::socket_ready(u32 events) {
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
  if (events & (EPOLLHUP | EPOLLERR)) hung_up_ = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
    writable_ = true;
    flush();
  }
  look_at_end();
}

// --- from the guest

void Connection::set_credit(const Header& h) {
  if (h.buf_alloc != guest_room_ || h.fwd_cnt != guest_passed_on_) credit_asked_ = false;
  guest_room_ = h.buf_alloc;
  guest_passed_on_ = h.fwd_cnt;
}

bool Connection::answered() {
  if (open_ || request_) return false;
  open_ = true;
  const std::string ok = fmt::format("OK {}\n", ports_.host);
  if (socket_ && ::send(socket_.get(), ok.data(), ok.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ok.size()))
    cannot_write();
  return true;
}

bool Connection::send(std::span<const iovec> data, u32 bytes) {
  if (!open_ || (guest_flags_ & k_sends_no_more) || bytes > k_buffer - kept_.size()) return false;
  std::size_t sent = 0;
  if (kept_.empty() && writable_ && !write_failed_ && bytes > 0) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(data.data());
    message.msg_iovlen = std::min(data.size(), k_most_buffers);
    const ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      sent = static_cast<std::size_t>(n);
    else if (would_wait(errno))
      writable_ = false;
    else
      cannot_write();
  }
  if (write_failed_) sent = bytes;
  passed_on(sent);
  if (sent < bytes) {
    keep(data, sent);
    flush();  // the socket may have room for a part again, and tells only of what comes after this
  }
  return true;
}

void Connection::keep(std::span<const iovec> data, std::size_t skip) {
  for (const iovec& piece : data) {
    const std::size_t from = std::min(skip, piece.iov_len);
    const u8* const bytes = static_cast<const u8*>(piece.iov_base);
    kept_.insert(kept_.end(), bytes + from, bytes + piece.iov_len);
    skip -= from;
  }
}

void Connection::flush() {
  std::size_t sent = 0;
  while (socket_ && writable_ && !write_failed_ && sent < kept_.size()) {
    const ssize_t n = ::send(socket_.get(), kept_.data() + sent, kept_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      sent += static_cast<std::size_t>(n);
    else if (would_wait(errno))
      writable_ = false;
    else
      cannot_write();
  }
  if (write_failed_) sent = kept_.size();
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(sent));
  passed_on(sent);
  if (kept_.empty() && (guest_flags_ & k_sends_no_more) && socket_ && !std::exchange(told_end_, true))
    ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::passed_on(std::size_t bytes) {
  passed_on_ += static_cast<u32>(bytes);
  if (passed_on_ - passed_on_told_ >= k_told_after) credit_update_ = true;
}

void Connection::cannot_write() {
  write_failed_ = true;
  hung_up_ = readable_ = true;  // what it said before is still read, up to its end
}

void Connection::guest_ends(u32 flags) {
  guest_flags_ |= flags & k_does_nothing_more;
  if ((guest_flags_ & k_receives_no_more) && socket_) {
    end_of_input_ = true;
    ::shutdown(socket_.get(), SHUT_RD);
  }
  flush();
  look_at_end();
}

// --- to the guest

u32 Connection::credit() const {
  const u32 on_the_way = sent_ - guest_passed_on_;  // more than it has room for if it lies
  return on_the_way < guest_room_ ? guest_room_ - on_the_way : 0;
}

bool Connection::has_packet() const {
  if (request_ || response_ || (shutdown_ & ~shutdown_told_)) return true;
  return open_ && (credit_update_ || (can_receive() && (credit() > 0 || !credit_asked_)));
}

Header Connection::header(Op op) {
  Header h;
  h.src_port = ports_.host;
  h.dst_port = ports_.guest;
  h.op = op;
  h.buf_alloc = k_buffer;
  h.fwd_cnt = passed_on_told_ = passed_on_;
  credit_update_ = false;
  return h;
}

std::optional<Header> Connection::packet(std::span<const iovec> room) {
  if (std::exchange(request_, false)) return header(Op::Request);
  if (std::exchange(response_, false)) return header(Op::Response);
  if (can_receive() && credit() > 0)
    if (auto data = receive(room)) return data;
  if (shutdown_ & ~shutdown_told_) {
    Header h = header(Op::Shutdown);
    h.flags = shutdown_told_ = shutdown_;
    return h;
  }
  if (!open_) return std::nullopt;
  if (can_receive() && credit() == 0 && !std::exchange(credit_asked_, true)) return header(Op::CreditRequest);
  if (credit_update_) return header(Op::CreditUpdate);
  return std::nullopt;
}

std::optional<Header> Connection::receive(std::span<const iovec> room) {
  std::array<iovec, 64> pieces;
  std::size_t count = 0;
  u32 left = credit();
  for (const iovec& piece : room) {
    if (left == 0 || count == pieces.size()) break;
    pieces[count] = {piece.iov_base, std::min<std::size_t>(piece.iov_len, left)};
    left -= static_cast<u32>(pieces[count++].iov_len);
  }
  if (count == 0) return std::nullopt;
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
  if (n > 0) {
    Header h = header(Op::ReadWrite);
    h.len = static_cast<u32>(n);
    sent_ += h.len;
    return h;
  }
  readable_ = false;
  if (n < 0 && would_wait(errno)) return std::nullopt;
  if (n < 0) hung_up_ = true;
  end_of_input_ = true;
  look_at_end();
  return std::nullopt;
}

/// What the guest is to know of the socket's end, and whether it is of use any more.
void Connection::look_at_end() {
  if (!end_of_input_ || !socket_) return;
  if (!(guest_flags_ & k_receives_no_more)) shutdown_ |= k_sends_no_more;
  if (!hung_up_) return;
  shutdown_ |= k_does_nothing_more;
  kept_.clear();
  socket_.reset();
  write_failed_ = true;
}

}  // namespace armvisor::devices::vsock
