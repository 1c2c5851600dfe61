#pragma once
// Generic timer (ARM DDI 0406C B8): the system counter, and the physical and virtual timer of one vCPU. The registers
// live in the CPU's state; this turns CNTx_CTL and CNTx_CVAL into a level and a host timer.
#include <mutex>

#include "base/platform.h"
#include "base/types.h"
#include "devices/clock.h"
#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

/// Private peripheral interrupts (Gic::ppi) of the timers, as in the device tree's order: secure physical, physical,
/// virtual, hyp. Without Security Extensions the physical timer uses the non-secure number.
inline constexpr u32 k_ppi_timer_secure = 13, k_ppi_timer_physical = 14, k_ppi_timer_virtual = 11, k_ppi_timer_hyp = 10;

/// Counts at k_counter_hz from `epoch_ns` on the clock. (any thread)
class SystemCounter {
 public:
  static constexpr u64 k_ns_per_tick = 1'000'000'000 / k_counter_hz;
  static_assert(k_ns_per_tick * k_counter_hz == 1'000'000'000);
  explicit SystemCounter(Clock& clock) : clock_(clock), epoch_ns_(clock.now_ns()) {}

  u64 ticks() const { return (clock_.now_ns() - epoch_ns_) / k_ns_per_tick; }
  /// Clock time at which ticks() first is `tick`; ~0 when it is beyond what the clock can tell.
  u64 time_of(u64 tick) const;
  u64 epoch_ns() const { return epoch_ns_; }

 private:
  Clock& clock_;
  u64 epoch_ns_;
};

/// One timer: physical or virtual. (any thread) Lock order: this timer's mutex, then what the line takes.
class ArchTimer {
 public:
  ArchTimer(const SystemCounter& counter, TimerQueue& queue, IrqLine& line);
  ~ArchTimer();
  ArchTimer(const ArchTimer&) = delete;
  ArchTimer& operator=(const ArchTimer&) = delete;

  /// To be called when the vCPU's CNTx_CTL or CNTx_CVAL changed.
  void changed(u32 ctl, u64 cval);
  bool armed();  ///< its output is to become high

  /// The node of all timers of all vCPUs.
  static void describe(TreeWriter& tree, const Site& site);

 private:
  bool enabled() const;
  void evaluate();
  const SystemCounter& counter_;
  TimerQueue& queue_;
  IrqLine& line_;
  TimerQueue::Id id_;
  std::mutex mutex_;
  u32 ctl_ = 0;
  u64 cval_ = 0;
};

}  // namespace armvisor::devices
