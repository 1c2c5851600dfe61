#include "devices/ethernet/e1000.h"

#include <algorithm>
#include <utility>

#include "base/bits.h"

namespace armvisor::devices::e1000 {
namespace {

constexpr pci::Identity k_identity = {.vendor = 0x8086,
                                      .device = 0x100e,
                                      .class_code = 0x020000,
                                      .revision = 3,
                                      .subsystem_vendor = 0x1af4,
                                      .subsystem = 0x1100};
constexpr u32 k_region_bar = 0, k_ports_bar = 1;
constexpr u32 k_pba_at_reset = 0x00100030;  // 48 KiB of the packet buffer receive, 16 transmit

bool is_in_table(u32 offset, u32 first, u32 words) { return offset >= first && offset < first + 4 * words; }

struct RegisterRow {
  u32 offset, writable;
  bool readable;
};
constexpr RegisterRow k_registers[] = {
#define REGISTER(name, offset, writable, readable) {offset, writable, readable},
#include "devices/ethernet/e1000_registers.inc"
#undef REGISTER
};

bool is_in_tables(u32 offset) {
  return is_in_table(offset, MulticastTable, k_multicast_words) ||
         is_in_table(offset, ReceiveAddresses, 2 * k_receive_addresses) || is_in_table(offset, VlanTable, k_vlan_words);
}

/// Of a register that is in no table; else null.
const RegisterRow* find_register(u32 offset) {
  const auto row = std::ranges::find(k_registers, offset, &RegisterRow::offset);
  return row == std::end(k_registers) ? nullptr : row;
}

}  // namespace

// --- regions

u64 Controller::Registers::mmio_read(u64 offset, u32 size) {
  const u32 at = static_cast<u32>(offset);
  if (size == 8) return controller_.read(at) | u64{controller_.read(at + 4)} << 32;
  return (controller_.read(at & ~3u) >> (8 * (at & 3))) & low_mask(8 * size);
}

void Controller::Registers::mmio_write(u64 offset, u32 size, u64 value) {
  const u32 at = static_cast<u32>(offset);
  if (size < 4 || at % 4) return;
  controller_.write(at, static_cast<u32>(value));
  if (size == 8) controller_.write(at + 4, static_cast<u32>(value >> 32));
}

u64 Controller::Ports::mmio_read(u64 offset, u32 size) {
  if (size != 4) return 0;
  return offset == 0 ? address_ : offset == 4 ? controller_.read(address_ & ~3u) : 0;
}

void Controller::Ports::mmio_write(u64 offset, u32 size, u64 value) {
  if (size != 4) return;
  if (offset == 0) address_ = static_cast<u32>(value);
  if (offset == 4) controller_.write(address_ & ~3u, static_cast<u32>(value));
}

// --- the function

Controller::Controller(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac, GuestRam& ram, IrqLine& intx)
    : Function(k_identity, intx), backend_(std::move(backend)), mac_(mac), ram_(ram), eeprom_(mac) {
  config().set(pci::InterruptPin, 1, 1);
  add_bar({k_region_bar, pci::BarKind::Memory, k_region_size, &region_});
  add_bar({k_ports_bar, pci::BarKind::Io, k_ports_size, &ports_});
  reset();
}

Result<std::unique_ptr<Controller>> Controller::create(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac,
                                                       GuestRam& ram, IrqLine& intx) {
  std::unique_ptr<Controller> controller(new Controller(std::move(backend), mac, ram, intx));
  AV_TRY(controller->backend_->start(*controller));
  return controller;
}

Controller::~Controller() { backend_->stop(); }

/// All but the PHY, whose link stays.
void Controller::reset() {
  registers_ = {};
  reg(Ctrl) = k_ctrl_full_duplex | k_ctrl_link_up | k_ctrl_speed_1000;
  reg(DeviceStatus) = k_status_value;
  reg(Pba) = k_pba_at_reset;
  reg(Vet) = 0x8100;
  for (u32 n = 0; n < 6; ++n) reg(ReceiveAddresses + 4 * (n / 4)) |= u32{mac_[n]} << (8 * (n % 4));
  reg(ReceiveAddresses + 4) |= k_address_valid;
  outgoing_.clear();
  context_ = {};
  waiting_.clear();
  causes_ = 0;
  update_intx();
}

void Controller::control(u32 value) {
  if (value & k_ctrl_reset) return reset();
  if (value & k_ctrl_phy_reset) phy_.reset();
  reg(Ctrl) = value & ~(k_ctrl_reset | k_ctrl_phy_reset);
}

// --- registers

u32 Controller::read(u32 offset) {
  const std::lock_guard lock(mutex_);
  if (offset >= RegistersEnd) return 0;
  if (offset == Eecd) return eeprom_.wires();
  if (offset == Icr || (offset >= StatsBegin && offset < StatsEnd)) {
    const u32 value = std::exchange(reg(offset), 0);
    if (offset == Icr) update_intx();
    return value;
  }
  const RegisterRow* const row = find_register(offset);
  return is_in_tables(offset) || (row && row->readable) ? reg(offset) : 0;
}

void Controller::write(u32 offset, u32 value) {
  std::unique_lock lock(mutex_);
  switch (offset) {
    case Ctrl: return control(value);
    case Eecd: return eeprom_.drive(value);
    case Eerd:
      reg(Eerd) = value & ~k_eerd_start;
      if (value & k_eerd_start) reg(Eerd) = (value & 0xff00) | k_eerd_done | u32{eeprom_.word(value >> 8 & 0xff)} << 16;
      return;
    case Mdic: {
      bool link = false;
      reg(Mdic) = phy_.access(value, link);
      return raise((value & k_mdic_interrupt ? k_irq_mdio : 0) | (link ? k_irq_link : 0));
    }
    case Icr: reg(Icr) &= ~value; return update_intx();
    case Ics: return raise(value & k_irqs);
    case Ims: reg(Ims) |= value & k_irqs; return update_intx();
    case Imc: reg(Ims) &= ~value; return update_intx();
    case Rctl:
      if (!(value & k_rctl_enable)) waiting_.clear();
      reg(Rctl) = value;
      break;
    case Tctl: reg(Tctl) = value; break;
    case Rdt:
    case Tdt: reg(offset) = value & 0xffff; break;
    default:
      if (is_in_tables(offset)) reg(offset) = value;
      if (const RegisterRow* const row = find_register(offset); row && row->writable)
        reg(offset) = value & row->writable;
      return;
  }
  lock.unlock();
  backend_->wake();
}

void Controller::raise(u32 causes) {
  reg(Icr) |= causes;
  update_intx();
}

void Controller::update_intx() { set_intx((reg(Icr) & reg(Ims)) != 0); }

/// Statistics stay at their greatest value (317453 section 13.7).
void Controller::count(u32 low, u64 n, bool wide) {
  const u64 most = wide ? ~u64{0} : 0xffffffff;
  const u64 before = reg(low) | (wide ? u64{reg(low + 4)} << 32 : 0);
  const u64 after = n > most - before ? most : before + n;
  reg(low) = static_cast<u32>(after);
  if (wide) reg(low + 4) = static_cast<u32>(after >> 32);
}

/// `first`: of the registers for its base, length, head and tail.
Controller::Ring Controller::ring(u32 first) const {
  const auto at = [this, first](u32 offset) { return registers_[(first + offset) / 4]; };
  return {.base = at(0) | u64{at(4)} << 32, .count = at(8) / k_descriptor_size, .head = at(0x10), .tail = at(0x18)};
}

/// Of zeros where there is no RAM.
Controller::Descriptor Controller::descriptor(GuestPa at) const {
  Descriptor d;
  static_assert(sizeof d == k_descriptor_size);
  if (!ram_.read(at, {reinterpret_cast<u8*>(&d), sizeof d})) d = {};
  return d;
}

void Controller::raise_causes() {
  if (causes_) raise(std::exchange(causes_, 0));
}

void Controller::received_all() {
  const std::lock_guard lock(mutex_);
  raise_causes();
}

}  // namespace armvisor::devices::e1000
