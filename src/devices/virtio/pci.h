#pragma once
// The virtio over PCI transport (virtio 1.2 section 4.1): a function with the vendor's capabilities, whose registers
// are in BAR 4, and those of the legacy interface in BAR 0 (I/O ports). A device with both is transitional. The layout
// is QEMU's.
//
// All registers, by either BAR or by the capability for access through configuration space, are under registers_mutex_.
// The interrupt line is set with isr_mutex_ held, so that its level always follows the ISR status.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "devices/pci/function.h"
#include "devices/virtio/transport.h"

namespace armvisor::devices::virtio {

/// Which interfaces a device has: one at least.
struct PciForm {
  bool legacy = true, modern = true;
  constexpr bool operator==(const PciForm&) const = default;
};

class PciTransport final : public pci::Function, public Transport {
 public:
  static constexpr u32 k_legacy_bar = 0, k_msix_bar = 1, k_modern_bar = 4;
  static constexpr u32 k_modern_size = 0x4000;
  // Structures in the modern BAR, one page each.
  static constexpr u32 k_common = 0x0000, k_isr = 0x1000, k_device = 0x2000, k_notify = 0x3000;
  static constexpr u32 k_notify_multiplier = 4;
  static constexpr u64 k_page = 4096;  ///< of the legacy interface's queues

  PciTransport(std::unique_ptr<Device> device, GuestRam& ram, const pci::Wires& wires, PciForm form,
               std::string label = {});
  ~PciTransport() override { end_device(); }

  u32 config_read(u32 offset, u32 size) override;
  void config_write(u32 offset, u32 size, u32 value) override;

  // The registers of the two BARs.
  u64 read_modern(u64 offset, u32 size);
  void write_modern(u64 offset, u32 size, u64 value);
  u64 read_legacy(u64 offset, u32 size);
  void write_legacy(u64 offset, u32 size, u64 value);

 private:
  /// A BAR, for the bus.
  class Registers final : public MmioDevice {
   public:
    Registers(PciTransport& transport, bool legacy)
        : transport_(transport), legacy_(legacy), name_(transport.device_name() + (legacy ? "-ports" : "")) {}
    std::string_view name() const override { return name_; }
    u64 mmio_read(u64 offset, u32 size) override {
      return legacy_ ? transport_.read_legacy(offset, size) : transport_.read_modern(offset, size);
    }
    void mmio_write(u64 offset, u32 size, u64 value) override {
      legacy_ ? transport_.write_legacy(offset, size, value) : transport_.write_modern(offset, size, value);
    }
    const measure::StepTimes* steps() const override { return legacy_ ? nullptr : &transport_.step_times(); }

   private:
    PciTransport& transport_;
    const bool legacy_;
    const std::string name_;
  };

  void raise_used(u16 queue) override;
  void raise_config() override;
  void drop_interrupts() override;

  void add_capabilities();
  void raise(u32 bits);
  u32 take_isr();

  u64 read_common(u32 offset);
  u64 read_common_queue(u32 offset);
  void write_common(u32 offset, u64 value);
  void write_common_queue(u32 offset, u64 value);
  u64 read_device(u32 offset, u32 size);
  void write_device(u32 offset, u32 size, u64 value);
  u64 read_legacy_register(u32 offset);
  void write_legacy_register(u32 offset, u32 value);
  u32 legacy_config_offset() const { return msix_enabled() ? 24 : 20; }
  u16 valid_vector(u64 value) const;

  /// The window of the capability for access through configuration space: whether it names registers, and which.
  bool window(u32& offset, u32& size);

  Registers modern_{*this, false}, legacy_{*this, true};
  u32 window_offset_ = 0;  ///< of that capability; 0: there is none
  std::mutex registers_mutex_;
  std::atomic<u16> config_vector_{pci::Msix::k_none};
  std::unique_ptr<std::atomic<u16>[]> queue_vectors_;
  std::mutex isr_mutex_;
  u32 isr_ = 0;
};

}  // namespace armvisor::devices::virtio
