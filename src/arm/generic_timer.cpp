// Registers of the generic timer (ARM DDI 0406C B8). CNTVOFF is 0, so virtual and physical counts are the same.
#include "arm/cp15_accessors.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_ctl_enable = 1, k_ctl_imask = 2, k_ctl_istatus = 4;
constexpr u32 k_pl0pcten = 1u << 0, k_pl0vcten = 1u << 1, k_pl0vten = 1u << 8, k_pl0pten = 1u << 9;

/// CNTKCTL lets PL0 use what `enable` stands for (B8.1.2).
bool allowed(const CpuState& s, u32 enable) { return s.privileged() || (s.cp15.cntkctl & enable) != 0; }

/// The registers of one timer.
struct Timer {
  u32 Cp15State::*ctl;
  u64 Cp15State::*cval;
  u32 pl0_enable;
  bool is_virtual;
};
constexpr Timer k_physical{&Cp15State::cntp_ctl, &Cp15State::cntp_cval, k_pl0pten, false};
constexpr Timer k_virtual{&Cp15State::cntv_ctl, &Cp15State::cntv_cval, k_pl0vten, true};

bool read_tval(CpuState& s, SystemPort& port, const Timer& t, u64& value) {
  if (!allowed(s, t.pl0_enable)) return false;
  value = static_cast<u32>(s.cp15.*t.cval - port.counter());
  return true;
}

bool write_tval(CpuState& s, SystemPort& port, const Timer& t, u64 value) {
  if (!allowed(s, t.pl0_enable)) return false;
  const s64 delta = static_cast<s32>(static_cast<u32>(value));
  s.cp15.*t.cval = port.counter() + static_cast<u64>(delta);
  port.timer_changed(t.is_virtual);
  return true;
}

bool read_ctl(CpuState& s, SystemPort& port, const Timer& t, u64& value) {
  if (!allowed(s, t.pl0_enable)) return false;
  const u32 ctl = s.cp15.*t.ctl;
  const bool met = (ctl & k_ctl_enable) && port.counter() >= s.cp15.*t.cval;
  value = ctl | (met ? k_ctl_istatus : 0);
  return true;
}

bool write_ctl(CpuState& s, SystemPort& port, const Timer& t, u64 value) {
  if (!allowed(s, t.pl0_enable)) return false;
  s.cp15.*t.ctl = static_cast<u32>(value) & (k_ctl_enable | k_ctl_imask);
  port.timer_changed(t.is_virtual);
  return true;
}

bool read_cval(CpuState& s, const Timer& t, u64& value) {
  if (!allowed(s, t.pl0_enable)) return false;
  value = s.cp15.*t.cval;
  return true;
}

bool write_cval(CpuState& s, SystemPort& port, const Timer& t, u64 value) {
  if (!allowed(s, t.pl0_enable)) return false;
  s.cp15.*t.cval = value;
  port.timer_changed(t.is_virtual);
  return true;
}

}  // namespace

bool read_cntfrq(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s, k_pl0pcten | k_pl0vcten)) return false;
  value = s.cp15.cntfrq;
  return true;
}
bool read_cntpct(CpuState& s, SystemPort& port, u64& value) {
  if (!allowed(s, k_pl0pcten)) return false;
  value = port.counter();
  return true;
}
bool read_cntvct(CpuState& s, SystemPort& port, u64& value) {
  if (!allowed(s, k_pl0vcten)) return false;
  value = port.counter();
  return true;
}

bool read_cntp_tval(CpuState& s, SystemPort& port, u64& value) { return read_tval(s, port, k_physical, value); }
bool read_cntv_tval(CpuState& s, SystemPort& port, u64& value) { return read_tval(s, port, k_virtual, value); }
bool read_cntp_ctl(CpuState& s, SystemPort& port, u64& value) { return read_ctl(s, port, k_physical, value); }
bool read_cntv_ctl(CpuState& s, SystemPort& port, u64& value) { return read_ctl(s, port, k_virtual, value); }
bool read_cntp_cval(CpuState& s, SystemPort&, u64& value) { return read_cval(s, k_physical, value); }
bool read_cntv_cval(CpuState& s, SystemPort&, u64& value) { return read_cval(s, k_virtual, value); }

bool write_cntp_tval(CpuState& s, SystemPort& port, u64 value) { return write_tval(s, port, k_physical, value); }
bool write_cntv_tval(CpuState& s, SystemPort& port, u64 value) { return write_tval(s, port, k_virtual, value); }
bool write_cntp_ctl(CpuState& s, SystemPort& port, u64 value) { return write_ctl(s, port, k_physical, value); }
bool write_cntv_ctl(CpuState& s, SystemPort& port, u64 value) { return write_ctl(s, port, k_virtual, value); }
bool write_cntp_cval(CpuState& s, SystemPort& port, u64 value) { return write_cval(s, port, k_physical, value); }
bool write_cntv_cval(CpuState& s, SystemPort& port, u64 value) { return write_cval(s, port, k_virtual, value); }

}  // namespace armvisor::arm
