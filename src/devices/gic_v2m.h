#pragma once
// A frame of the GIC that turns messages into shared interrupts ("GICv2m", ARM Server Base System Architecture,
// appendix E): who writes the number of one makes it pending. PCI devices write it as their MSI.
#include "devices/gic.h"

namespace armvisor::devices {

class GicV2m final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x1000;
  static constexpr u32 k_interrupts = 64;

  /// For the interrupts from `first_spi` on, k_interrupts of them.
  GicV2m(Gic& gic, u32 first_spi) : gic_(gic), first_spi_(first_spi) {}

  /// Inside the node of its GIC.
  static void describe(TreeWriter& tree, const Region& region);

  std::string_view name() const override { return "gic-v2m"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

  /// Where a message has to be written, from the frame's start.
  static constexpr u64 k_message_offset = 0x040;
  /// (any thread) What is written there. Numbers that are not its own change nothing.
  void message(u32 interrupt_id);

 private:
  Gic& gic_;
  const u32 first_spi_;
};

}  // namespace armvisor::devices
