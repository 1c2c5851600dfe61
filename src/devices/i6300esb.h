#pragma once
// The watchdog of Intel's 6300ESB I/O controller hub (300641, chapter 16), as QEMU's i6300esb: two timers, one after
// the other. When the second one is over, too, and the guest has not reloaded them, the machine is told.
#include <functional>
#include <mutex>

#include "devices/clock.h"
#include "devices/pci/function.h"

namespace armvisor::devices {

/// Registers are under mutex_, a leaf: the timer is called on the event loop's thread.
class I6300esb final : public pci::Function {
 public:
  static constexpr u32 k_region_size = 16;

  /// `expired` is called on the thread of the timers, without a lock.
  I6300esb(IrqLine& intx, Clock& clock, TimerQueue& timers, std::function<void()> expired);
  ~I6300esb() override;

  u32 config_read(u32 offset, u32 size) override;
  void config_write(u32 offset, u32 size, u32 value) override;

 private:
  class Registers final : public MmioDevice {
   public:
    explicit Registers(I6300esb& device) : device_(device) {}
    std::string_view name() const override { return "i6300esb"; }
    u64 mmio_read(u64 offset, u32 size) override;
    void mmio_write(u64 offset, u32 size, u64 value) override;

   private:
    I6300esb& device_;
  };

  // With mutex_ held.
  void reset();
  void restart(u32 stage);
  void write_configuration(u32 value);
  void write_lock(u32 value);
  bool unlock(u32 value);

  void timer_over();

  Clock& clock_;
  TimerQueue& timers_;
  const std::function<void()> expired_;
  const TimerQueue::Id timer_;
  Registers registers_{*this};
  std::mutex mutex_;  // guards what follows
  bool reboots_ = true, fast_ = false, runs_free_ = false, locked_ = false, enabled_ = false;
  bool expired_before_ = false;  ///< since the guest cleared it; a reset of the registers leaves it
  u32 interrupt_type_ = 0;
  u32 preload_[2] = {};
  u32 stage_ = 1;     ///< whose timer runs
  u32 unlocked_ = 0;  ///< how many of the two values that come before a write of a register have been written
};

}  // namespace armvisor::devices
