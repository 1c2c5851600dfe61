#pragma once
// PL061 general-purpose input and output (ARM DDI 0190): eight lines, of which the board drives some.
#include <mutex>

#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

class Pl061 final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x1000;
  explicit Pl061(IrqLine& irq) : irq_(irq) {}

  /// (any thread) What the board has on a line, 0 to 7.
  void set_input(u32 line, bool high);

  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "pl061"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

 private:
  u32 levels() const { return (data_ & direction_) | (inputs_ & ~direction_); }
  u32 read_register(u32 offset) const;
  void write_register(u32 offset, u32 value);
  void changed(u32 levels_before);

  IrqLine& irq_;
  std::mutex mutex_;  // guards what follows
  u32 data_ = 0, direction_ = 0, inputs_ = 0;
  u32 sense_ = 0, both_edges_ = 0, event_ = 0, enabled_ = 0, alternate_ = 0;
  u32 edges_ = 0;  ///< that were seen and not cleared
};

}  // namespace armvisor::devices
