#include "devices/pci/function.h"

#include <array>

namespace armvisor::devices::pci {
namespace {
constexpr u8 k_msix_capability = 0x11;
constexpr u32 k_msix_control = 2, k_msix_control_high = 3;  // in the capability
constexpr u32 k_msix_enable = 0x8000, k_msix_mask = 0x4000;

bool touches(u32 offset, u32 size, u32 first, u32 bytes) { return offset < first + bytes && first < offset + size; }
}  // namespace

void Function::add_bar(const Bar& bar) {
  config_.add_bar(bar.index, bar.kind, bar.size);
  bars_.push_back(bar);
}

void Function::add_msix(std::string name, u32 vectors, MessageSink& sink, u32 bar) {
  msix_ = std::make_unique<Msix>(std::move(name), vectors, sink);
  add_bar({bar, BarKind::Memory, Msix::k_region_size, msix_.get()});
  const u32 pending = Msix::k_pending_offset | bar;
  const std::array<u8, 10> body = {static_cast<u8>(vectors - 1),
                                   0,
                                   static_cast<u8>(bar),
                                   0,
                                   0,
                                   0,
                                   static_cast<u8>(pending),
                                   static_cast<u8>(pending >> 8),
                                   0,
                                   0};
  msix_offset_ = config_.add_capability(k_msix_capability, body);
  config_.allow(msix_offset_ + k_msix_control, 2, k_msix_enable | k_msix_mask);
}

u32 Function::config_read(u32 offset, u32 size) {
  if (touches(offset, size, StatusRegister, 2)) {
    const std::lock_guard lock(intx_mutex_);
    const u32 others = config_.read(StatusRegister, 2) & ~u32{k_status_intx};
    config_.set(StatusRegister, 2, others | (intx_level_ ? k_status_intx : 0));
  }
  return config_.read(offset, size);
}

void Function::config_write(u32 offset, u32 size, u32 value) {
  config_.write(offset, size, value);
  if (touches(offset, size, Command, 2)) follow_command();
  if (msix_ && touches(offset, size, msix_offset_ + k_msix_control_high, 1)) {
    const u32 control = config_.read(msix_offset_ + k_msix_control, 2);
    msix_->set_control((control & k_msix_enable) != 0, (control & k_msix_mask) != 0);
  }
}

void Function::follow_command() {
  const u16 command = config_.command();
  master_.store((command & k_command_master) != 0, std::memory_order_relaxed);
  const std::lock_guard lock(intx_mutex_);
  intx_disabled_ = (command & k_command_no_intx) != 0;
  intx_.set(intx_level_ && !intx_disabled_);
}

void Function::set_intx(bool level) {
  const std::lock_guard lock(intx_mutex_);
  intx_level_ = level;
  intx_.set(level && !intx_disabled_);
}

void Function::send_message(u16 vector) {
  if (is_master()) msix_->notify(vector);
}

}  // namespace armvisor::devices::pci
