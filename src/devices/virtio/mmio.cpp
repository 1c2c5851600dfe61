#include "devices/virtio/mmio.h"

#include <array>
#include <bit>

namespace armvisor::devices::virtio {
namespace {

// Register offsets, 4.2.2 and 4.2.4.
enum Register : u32 {
  MagicValue = 0x000,
  Version = 0x004,
  DeviceID = 0x008,
  VendorID = 0x00c,
  DeviceFeatures = 0x010,
  DeviceFeaturesSel = 0x014,
  DriverFeatures = 0x020,
  DriverFeaturesSel = 0x024,
  GuestPageSize = 0x028,  // legacy
  QueueSel = 0x030,
  QueueNumMax = 0x034,
  QueueNum = 0x038,
  QueueAlign = 0x03c,  // legacy
  QueuePFN = 0x040,    // legacy
  QueueReady = 0x044,
  QueueNotify = 0x050,
  InterruptStatus = 0x060,
  InterruptACK = 0x064,
  StatusRegister = 0x070,
  QueueDescLow = 0x080,
  QueueDescHigh = 0x084,
  QueueDriverLow = 0x090,
  QueueDriverHigh = 0x094,
  QueueDeviceLow = 0x0a0,
  QueueDeviceHigh = 0x0a4,
  SHMLenLow = 0x0b0,
  SHMLenHigh = 0x0b4,
  SHMBaseLow = 0x0b8,
  SHMBaseHigh = 0x0bc,
  ConfigGeneration = 0x0fc,
  Config = 0x100,
};

}  // namespace

void MmioTransport::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("virtio_mmio", site.regions[0].base));
  tree.text("compatible", "virtio,mmio");
  tree.reg(site);
  tree.interrupt(site);
  tree.empty("dma-coherent");
  tree.end();
}

u64 MmioTransport::mmio_read(u64 offset, u32 size) {
  if (offset >= Config) {
    std::array<u8, 8> bytes{};
    read_config(static_cast<u32>(offset - Config), std::span(bytes).first(size));
    return std::bit_cast<u64>(bytes);
  }
  // 4.2.2.2: registers are accessed by aligned 32-bit reads and writes only.
  if (size != 4 || offset % 4) return 0;
  return read_register(static_cast<u32>(offset));
}

void MmioTransport::mmio_write(u64 offset, u32 size, u64 value) {
  if (offset >= Config) {
    const auto bytes = std::bit_cast<std::array<u8, 8>>(value);
    write_config(static_cast<u32>(offset - Config), std::span(bytes).first(size));
    return;
  }
  if (size != 4 || offset % 4) return;
  write_register(static_cast<u32>(offset), static_cast<u32>(value));
}

u32 MmioTransport::read_register(u32 offset) {
  switch (offset) {
    case MagicValue: return k_magic;
    case Version: return static_cast<u32>(version_);
    case DeviceID: return device().id();
    case VendorID: return k_vendor_id;
    case DeviceFeatures: return offered_half(interface(), device_features_select_);
    case InterruptStatus: {
      const std::lock_guard lock(interrupt_mutex_);
      return interrupt_status_;
    }
    case StatusRegister: return status();
    case SHMLenLow:
    case SHMLenHigh:
    case SHMBaseLow:
    case SHMBaseHigh: return legacy() ? 0 : 0xffffffff;  // 4.2.2.1: no such region
    case ConfigGeneration: return legacy() ? 0 : config_generation();
    default: return selected_queue_exists() ? read_queue_register(offset) : 0;
  }
}

u32 MmioTransport::read_queue_register(u32 offset) {
  const Queue& queue = queue_at(queue_select_);
  switch (offset) {
    case QueueNumMax: return queue.max_size();
    case QueuePFN: return legacy() && queue.enabled() ? registers_of(queue_select_).legacy_pfn : 0;
    case QueueReady: return !legacy() && queue.enabled();
    default: return 0;
  }
}

void MmioTransport::write_register(u32 offset, u32 value) {
  switch (offset) {
    case DeviceFeaturesSel: device_features_select_ = value; return;
    case DriverFeatures: write_driver_features(interface(), driver_features_select_, value); return;
    case DriverFeaturesSel: driver_features_select_ = value; return;
    case GuestPageSize: legacy_page_size_ = value; return;
    case QueueSel: queue_select_ = value; return;
    case QueueNotify: notify(interface(), value); return;
    case InterruptACK: acknowledge(value); return;
    case StatusRegister: write_status(interface(), value); return;
    default:
      if (selected_queue_exists()) write_queue_register(offset, value);
  }
}

void MmioTransport::write_queue_register(u32 offset, u32 value) {
  QueueRegisters& q = registers_of(queue_select_);
  if (offset == QueueNum) {
    q.layout.size = value;
  } else if (!legacy()) {
    write_modern_queue_register(offset, value);
  } else {
    if (offset == QueueAlign) q.legacy_align = value;
    if (offset == QueuePFN) place_legacy_queue(queue_select_, value, legacy_page_size_);
  }
}

void MmioTransport::write_modern_queue_register(u32 offset, u32 value) {
  QueueLayout& layout = registers_of(queue_select_).layout;
  switch (offset) {
    case QueueReady: return value == 0 ? disable_queue(queue_select_) : enable_queue(queue_select_);
    case QueueDescLow: return set_low(layout.descriptors, value);
    case QueueDescHigh: return set_high(layout.descriptors, value);
    case QueueDriverLow: return set_low(layout.available, value);
    case QueueDriverHigh: return set_high(layout.available, value);
    case QueueDeviceLow: return set_low(layout.used, value);
    case QueueDeviceHigh: return set_high(layout.used, value);
    default: return;
  }
}

void MmioTransport::raise_used(u16) {
  step_times().begin(measure::Step::Interrupt);
  raise(k_interrupt_used);
}

void MmioTransport::raise(u32 bits) {
  const std::lock_guard lock(interrupt_mutex_);
  interrupt_status_ |= bits;
  irq_.set(true);
}

void MmioTransport::acknowledge(u32 bits) {
  if (bits & k_interrupt_used) step_times().end(measure::Step::Interrupt);
  const std::lock_guard lock(interrupt_mutex_);
  interrupt_status_ &= ~bits;
  irq_.set(interrupt_status_ != 0);
}

}  // namespace armvisor::devices::virtio
