#include "devices/virtio/mmio.h"

#include <array>
#include <bit>

#include "base/bits.h"
#include "base/log_once.h"

namespace armvisor::devices::virtio {
namespace {

constexpr u32 k_vendor_id = 0x41564d41;  // "AMVA"

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

constexpr u32 k_interrupt_used = 1;
constexpr u32 k_interrupt_config = 2;

// Device status, 2.1.
constexpr u32 k_status_driver_ok = 4;
constexpr u32 k_status_features_ok = 8;
constexpr u32 k_status_needs_reset = 64;

u32 half(u64 value, u32 select) { return select > 1 ? 0 : static_cast<u32>(value >> (32 * select)); }
GuestPa with_low(GuestPa pa, u32 low) { return GuestPa((pa.value & ~u64{0xffffffff}) | low); }
GuestPa with_high(GuestPa pa, u32 high) { return GuestPa((pa.value & 0xffffffff) | (u64{high} << 32)); }

u64 offered_features(const Device& device, MmioVersion version) {
  const u64 common = device.features() | k_feature_indirect_desc | k_feature_event_idx;
  return version == MmioVersion::Legacy ? common | k_feature_any_layout : common | k_feature_version_1;
}

}  // namespace

MmioTransport::MmioTransport(std::unique_ptr<Device> device, GuestRam& ram, IrqLine& irq, MmioVersion version,
                             std::string label)
    : device_(std::move(device)),
      counters_(device_->counters()),
      steps_(device_->steps()),
      name_(device_->name()),
      label_(label.empty() ? name_ : std::move(label)),
      ram_(ram),
      irq_(irq),
      version_(version),
      offered_(offered_features(*device_, version)) {
  for (const u16 size : device_->queue_sizes()) queues_.push_back(std::make_unique<Queue>(ram_, size));
  queue_registers_.resize(queues_.size());
  device_->attach(*this);
}

void MmioTransport::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("virtio_mmio", site.regions[0].base));
  tree.text("compatible", "virtio,mmio");
  tree.reg(site);
  tree.interrupt(site);
  tree.empty("dma-coherent");
  tree.end();
}

MmioTransport::~MmioTransport() {
  device_.reset();  // ends the device's threads while the queues still exist
}

u64 MmioTransport::mmio_read(u64 offset, u32 size) {
  if (offset >= Config) {
    std::array<u8, 8> bytes{};
    device_->read_config(static_cast<u32>(offset - Config), std::span(bytes).first(size));
    return std::bit_cast<u64>(bytes);
  }
  // 4.2.2.2: registers are accessed by aligned 32-bit reads and writes only.
  if (size != 4 || offset % 4) return 0;
  return read_register(static_cast<u32>(offset));
}

void MmioTransport::mmio_write(u64 offset, u32 size, u64 value) {
  if (offset >= Config) {
    const auto bytes = std::bit_cast<std::array<u8, 8>>(value);
    device_->write_config(static_cast<u32>(offset - Config), std::span(bytes).first(size));
    return;
  }
  if (size != 4 || offset % 4) return;
  write_register(static_cast<u32>(offset), static_cast<u32>(value));
}

u32 MmioTransport::read_register(u32 offset) {
  switch (offset) {
    case MagicValue: return k_magic;
    case Version: return static_cast<u32>(version_);
    case DeviceID: return device_->id();
    case VendorID: return k_vendor_id;
    case DeviceFeatures: return half(offered_, device_features_select_);
    case QueueNumMax: return selected_queue_exists() ? queues_[queue_select_]->max_size() : 0;
    case QueuePFN:
      if (!legacy() || !selected_queue_exists() || !queues_[queue_select_]->enabled()) return 0;
      return queue_registers_[queue_select_].legacy_pfn;
    case QueueReady: return !legacy() && selected_queue_exists() && queues_[queue_select_]->enabled();
    case InterruptStatus: {
      const std::lock_guard lock(interrupt_mutex_);
      return interrupt_status_;
    }
    case StatusRegister: return status_.load();
    case SHMLenLow:
    case SHMLenHigh:
    case SHMBaseLow:
    case SHMBaseHigh: return legacy() ? 0 : 0xffffffff;  // 4.2.2.1: no such region
    case ConfigGeneration: return legacy() ? 0 : config_generation_.load();
    default: return 0;
  }
}

void MmioTransport::write_register(u32 offset, u32 value) {
  switch (offset) {
    case DeviceFeaturesSel: device_features_select_ = value; return;
    case DriverFeatures: write_driver_features(value); return;
    case DriverFeaturesSel: driver_features_select_ = value; return;
    case GuestPageSize: legacy_page_size_ = value; return;
    case QueueSel: queue_select_ = value; return;
    case QueueNotify: notify(value); return;
    case InterruptACK: acknowledge(value); return;
    case StatusRegister: write_status(value); return;
    default:
      if (selected_queue_exists()) write_queue_register(offset, value);
  }
}

void MmioTransport::write_queue_register(u32 offset, u32 value) {
  QueueRegisters& q = queue_registers_[queue_select_];
  if (offset == QueueNum) {
    q.layout.size = value;
  } else if (legacy()) {
    if (offset == QueueAlign) q.legacy_align = value;
    if (offset == QueuePFN) write_queue_pfn(value);
  } else {
    switch (offset) {
      case QueueReady: write_queue_ready(value); return;
      case QueueDescLow: q.layout.descriptors = with_low(q.layout.descriptors, value); return;
      case QueueDescHigh: q.layout.descriptors = with_high(q.layout.descriptors, value); return;
      case QueueDriverLow: q.layout.available = with_low(q.layout.available, value); return;
      case QueueDriverHigh: q.layout.available = with_high(q.layout.available, value); return;
      case QueueDeviceLow: q.layout.used = with_low(q.layout.used, value); return;
      case QueueDeviceHigh: q.layout.used = with_high(q.layout.used, value); return;
      default: return;
    }
  }
}

