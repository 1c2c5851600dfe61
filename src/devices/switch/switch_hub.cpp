#include "devices/switch/switch_hub.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/host_error.h"
#include "base/user_directory.h"
#include "devices/backends/frame_link.h"
#include "devices/backends/socket_address.h"

namespace armvisor::devices {
namespace {

/// How long those who come wait when the host had nothing left for one of them.
constexpr u64 k_accept_pause_ms = 1000;

u64 clock_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

MacAddress address_at(std::span<const u8> frame, std::size_t at) {
  MacAddress mac;
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), mac.size(), mac.begin());
  return mac;
}

}  // namespace

void SwitchHub::run() {
  while (true) {
    if (members_.empty() && place_.leave([this] { return accept(); })) return;
    wait();
    now_ms_ = clock_ms();
    if (polled_[0].revents) accept();
    if (nat_ && polled_[1].revents) nat_->take([this](Frame frame) { carry(frame, k_nat_port); });
    for (std::size_t i = 2; i < polled_.size(); ++i)
      if (polled_[i].revents) serve(*members_[i - 2]);
    finish_round();
  }
}

/// With all members, whoever may come, and the user-mode network.
void SwitchHub::wait() {
  polled_.clear();
  const bool waits = now_ms_ < accept_again_ms_;
  polled_.push_back({members_.size() < k_most_members && !waits ? listening_.get() : -1, POLLIN, 0});
  polled_.push_back({nat_ ? nat_->fd() : -1, POLLIN, 0});
  for (const auto& member : members_) polled_.push_back({member->stream.fd(), member->stream.events(), 0});
  ::poll(polled_.data(), polled_.size(), waits ? static_cast<int>(accept_again_ms_ - now_ms_) : -1);
}

/// True: somebody came.
bool SwitchHub::accept() {
  Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket && is_accept_limit(errno)) accept_again_ms_ = now_ms_ + k_accept_pause_ms;
  if (!socket || !is_same_user(socket.get())) return false;
  members_.push_back(std::make_unique<Member>(next_port_++, FrameStream(std::move(socket))));
  return true;
}

void SwitchHub::serve(Member& member) {
  const auto came = member.stream.receive([&](Frame frame) { take(frame, member.port); });
  if (came == FrameStream::Came::Gone || came == FrameStream::Came::Wrong) member.gone = true;
}

/// What a member sends: mostly a frame.
void SwitchHub::take(Frame frame, MacTable::Port from) {
  if (frame.size() == 1 && frame[0] == k_ask_nat && !nat_) {
    if (auto nat = SwitchNat::create()) nat_ = *std::move(nat);
  }
  if (frame.size() >= FrameLink::k_least_frame && frame.size() <= FrameLink::k_largest_frame) carry(frame, from);
}

void SwitchHub::carry(Frame frame, MacTable::Port from) {
  table_.learn(address_at(frame, 6), from, now_ms_);
  const auto to = table_.find(address_at(frame, 0), now_ms_);
  if (to == from) return;
  for (const auto& member : members_)
    if (member->port != from && (!to || *to == member->port)) member->stream.send(frame);
  if (nat_ && from != k_nat_port && (!to || *to == k_nat_port)) {
    nat_->give(frame);
    nat_waits_ = true;
  }
}

void SwitchHub::finish_round() {
  if (std::exchange(nat_waits_, false)) nat_->wake();
  for (const auto& member : members_)
    if (!member->stream.flush()) member->gone = true;
  for (const auto& member : members_)
    if (member->gone) table_.forget(member->port);
  std::erase_if(members_, [](const auto& member) { return member->gone; });
}

Status run_switch(const std::string& name, int listening) {
  AV_TRY_ASSIGN(SwitchPlace place, SwitchPlace::find(name));
  SocketAddress address;
  address.family = SocketAddress::Family::Descriptor;
  address.fd = listening;
  AV_TRY_ASSIGN(Fd socket, take_socket("switch", address, SOCK_STREAM, true));
  place.own_socket();
  ::signal(SIGPIPE, SIG_IGN);
  SwitchHub(std::move(socket), std::move(place)).run();
  return {};
}

}  // namespace armvisor::devices
