#pragma once
// Where the time of a vCPU goes, from a reading of the host's clock at each change.
#include <array>
#include <atomic>

#include "base/types.h"

namespace armvisor::measure {

/// The host's quickest clock, in ticks of its own; monotonic.
u64 ticks();

/// Turns ticks into nanoseconds by comparing both clocks since it was made.
class TickScale {
 public:
  TickScale();
  double ns_per_tick() const;

 private:
  u64 ticks_, ns_;
};

enum class VcpuTime : u8 {
  Guest,       ///< in generated or interpreted code, with its fast and light traps
  Hypervisor,  ///< in the dispatcher and the translator, and between runs
  Device,      ///< in device models, for the guest's accesses
  Idle,        ///< asleep in WFI or WFE, or powered off
};
inline constexpr u32 k_vcpu_times = 4;
inline constexpr const char* k_vcpu_time_names[k_vcpu_times] = {"guest", "hypervisor", "devices", "idle"};

/// Written by the vCPU's thread, read by any. Counts nothing until it is switched on.
class VcpuClock {
 public:
  void start(VcpuTime state) {
    on_ = true;
    since_.store(stamp(ticks(), state), std::memory_order_release);
  }
  /// What is spent from now on; returns what it was before.
  VcpuTime enter(VcpuTime next) {
    if (!on_) return next;
    const u64 since = since_.load(std::memory_order_relaxed), now = ticks();
    const VcpuTime before = state_of(since);
    std::atomic<u64>& sum = sums_[static_cast<u32>(before)];
    since_.store(k_changing, std::memory_order_relaxed);
    sum.store(sum.load(std::memory_order_relaxed) + (now & ~k_state_mask) - (since & ~k_state_mask),
              std::memory_order_release);
    since_.store(stamp(now, next), std::memory_order_release);
    return before;
  }
  /// Ticks in each state until now.
  std::array<u64, k_vcpu_times> read() const;

 private:
  // A reading of the clock with its lowest bits replaced by the state.
  static constexpr u64 k_state_mask = 3, k_changing = ~u64{0};
  static u64 stamp(u64 now, VcpuTime state) { return (now & ~k_state_mask) | static_cast<u64>(state); }
  static VcpuTime state_of(u64 stamp) { return static_cast<VcpuTime>(stamp & k_state_mask); }

  bool on_ = false;
  std::atomic<u64> since_{0};
  std::array<std::atomic<u64>, k_vcpu_times> sums_{};
};

}  // namespace armvisor::measure