void MmioTransport::write_driver_features(u32 value) {
  // 2.2.1: after FEATURES_OK the driver must not change what it accepted.
  if (driver_features_select_ > 1 || active_ || (status_.load() & k_status_features_ok)) return;
  const u32 shift = 32 * driver_features_select_;
  driver_features_ = (driver_features_ & ~(u64{0xffffffff} << shift)) | (u64{value} << shift);
  if (!legacy()) return;
  // The legacy interface has no FEATURES_OK: what is written holds at once.
  driver_features_ &= offered_;
  for (auto& q : queues_) q->set_features(driver_features_);
}

bool MmioTransport::accept_features() {
  // 6.1: a driver must accept VERSION_1 if offered; 2.2.2: and nothing that was not offered.
  if ((driver_features_ & ~offered_) || !(driver_features_ & k_feature_version_1)) return false;
  for (auto& q : queues_) q->set_features(driver_features_);
  return true;
}

void MmioTransport::write_status(u32 value) {
  value &= 0xff;
  if (value == 0) {
    reset();
    return;
  }
  const u32 old = status_.load();
  // 2.1.1: a driver must not clear a bit, and DEVICE_NEEDS_RESET is the device's.
  u32 set = value & ~old & ~k_status_needs_reset;
  if (!legacy() && (set & k_status_features_ok) && !accept_features()) set &= ~k_status_features_ok;
  status_.fetch_or(set);
  if (!(set & k_status_driver_ok)) return;
  if (!legacy() && !((old | set) & k_status_features_ok)) {
    AV_LOG_ONCE(Warn, "%s: the driver set DRIVER_OK without FEATURES_OK", label_.c_str());
    status_.fetch_or(k_status_needs_reset);
    return;
  }
  activate();
}

void MmioTransport::activate() {
  if (active_ || (status_.load() & k_status_needs_reset)) return;
  active_ = true;
  device_->activate(driver_features_);
}

void MmioTransport::reset() {
  active_ = false;
  device_->reset();
  for (auto& q : queues_) {
    q->disable();
    q->set_features(0);
  }
  for (auto& q : queue_registers_) q = {};
  driver_features_ = 0;
  device_features_select_ = driver_features_select_ = queue_select_ = 0;
  acknowledge(~u32{0});
  status_.store(0);
}

void MmioTransport::write_queue_ready(u32 value) {
  Queue& q = *queues_[queue_select_];
  if (value == 0) {
    q.disable();
    return;
  }
  if (q.enabled()) return;
  if (const QueueFault f = q.enable(queue_registers_[queue_select_].layout); f != QueueFault::None)
    needs_reset(static_cast<u16>(queue_select_), f);
}

void MmioTransport::write_queue_pfn(u32 value) {
  // 2.7.2: the legacy layout, contiguous: descriptors, available ring, then the used ring at the next QueueAlign.
  QueueRegisters& q = queue_registers_[queue_select_];
  Queue& target = *queues_[queue_select_];
  q.legacy_pfn = value;
  target.disable();
  if (value == 0) return;
  QueueFault fault = QueueFault::RingMisaligned;
  if (std::has_single_bit(q.legacy_align) && std::has_single_bit(legacy_page_size_)) {
    const u64 base = u64{value} * legacy_page_size_;
    q.layout.descriptors = GuestPa(base);
    q.layout.available = GuestPa(base + u64{q.layout.size} * 16);
    q.layout.used = GuestPa(align_up<u64>(q.layout.available.value + 6 + u64{q.layout.size} * 2, q.legacy_align));
    fault = target.enable(q.layout);
  }
  if (fault != QueueFault::None) needs_reset(static_cast<u16>(queue_select_), fault);
}

void MmioTransport::notify(u32 value) {
  counters_.notifications.add();
  // 3.1.2: legacy drivers often use the device before they set DRIVER_OK.
  if (legacy() && !active_) activate();
  if (!active_ || value >= queues_.size()) return;
  if (value == device_->request_queue()) steps_.begin(measure::Step::Notice);
  device_->notify(static_cast<u16>(value));
}

void MmioTransport::used_buffers() {
  steps_.begin(measure::Step::Interrupt);
  raise(k_interrupt_used);
}

void MmioTransport::config_changed() {
  config_generation_.fetch_add(1);
  if (status_.load() & k_status_driver_ok) raise(k_interrupt_config);
}

void MmioTransport::needs_reset(u16 queue, QueueFault fault) {
  if (status_.fetch_or(k_status_needs_reset) & k_status_needs_reset) return;
  AV_LOG_ONCE(Warn, "%s: queue %u stopped: %s", label_.c_str(), unsigned{queue}, text(fault));
  if (status_.load() & k_status_driver_ok) raise(k_interrupt_config);  // 2.1.2
}

void MmioTransport::raise(u32 bits) {
  const std::lock_guard lock(interrupt_mutex_);
  counters_.interrupts.add();
  interrupt_status_ |= bits;
  irq_.set(true);
}

void MmioTransport::acknowledge(u32 bits) {
  if (bits & k_interrupt_used) steps_.end(measure::Step::Interrupt);
  const std::lock_guard lock(interrupt_mutex_);
  interrupt_status_ &= ~bits;
  irq_.set(interrupt_status_ != 0);
}

}  // namespace armvisor::devices::virtio
