#include "devices/pvpanic.h"

namespace armvisor::devices {
namespace {
constexpr pci::Identity k_identity{.vendor = 0x1b36,
                                   .device = 0x0011,
                                   .class_code = 0x088000,  // a system peripheral of another kind
                                   .revision = 1,
                                   .subsystem_vendor = 0x1af4,
                                   .subsystem = 0x1100};
}  // namespace

Pvpanic::Pvpanic(IrqLine& intx, u8 events, std::function<void(GuestEvent)> tell)
    : Function(k_identity, intx), events_(events), tell_(std::move(tell)) {
  add_bar({0, pci::BarKind::Memory, k_region_size, &register_});
}

u64 Pvpanic::Register::mmio_read(u64 offset, u32 size) {
  u64 value = 0;
  for (u32 n = 0; n < size; ++n) value |= u64{offset + n < k_registers ? device_.events_ : u8{0xff}} << (8 * n);
  return value;
}

void Pvpanic::Register::mmio_write(u64 offset, u32 size, u64 value) {
  for (u32 n = 0; n < size && offset + n < k_registers; ++n)
    for (const GuestEvent event : {GuestEvent::Panicked, GuestEvent::CrashLoaded, GuestEvent::Shutdown})
      if ((value >> (8 * n)) & static_cast<u8>(event)) {
        device_.tell_(event);
        break;
      }
}

}  // namespace armvisor::devices
