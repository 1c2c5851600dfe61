#include "devices/virtio/transport.h"

#include <bit>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log_once.h"

namespace armvisor::devices::virtio {
namespace {

// Device status, 2.1.
constexpr u32 k_status_driver_ok = 4;
constexpr u32 k_status_features_ok = 8;
constexpr u32 k_status_needs_reset = 64;

u32 half(u64 value, u32 select) { return select > 1 ? 0 : static_cast<u32>(value >> (32 * select)); }

}  // namespace

Transport::Transport(std::unique_ptr<Device> device, GuestRam& ram, std::string label)
    : device_(std::move(device)),
      counters_(device_->counters()),
      steps_(device_->steps()),
      name_(device_->name()),
      label_(label.empty() ? name_ : std::move(label)),
      ram_(ram) {
  for (const u16 size : device_->queue_sizes()) queues_.push_back(std::make_unique<Queue>(ram_, size));
  queue_registers_.resize(queues_.size());
  device_->attach(*this);
}

Transport::~Transport() { AV_ASSERT(!device_); }

// --- features and status

u64 Transport::offered(Interface interface) const {
  const u64 common = device_->features() | k_feature_indirect_desc | k_feature_event_idx;
  return interface == Interface::Legacy ? common | k_feature_any_layout : common | k_feature_version_1;
}

u32 Transport::offered_half(Interface interface, u32 select) const { return half(offered(interface), select); }
u32 Transport::driver_half(u32 select) const { return half(driver_features_, select); }

void Transport::write_driver_features(Interface interface, u32 select, u32 value) {
  // 2.2.1: after FEATURES_OK the driver must not change what it accepted.
  if (select > 1 || active_ || (status_.load() & k_status_features_ok)) return;
  const u32 shift = 32 * select;
  driver_features_ = (driver_features_ & ~(u64{0xffffffff} << shift)) | (u64{value} << shift);
  if (interface == Interface::Modern) return;
  // The legacy interface has no FEATURES_OK: what is written holds at once.
  driver_features_ &= offered(Interface::Legacy);
  for (auto& q : queues_) q->set_features(driver_features_);
}

bool Transport::accept_features() {
  // 6.1: a driver must accept VERSION_1 if offered; 2.2.2: and nothing that was not offered.
  if ((driver_features_ & ~offered(Interface::Modern)) || !(driver_features_ & k_feature_version_1)) return false;
  for (auto& q : queues_) q->set_features(driver_features_);
  return true;
}

void Transport::write_status(Interface interface, u32 value) {
  value &= 0xff;
  if (value == 0) {
    reset();
    return;
  }
  const bool modern = interface == Interface::Modern;
  const u32 old = status_.load();
  // 2.1.1: a driver must not clear a bit, and DEVICE_NEEDS_RESET is the device's.
  u32 set = value & ~old & ~k_status_needs_reset;
  if (modern && (set & k_status_features_ok) && !accept_features()) set &= ~k_status_features_ok;
  status_.fetch_or(set);
  if (!(set & k_status_driver_ok)) return;
  if (modern && !((old | set) & k_status_features_ok)) {
    AV_LOG_ONCE(Warn, "%s: the driver set DRIVER_OK without FEATURES_OK", label_.c_str());
    status_.fetch_or(k_status_needs_reset);
    return;
  }
  activate();
}

void Transport::activate() {
  if (active_ || (status_.load() & k_status_needs_reset)) return;
  active_ = true;
  device_->activate(driver_features_);
}

void Transport::reset() {
  active_ = false;
  device_->reset();
  for (auto& q : queues_) {
    q->disable();
    q->set_features(0);
  }
  for (auto& q : queue_registers_) q = {};
  driver_features_ = 0;
  device_features_select_ = driver_features_select_ = queue_select_ = 0;
  drop_interrupts();
  status_.store(0);
}

// --- queues

void Transport::enable_queue(u32 index) {
  Queue& q = *queues_[index];
  if (q.enabled()) return;
  if (const QueueFault f = q.enable(queue_registers_[index].layout); f != QueueFault::None)
    needs_reset(static_cast<u16>(index), f);
}

void Transport::place_legacy_queue(u32 index, u32 pfn, u32 page_size) {
  QueueRegisters& q = queue_registers_[index];
  Queue& target = *queues_[index];
  q.legacy_pfn = pfn;
  target.disable();
  if (pfn == 0) return;
  QueueFault fault = QueueFault::RingMisaligned;
  if (std::has_single_bit(q.legacy_align) && std::has_single_bit(page_size)) {
    const u64 base = u64{pfn} * page_size;
    q.layout.descriptors = GuestPa(base);
    q.layout.available = GuestPa(base + u64{q.layout.size} * 16);
    q.layout.used = GuestPa(align_up<u64>(q.layout.available.value + 6 + u64{q.layout.size} * 2, q.legacy_align));
    fault = target.enable(q.layout);
  }
  if (fault != QueueFault::None) needs_reset(static_cast<u16>(index), fault);
}

void Transport::notify(Interface interface, u32 queue) {
  counters_.notifications.add();
  // 3.1.2: legacy drivers often use the device before they set DRIVER_OK.
  if (interface == Interface::Legacy && !active_) activate();
  if (!active_ || queue >= queues_.size()) return;
  if (queue == device_->request_queue()) steps_.begin(measure::Step::Notice);
  device_->notify(static_cast<u16>(queue));
}

// --- what the device says

void Transport::used_buffers(u16 queue) {
  counters_.interrupts.add();
  raise_used(queue);
}

void Transport::config_changed() {
  config_generation_.fetch_add(1);
  if (!(status_.load() & k_status_driver_ok)) return;
  counters_.interrupts.add();
  raise_config();
}

void Transport::needs_reset(u16 queue, QueueFault fault) {
  if (status_.fetch_or(k_status_needs_reset) & k_status_needs_reset) return;
  AV_LOG_ONCE(Warn, "%s: queue %u stopped: %s", label_.c_str(), unsigned{queue}, text(fault));
  if (!(status_.load() & k_status_driver_ok)) return;
  counters_.interrupts.add();
  raise_config();  // 2.1.2
}

}  // namespace armvisor::devices::virtio
