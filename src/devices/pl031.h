#pragma once
// PL031 real-time clock (ARM DDI 0224).
#include <mutex>

#include "devices/clock.h"
#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

class Pl031 final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x1000;
  Pl031(IrqLine& irq, Clock& clock, TimerQueue& queue);
  ~Pl031() override;
  Pl031(const Pl031&) = delete;
  Pl031& operator=(const Pl031&) = delete;

  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "pl031"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

 private:
  u32 read(u64 offset);
  u32 seconds() const { return static_cast<u32>(clock_.realtime_s()) + offset_; }
  void arm_alarm();
  void alarm();
  void update_irq();

  IrqLine& irq_;
  Clock& clock_;
  TimerQueue& queue_;
  TimerQueue::Id id_;
  std::mutex mutex_;  ///< registers are shared with the timer's thread
  u32 offset_ = 0;    ///< RTCDR minus the host's seconds
  u32 match_ = 0, load_ = 0, imsc_ = 0, ris_ = 0;
};

}  // namespace armvisor::devices
