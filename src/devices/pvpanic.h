#pragma once
// QEMU's pvpanic-pci: a register by which a kernel says that it has panicked, before it does what it does then (QEMU:
// docs/specs/pvpanic.rst; Linux: drivers/misc/pvpanic).
#include <functional>

#include "devices/pci/function.h"

namespace armvisor::devices {

/// Bits of the register: read, those that the device knows; written, what has happened.
enum class GuestEvent : u8 {
  Panicked = 1,
  CrashLoaded = 2,  ///< it panicked, and goes on into another kernel (kexec)
  Shutdown = 4,     ///< it is turned off
};

class Pvpanic final : public pci::Function {
 public:
  static constexpr u8 k_all_events = 7;
  /// Of the region, as PCI has it. QEMU has two of them, and each is the register.
  static constexpr u32 k_region_size = 16, k_registers = 2;

  /// `tell` is called on the thread of the vCPU that writes, with the device's lock on the bus held: it must not wait
  /// for vCPUs. Of several bits that are written at once the lowest is told.
  Pvpanic(IrqLine& intx, u8 events, std::function<void(GuestEvent)> tell);

 private:
  class Register final : public MmioDevice {
   public:
    explicit Register(Pvpanic& device) : device_(device) {}
    std::string_view name() const override { return "pvpanic"; }
    u64 mmio_read(u64 offset, u32 size) override;
    void mmio_write(u64 offset, u32 size, u64 value) override;

   private:
    Pvpanic& device_;
  };

  const u8 events_;
  const std::function<void(GuestEvent)> tell_;
  Register register_{*this};
};

}  // namespace armvisor::devices
