#include "devices/backends/frame_stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "devices/backends/socket_address.h"

namespace armvisor::devices {
namespace {

constexpr int k_receive_burst = 4;  // reads, then others get their turn
constexpr std::size_t k_send_at_once = 64 * 1024;

}  // namespace

FrameStream::FrameStream(Fd socket) : socket_(std::move(socket)) { send_at_once(socket_.get()); }

bool FrameStream::send(std::span<const u8> frame) {
  const auto length = FrameReader::length_of(frame);
  if (waiting_.size() - sent_ + length.size() + frame.size() > k_most_waiting) return false;
  waiting_.insert(waiting_.end(), length.begin(), length.end());
  waiting_.insert(waiting_.end(), frame.begin(), frame.end());
  if (waiting_.size() - sent_ >= k_send_at_once) flush();
  return true;
}

bool FrameStream::flush() {
  while (!gone_ && sent_ < waiting_.size()) {
    const ssize_t n = ::send(socket_.get(), waiting_.data() + sent_, waiting_.size() - sent_, MSG_NOSIGNAL);
    if (n > 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else if (n == 0 || errno != EINTR) {
      gone_ = true;
    }
  }
  if (sent_ == 0) return !gone_;
  if (sent_ != waiting_.size() && sent_ < k_most_waiting / 2) return !gone_;  // moving the rest now and then is enough
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(sent_));
  sent_ = 0;
  return !gone_;
}

FrameStream::Came FrameStream::receive(const std::function<void(std::span<const u8>)>& frame) {
  for (int i = 0; i < k_receive_burst; ++i) {
    const std::span<u8> room = reader_.room();
    const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Came::All;
    if (n <= 0) return Came::Gone;
    if (!reader_.take(static_cast<std::size_t>(n), frame)) return Came::Wrong;
  }
  return Came::More;
}

}  // namespace armvisor::devices
