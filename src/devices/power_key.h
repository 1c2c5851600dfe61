#pragma once
// The key that asks a guest to power itself off, on a line of the PL061, as QEMU's board has it.
#include <atomic>

#include "devices/clock.h"
#include "devices/pl061.h"

namespace armvisor::devices {

class PowerKey {
 public:
  PowerKey(Pl061& gpio, Clock& clock, TimerQueue& timers)
      : gpio_(gpio), clock_(clock), timers_(timers), release_(timers.add([this] { release(); })) {}
  ~PowerKey() { timers_.remove(release_); }
  PowerKey(const PowerKey&) = delete;

  /// (any thread) Pressed, and let go after a while.
  void press() {
    gpio_.set_input(k_line, true);
    until_ = clock_.now_ns() + k_pressed_ns;
    timers_.arm(release_, until_);
  }

  /// The binding gpio-keys (Linux, Documentation/devicetree/bindings/input/gpio-keys.yaml).
  static void describe(TreeWriter& tree, const Site&) {
    constexpr u32 k_key_power = 116;  // of Linux's input-event-codes.h
    tree.begin("gpio-keys");
    tree.text("compatible", "gpio-keys");
    tree.begin("poweroff");
    tree.text("label", "GPIO Key Poweroff");
    tree.cells("linux,code", {k_key_power});
    tree.cells("gpios", {static_cast<u32>(Phandle::Gpio), k_line, 0});
    tree.end();
    tree.end();
  }

 private:
  static constexpr u32 k_line = 3;
  static constexpr u64 k_pressed_ns = 100'000'000;

  /// The timer may be early: the guest's time stood still meanwhile.
  void release() {
    if (clock_.now_ns() < until_) return timers_.arm(release_, until_);
    gpio_.set_input(k_line, false);
  }

  Pl061& gpio_;
  Clock& clock_;
  TimerQueue& timers_;
  std::atomic<u64> until_{0};
  const TimerQueue::Id release_;
};

}  // namespace armvisor::devices
