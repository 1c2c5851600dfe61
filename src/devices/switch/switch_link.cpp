#include "devices/switch/switch_link.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "base/log_once.h"
#include "base/sandbox/sandbox.h"
#include "devices/switch/switch_hub.h"

namespace armvisor::devices {
namespace {
constexpr std::chrono::milliseconds k_again{100}, k_longest_pause{6400};
/// A switch that ends before has failed.
constexpr std::chrono::seconds k_short_life{1};
}  // namespace

Result<std::shared_ptr<FrameLink>> SwitchLink::open(const FrameLinkOptions& options) {
  AV_TRY_ASSIGN(SwitchPlace place, SwitchPlace::find(options.switch_name));
  std::shared_ptr<SwitchLink> link(new SwitchLink(options, std::move(place)));
  AV_TRY(link->join());
  return std::shared_ptr<FrameLink>(std::move(link));
}

std::string SwitchLink::errand_name(const std::string& name) { return "switch " + name; }

/// Tried again later if that is not possible now.
Status SwitchLink::join() {
  next_try_ = Clock::now() + k_again;
  auto asked = Sandbox::ask(errand_name(options_.switch_name), "");
  AV_TRY_ASSIGN(Fd socket, asked ? *std::move(asked) : place_.join());
  if (!socket) return {};
  hub_.emplace(std::move(socket));
  joined_ = Clock::now();
  constexpr std::array<u8, 1> k_ask = {SwitchHub::k_ask_nat};
  if (options_.switch_nat) hub_->send(k_ask);
  hub_->flush();
  return {};
}

void SwitchLink::leave() {
  hub_.reset();
  const auto now = Clock::now();
  if (now - joined_ >= k_short_life) {
    pause_ = {};
    AV_LOG_ONCE(Info, "%s: the switch has gone, and is started again", options_.option.c_str());
  } else {
    pause_ = std::clamp(2 * pause_, k_again, k_longest_pause);
    AV_LOG_ONCE(
        Warn,
        "%s: expected a switch that stays, found one that ended as soon as it was there; it is tried again, ever "
        "more seldom. See whether 'armvisor switch' can be started, and what ends it",
        options_.option.c_str());
  }
  next_try_ = now + pause_;
}

FrameLink::Wait SwitchLink::wait() {
  if (hub_) return {hub_->fd(), hub_->events()};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_try_ - Clock::now()).count();
  return {-1, 0, static_cast<int>(std::clamp<long>(left, 0, 1'000'000))};
}

bool SwitchLink::serve(const Receive& receive) {
  if (!hub_ && Clock::now() >= next_try_)
    if (const Status joined = join(); !joined) AV_LOG_ONCE(Warn, "%s", joined.error().message.c_str());
  sent_all();
  if (!hub_) return false;
  const auto came = hub_->receive([&receive](std::span<const u8> frame) {
    if (frame.size() >= k_least_frame && frame.size() <= k_largest_frame) receive(frame);
  });
  if (came == FrameStream::Came::Gone || came == FrameStream::Came::Wrong) leave();
  return came == FrameStream::Came::More;
}

void SwitchLink::send(std::span<const u8> frame) {
  if (hub_ && !hub_->send(frame))
    AV_LOG_ONCE(Warn, "%s: frames are lost: the switch does not take them", options_.option.c_str());
}

void SwitchLink::sent_all() {
  if (hub_ && !hub_->flush()) leave();
}

}  // namespace armvisor::devices
