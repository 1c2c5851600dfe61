#pragma once
// The virtio over MMIO transport (virtio 1.2 section 4.2): 512 bytes of registers, one interrupt line, one device. The
// line is set with interrupt_mutex_ held, so that its level always follows InterruptStatus.
#include <mutex>

#include "devices/device.h"
#include "devices/device_tree.h"
#include "devices/virtio/transport.h"

namespace armvisor::devices::virtio {

/// Which register layout the device presents: version 2, or the legacy version 1 (4.2.4).
enum class MmioVersion : u32 { Legacy = 1, Modern = 2 };

class MmioTransport final : public MmioDevice, public Transport {
 public:
  static constexpr u64 k_region_size = 0x200;
  static constexpr u32 k_magic = 0x74726976;  ///< MagicValue, "virt"

  MmioTransport(std::unique_ptr<Device> device, GuestRam& ram, IrqLine& irq, MmioVersion version = MmioVersion::Modern,
                std::string label = {})
      : Transport(std::move(device), ram, std::move(label)), irq_(irq), version_(version) {}
  ~MmioTransport() override { end_device(); }

  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return device_name(); }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;
  const measure::StepTimes* steps() const override { return &step_times(); }

 private:
  void raise_used(u16 queue) override;
  void raise_config() override { raise(k_interrupt_config); }
  void drop_interrupts() override { acknowledge(~u32{0}); }

  u32 read_register(u32 offset);
  u32 read_queue_register(u32 offset);
  void write_register(u32 offset, u32 value);
  void write_queue_register(u32 offset, u32 value);
  void write_modern_queue_register(u32 offset, u32 value);
  void raise(u32 bits);
  void acknowledge(u32 bits);
  bool legacy() const { return version_ == MmioVersion::Legacy; }
  Interface interface() const { return legacy() ? Interface::Legacy : Interface::Modern; }

  IrqLine& irq_;
  const MmioVersion version_;
  std::mutex interrupt_mutex_;
  u32 interrupt_status_ = 0;
  u32 legacy_page_size_ = 0;  ///< survives a reset: drivers write it once, before they reset the device
};

}  // namespace armvisor::devices::virtio
