#include "devices/virtio/pci.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/bits.h"

namespace armvisor::devices::virtio {
namespace {

constexpr u16 k_vendor = 0x1af4;
constexpr u16 k_modern_device = 0x1040;     // and the device's type, 4.1.2
constexpr u16 k_modern_subsystem = 0x1100;  // as QEMU's
constexpr u32 k_legacy_registers = 24;      // with the two of MSI-X

/// What PCI says of a device's type: 4.1.2.1 for the transitional number, the rest as QEMU has it.
struct Kind {
  u32 type;
  u16 transitional;  ///< 0: there was no such device before virtio 1, so it has no legacy interface
  u32 class_code;
  u32 config_bytes;  ///< of its own configuration, unless the device says it, for the size of the legacy BAR
  u32 vectors;       ///< 0: one for each queue, and one
};
constexpr Kind k_kinds[] = {
    {1, 0x1000, 0x020000, 8, 4},  {2, 0x1001, 0x010000, 60, 0}, {3, 0x1003, 0x078000, 12, 2},
    {4, 0x1005, 0x00ff00, 0, 0},  {8, 0x1004, 0x010000, 36, 0}, {9, 0x1009, 0x000200, 0, 2},
    {5, 0x1002, 0x00ff00, 16, 0}, {16, 0, 0x038000, 16, 3},     {19, 0, 0x078000, 0, 0},
    {26, 0, 0x018000, 0, 0},
};
constexpr Kind k_other = {0, 0, 0x00ff00, 0, 0};

const Kind& kind_of(const Device& device) {
  const auto found = std::ranges::find(k_kinds, device.id(), &Kind::type);
  return found == std::end(k_kinds) ? k_other : *found;
}

/// Of the interfaces that are wished for, those that the type can have.
PciForm possible(const Device& device, PciForm form) {
  const bool is_new = std::ranges::any_of(
      k_kinds, [&](const Kind& kind) { return kind.type == device.id() && kind.transitional == 0; });
  return is_new ? PciForm{.legacy = false, .modern = true} : form;
}

pci::Identity identity(const Device& device, PciForm form) {
  const Kind& kind = kind_of(device);
  const u16 type = static_cast<u16>(device.id());
  pci::Identity id = {.vendor = k_vendor,
                      .device = static_cast<u16>(k_modern_device + type),
                      .class_code = kind.class_code,
                      .revision = 1,
                      .subsystem_vendor = k_vendor,
                      .subsystem = k_modern_subsystem};
  if (!form.legacy) return id;
  id.device = kind.transitional;
  id.revision = 0;
  id.subsystem = type;
  return id;
}

// Types of the vendor's capabilities, 4.1.4.
enum CapabilityType : u8 { CommonCfg = 1, NotifyCfg = 2, IsrCfg = 3, DeviceCfg = 4, PciCfg = 5 };
constexpr u8 k_vendor_capability = 0x09;
// Offsets in such a capability.
constexpr u32 k_cap_bar = 4, k_cap_offset = 8, k_cap_length = 12, k_cap_data = 16;

// Offsets of struct virtio_pci_common_cfg, 4.1.4.3.
enum Common : u32 {
  DeviceFeatureSelect = 0x00,
  DeviceFeature = 0x04,
  DriverFeatureSelect = 0x08,
  DriverFeature = 0x0c,
  ConfigVector = 0x10,
  NumQueues = 0x12,
  DeviceStatus = 0x14,
  ConfigGeneration = 0x15,
  QueueSelect = 0x16,
  QueueSize = 0x18,
  QueueVector = 0x1a,
  QueueEnable = 0x1c,
  QueueNotifyOff = 0x1e,
  QueueDesc = 0x20,
  QueueDriver = 0x28,
  QueueDevice = 0x30,
};

// Offsets of the legacy interface, 4.1.4.10.
enum Legacy : u32 {
  LegacyDeviceFeatures = 0x00,
  LegacyDriverFeatures = 0x04,
  LegacyQueuePfn = 0x08,
  LegacyQueueSize = 0x0c,
  LegacyQueueSelect = 0x0e,
  LegacyQueueNotify = 0x10,
  LegacyStatus = 0x12,
  LegacyIsr = 0x13,
  LegacyConfigVector = 0x14,
  LegacyQueueVector = 0x16,
};

u64 low_bytes(u64 value, u32 size) { return value & low_mask(8 * size); }
u32 half_of(GuestPa pa, bool upper) { return static_cast<u32>(upper ? pa.value >> 32 : pa.value); }
bool touches(u32 offset, u32 size, u32 first, u32 bytes) { return offset < first + bytes && first < offset + size; }

}  // namespace

PciTransport::PciTransport(std::unique_ptr<Device> made, GuestRam& ram, const pci::Wires& wires, PciForm form,
                           std::string label)
    : Function(identity(*made, possible(*made, form)), wires.intx), Transport(std::move(made), ram, std::move(label)) {
  const Kind& kind = kind_of(device());
  form = possible(device(), form);
  queue_vectors_ = std::make_unique<std::atomic<u16>[]>(queue_count());
  drop_interrupts();
  config().set(pci::InterruptPin, 1, 1);
  if (form.legacy)
    add_bar({k_legacy_bar, pci::BarKind::Io,
             std::bit_ceil(k_legacy_registers + std::max(kind.config_bytes, device().config_bytes())), &legacy_});
  if (form.modern) {
    add_capabilities();
    add_bar({k_modern_bar, pci::BarKind::Memory64, k_modern_size, &modern_});
  }
  add_msix(device_name() + "-msix", kind.vectors ? kind.vectors : static_cast<u32>(queue_count()) + 1, wires.sink,
           k_msix_bar);
}

void PciTransport::add_capabilities() {
  const auto add = [this](CapabilityType type, u32 offset, u32 length, u32 more_bytes) {
    std::array<u8, 18> body{};
    body[0] = static_cast<u8>(k_cap_data + more_bytes);
    body[1] = type;
    body[2] = type == PciCfg ? 0 : k_modern_bar;
    std::memcpy(&body[k_cap_offset - 2], &offset, 4);
    std::memcpy(&body[k_cap_length - 2], &length, 4);
    if (type == NotifyCfg) body[k_cap_data - 2] = k_notify_multiplier;
    return config().add_capability(k_vendor_capability, std::span(body).first(k_cap_data - 2 + more_bytes));
  };
  constexpr u32 k_length = 0x1000;
  add(CommonCfg, k_common, k_length, 0);
  add(IsrCfg, k_isr, k_length, 0);
  add(DeviceCfg, k_device, k_length, 0);
  add(NotifyCfg, k_notify, k_length, 4);
  window_offset_ = add(PciCfg, 0, 0, 4);
  config().allow(window_offset_ + k_cap_bar, 1, 0xff);
  for (const u32 at : {k_cap_offset, k_cap_length, k_cap_data}) config().allow(window_offset_ + at, 4, ~u32{0});
}

// --- interrupts

void PciTransport::raise_used(u16 queue) {
  if (msix_enabled()) return send_message(queue_vectors_[queue].load());
  step_times().begin(measure::Step::Interrupt);
  raise(k_interrupt_used);
}

void PciTransport::raise_config() {
  if (msix_enabled()) return send_message(config_vector_.load());
  raise(k_interrupt_config);
}

void PciTransport::raise(u32 bits) {
  const std::lock_guard lock(isr_mutex_);
  isr_ |= bits;
  set_intx(true);
}

/// 4.1.4.5: reading it acknowledges all.
u32 PciTransport::take_isr() {
  step_times().end(measure::Step::Interrupt);
  const std::lock_guard lock(isr_mutex_);
  const u32 bits = std::exchange(isr_, 0);
  set_intx(false);
  return bits;
}

void PciTransport::drop_interrupts() {
  take_isr();
  config_vector_ = pci::Msix::k_none;
  for (std::size_t n = 0; n < queue_count(); ++n) queue_vectors_[n] = pci::Msix::k_none;
}

/// 4.1.4.3.2: a vector that there is not becomes none, which tells the driver.
u16 PciTransport::valid_vector(u64 value) const {
  return value < vectors() ? static_cast<u16>(value) : pci::Msix::k_none;
}

// --- BAR 4

u64 PciTransport::read_modern(u64 offset64, u32 size) {
  const std::lock_guard lock(registers_mutex_);
  const u32 offset = static_cast<u32>(offset64);
  switch (offset & ~0xfffu) {
    case k_common: {
      const u64 low = low_bytes(read_common(offset), std::min(size, 4u));
      return size == 8 ? low | read_common(offset + 4) << 32 : low;
    }
    case k_isr: return offset == k_isr ? take_isr() : 0;
    case k_device: return read_device(offset - k_device, size);
    default: return 0;
  }
}

void PciTransport::write_modern(u64 offset64, u32 size, u64 value) {
  const std::lock_guard lock(registers_mutex_);
  const u32 offset = static_cast<u32>(offset64);
  switch (offset & ~0xfffu) {
    case k_common:
      write_common(offset, static_cast<u32>(value));
      if (size == 8) write_common(offset + 4, value >> 32);
      return;
    case k_device: return write_device(offset - k_device, size, value);
    case k_notify:
      if (is_master()) notify(Interface::Modern, (offset - k_notify) / k_notify_multiplier);
      return;
    default: return;
  }
}

u64 PciTransport::read_device(u32 offset, u32 size) {
  std::array<u8, 8> bytes{};
  read_config(offset, std::span(bytes).first(size));
  return std::bit_cast<u64>(bytes);
}

void PciTransport::write_device(u32 offset, u32 size, u64 value) {
  const auto bytes = std::bit_cast<std::array<u8, 8>>(value);
  write_config(offset, std::span(bytes).first(size));
}

u64 PciTransport::read_common(u32 offset) {
  switch (offset) {
    case DeviceFeatureSelect: return device_features_select_;
    case DeviceFeature: return offered_half(Interface::Modern, device_features_select_);
    case DriverFeatureSelect: return driver_features_select_;
    case DriverFeature: return driver_half(driver_features_select_);
    case ConfigVector: return config_vector_;
    case NumQueues: return queue_count();
    case DeviceStatus: return status();
    case ConfigGeneration: return config_generation() & 0xff;
    case QueueSelect: return queue_select_;
    default: return selected_queue_exists() ? read_common_queue(offset) : 0;
  }
}

u64 PciTransport::read_common_queue(u32 offset) {
  const QueueLayout& layout = registers_of(queue_select_).layout;
  const Queue& queue = queue_at(queue_select_);
  switch (offset) {
    case QueueSize: return layout.size ? layout.size : queue.max_size();
    case QueueVector: return queue_vectors_[queue_select_];
    case QueueEnable: return queue.enabled();
    case QueueNotifyOff: return queue_select_;
    case QueueDesc:
    case QueueDesc + 4: return half_of(layout.descriptors, offset != QueueDesc);
    case QueueDriver:
    case QueueDriver + 4: return half_of(layout.available, offset != QueueDriver);
    case QueueDevice:
    case QueueDevice + 4: return half_of(layout.used, offset != QueueDevice);
    default: return 0;
  }
}

void PciTransport::write_common(u32 offset, u64 value64) {
  const u32 value = static_cast<u32>(value64);
  switch (offset) {
    case DeviceFeatureSelect: device_features_select_ = value; return;
    case DriverFeatureSelect: driver_features_select_ = value; return;
    case DriverFeature: return write_driver_features(Interface::Modern, driver_features_select_, value);
    case ConfigVector: config_vector_ = valid_vector(value & 0xffff); return;
    case DeviceStatus: return write_status(Interface::Modern, value);
    case QueueSelect: queue_select_ = value & 0xffff; return;
    default:
      if (selected_queue_exists()) write_common_queue(offset, value);
  }
}

void PciTransport::write_common_queue(u32 offset, u64 value64) {
  const u32 value = static_cast<u32>(value64);
  QueueLayout& layout = registers_of(queue_select_).layout;
  switch (offset) {
    case QueueSize: layout.size = value & 0xffff; return;
    case QueueVector: queue_vectors_[queue_select_] = valid_vector(value & 0xffff); return;
    case QueueEnable:  // 4.1.4.3.2: a driver writes no 0
      if (layout.size == 0) layout.size = queue_at(queue_select_).max_size();
      if ((value & 0xffff) == 1) enable_queue(queue_select_);
      return;
    case QueueDesc: return set_low(layout.descriptors, value);
    case QueueDesc + 4: return set_high(layout.descriptors, value);
    case QueueDriver: return set_low(layout.available, value);
    case QueueDriver + 4: return set_high(layout.available, value);
    case QueueDevice: return set_low(layout.used, value);
    case QueueDevice + 4: return set_high(layout.used, value);
    default: return;
  }
}

// --- BAR 0

u64 PciTransport::read_legacy(u64 offset, u32 size) {
  const std::lock_guard lock(registers_mutex_);
  const u32 config = legacy_config_offset();
  if (offset >= config) return read_device(static_cast<u32>(offset) - config, size);
  return low_bytes(read_legacy_register(static_cast<u32>(offset)), size);
}

void PciTransport::write_legacy(u64 offset, u32 size, u64 value) {
  const std::lock_guard lock(registers_mutex_);
  const u32 config = legacy_config_offset();
  if (offset >= config) return write_device(static_cast<u32>(offset) - config, size, value);
  write_legacy_register(static_cast<u32>(offset), static_cast<u32>(low_bytes(value, std::min(size, 4u))));
}

u64 PciTransport::read_legacy_register(u32 offset) {
  const bool queue = selected_queue_exists();
  switch (offset) {
    case LegacyDeviceFeatures: return offered_half(Interface::Legacy, 0);
    case LegacyDriverFeatures: return driver_half(0);
    case LegacyQueuePfn: return queue && queue_at(queue_select_).enabled() ? registers_of(queue_select_).legacy_pfn : 0;
    case LegacyQueueSize: return queue ? queue_at(queue_select_).max_size() : 0;
    case LegacyQueueSelect: return queue_select_;
    case LegacyStatus: return status();
    case LegacyIsr: return take_isr();
    case LegacyConfigVector: return config_vector_;
    case LegacyQueueVector: return queue ? queue_vectors_[queue_select_].load() : pci::Msix::k_none;
    default: return 0;
  }
}

void PciTransport::write_legacy_register(u32 offset, u32 value) {
  const bool queue = selected_queue_exists();
  switch (offset) {
    case LegacyDriverFeatures: return write_driver_features(Interface::Legacy, 0, value);
    case LegacyQueuePfn:
      if (!queue) return;
      registers_of(queue_select_).layout.size = queue_at(queue_select_).max_size();
      registers_of(queue_select_).legacy_align = k_page;
      return place_legacy_queue(queue_select_, value, k_page);
    case LegacyQueueSelect: queue_select_ = value & 0xffff; return;
    case LegacyQueueNotify: return notify(Interface::Legacy, value & 0xffff);
    case LegacyStatus: return write_status(Interface::Legacy, value);
    case LegacyConfigVector: config_vector_ = valid_vector(value & 0xffff); return;
    case LegacyQueueVector:
      if (queue) queue_vectors_[queue_select_] = valid_vector(value & 0xffff);
      return;
    default: return;
  }
}

// --- access through configuration space, 4.1.4.9

bool PciTransport::window(u32& offset, u32& size) {
  if (config().read(window_offset_ + k_cap_bar, 1) != k_modern_bar) return false;
  offset = config().read(window_offset_ + k_cap_offset, 4);
  size = config().read(window_offset_ + k_cap_length, 4);
  return (size == 1 || size == 2 || size == 4) && offset < k_modern_size && offset % size == 0;
}

u32 PciTransport::config_read(u32 offset, u32 size) {
  u32 at = 0, bytes = 0;
  if (window_offset_ && touches(offset, size, window_offset_ + k_cap_data, 4) && window(at, bytes))
    config().set(window_offset_ + k_cap_data, bytes, static_cast<u32>(read_modern(at, bytes)));
  return Function::config_read(offset, size);
}

void PciTransport::config_write(u32 offset, u32 size, u32 value) {
  Function::config_write(offset, size, value);
  u32 at = 0, bytes = 0;
  if (window_offset_ && touches(offset, size, window_offset_ + k_cap_data, 4) && window(at, bytes))
    write_modern(at, bytes, config().read(window_offset_ + k_cap_data, bytes));
}

}  // namespace armvisor::devices::virtio
