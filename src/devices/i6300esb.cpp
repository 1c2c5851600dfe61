#include "devices/i6300esb.h"

namespace armvisor::devices {
namespace {

constexpr pci::Identity k_identity{.vendor = 0x8086,
                                   .device = 0x25ab,
                                   .class_code = 0x088000,  // a system peripheral of another kind
                                   .revision = 0,
                                   .subsystem_vendor = 0x1af4,
                                   .subsystem = 0x1100};

// In the configuration space: of two bytes and of one.
constexpr u32 k_configuration = 0x60, k_lock = 0x68;
constexpr u32 k_interrupt_type = 0x11, k_fast = 0x04, k_no_reboot = 0x20;
constexpr u32 k_locked = 1, k_enabled = 2, k_runs_free = 4;
// In the region.
enum Offset : u32 { Timer1 = 0x0, Timer2 = 0x4, Reload = 0xc };
constexpr u32 k_unlock_first = 0x80, k_unlock_second = 0x86;
constexpr u32 k_preload_mask = 0xfffff, k_reload = 0x100, k_timed_out = 0x200;
constexpr u32 k_timed_out_before = 0x1200;

/// The timers count down from 2^15, or 2^5, times the preloaded value at the 33 MHz of PCI.
constexpr u64 k_pci_hz = 33'000'000;

}  // namespace

I6300esb::I6300esb(IrqLine& intx, Clock& clock, TimerQueue& timers, std::function<void()> expired)
    : Function(k_identity, intx),
      clock_(clock),
      timers_(timers),
      expired_(std::move(expired)),
      timer_(timers.add([this] { timer_over(); })) {
  add_bar({0, pci::BarKind::Memory, k_region_size, &registers_});
  reset();
}

I6300esb::~I6300esb() { timers_.remove(timer_); }

void I6300esb::reset() {
  timers_.disarm(timer_);
  reboots_ = true;
  fast_ = runs_free_ = locked_ = enabled_ = false;
  interrupt_type_ = 0;
  preload_[0] = preload_[1] = k_preload_mask;
  stage_ = 1;
  unlocked_ = 0;
}

// --- the timers

void I6300esb::restart(u32 stage) {
  if (!enabled_) return;
  stage_ = stage;
  const u64 ticks = u64{preload_[stage - 1]} << (fast_ ? 5 : 15);
  timers_.arm(timer_, clock_.now_ns() + ticks * 1'000'000'000 / k_pci_hz);
}

/// The interrupt that the first stage may end with is not here, nor in QEMU.
void I6300esb::timer_over() {
  bool tells = false;
  {
    const std::lock_guard lock(mutex_);
    if (!enabled_) return;
    if (stage_ == 1) return restart(2);
    if (reboots_) {
      expired_before_ = tells = true;
      reset();
    }
    if (runs_free_) restart(1);
  }
  if (tells) expired_();
}

// --- registers

u32 I6300esb::config_read(u32 offset, u32 size) {
  const std::lock_guard lock(mutex_);
  if (offset == k_configuration && size == 2)
    return (reboots_ ? 0 : k_no_reboot) | (fast_ ? k_fast : 0) | interrupt_type_;
  if (offset == k_lock && size == 1)
    return (runs_free_ ? k_runs_free : 0) | (locked_ ? k_locked : 0) | (enabled_ ? k_enabled : 0);
  return Function::config_read(offset, size);
}

void I6300esb::config_write(u32 offset, u32 size, u32 value) {
  const std::lock_guard lock(mutex_);
  if (offset == k_configuration && size == 2) return write_configuration(value);
  if (offset == k_lock && size == 1) return write_lock(value);
  Function::config_write(offset, size, value);
}

void I6300esb::write_configuration(u32 value) {
  reboots_ = !(value & k_no_reboot);
  fast_ = (value & k_fast) != 0;
  interrupt_type_ = value & k_interrupt_type;
}

void I6300esb::write_lock(u32 value) {
  if (locked_) return;
  const bool was_enabled = enabled_;
  locked_ = (value & k_locked) != 0;
  runs_free_ = (value & k_runs_free) != 0;
  enabled_ = (value & k_enabled) != 0;
  if (enabled_ && !was_enabled) restart(1);
  if (!enabled_) timers_.disarm(timer_);
}

/// True: the value was one of the two that let the next write through.
bool I6300esb::unlock(u32 value) {
  if (value == k_unlock_first) {
    unlocked_ = 1;
    return true;
  }
  if (value != k_unlock_second || unlocked_ != 1) return false;
  unlocked_ = 2;
  return true;
}

u64 I6300esb::Registers::mmio_read(u64 offset, u32 size) {
  const std::lock_guard lock(device_.mutex_);
  return size == 2 && offset == Reload && device_.expired_before_ ? k_timed_out_before : 0;
}

void I6300esb::Registers::mmio_write(u64 offset, u32 size, u64 value) {
  I6300esb& d = device_;
  const std::lock_guard lock(d.mutex_);
  const u32 word = static_cast<u32>(value);
  if (offset == Reload && d.unlock(word)) return;
  if (d.unlocked_ != 2) return;
  if (size == 2 && offset == Reload) {
    if (word & k_reload) d.restart(1);
    if (word & k_timed_out) d.expired_before_ = false;
  } else if (size == 4 && offset == Timer1) {
    d.preload_[0] = word & k_preload_mask;
  } else if (size == 4 && offset == Timer2) {
    d.preload_[1] = word & k_preload_mask;
  } else {
    return;
  }
  d.unlocked_ = 0;
}

}  // namespace armvisor::devices
