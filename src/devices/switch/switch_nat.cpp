#include "devices/switch/switch_nat.h"

#include <utility>

namespace armvisor::devices {

bool SwitchNat::Queue::push(std::span<const u8> frame) {
  const std::lock_guard lock(mutex_);
  if (bytes_ + frame.size() > k_most_waiting) return false;
  frames_.emplace_back(frame.begin(), frame.end());
  bytes_ += frame.size();
  return true;
}

std::deque<std::vector<u8>> SwitchNat::Queue::take_all() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(frames_, {});
}

Result<std::unique_ptr<SwitchNat>> SwitchNat::create() {
  AV_TRY_ASSIGN(WakeEvent event, WakeEvent::create("switch"));
  std::unique_ptr<SwitchNat> nat(new SwitchNat(std::move(event)));
  AV_TRY_ASSIGN(nat->network_, SlirpNetwork::create({}));
  AV_TRY(nat->network_->start(*nat));
  return nat;
}

SwitchNat::~SwitchNat() {
  if (network_) network_->stop();
}

void SwitchNat::give(std::span<const u8> frame) { to_network_.push(frame); }

void SwitchNat::take(const std::function<void(std::span<const u8>)>& frame) {
  event_.take();
  for (const auto& f : to_switch_.take_all()) frame(f);
}

bool SwitchNat::transmit_pending() {
  for (const auto& f : to_network_.take_all()) network_->send(f);
  received_all();  // what was answered at once
  return false;
}

void SwitchNat::received_all() {
  if (std::exchange(came_, false)) event_.wake();
}

}  // namespace armvisor::devices
