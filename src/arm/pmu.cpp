// Performance monitors (ARM DDI 0406C C12): PMUv2 with as many event counters as the CPU model says in PMCR.N. Cycles
// are derived from the system counter; the events that count are CPU cycles and software increments, and PMCEID0 says
// so. Overflow sets PMOVSR when the registers are next touched; it raises no interrupt. Filtering by privilege is
// stored but has no effect.
#include <algorithm>
#include <array>

#include "arm/cp15_accessors.h"
#include "base/bits.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_cycle_bit = 1u << 31;
constexpr u32 k_pmcr_e = 1, k_pmcr_p = 2, k_pmcr_c = 4, k_pmcr_d = 8, k_pmcr_stored = 0x39;
constexpr u32 k_event_sw_incr = 0x00, k_event_cpu_cycles = 0x11;
constexpr u32 k_select_ccfilter = 31;
/// The nominal clock is this many times the system counter's: 62.5 MHz gives 1 GHz.
constexpr u64 k_cycles_per_tick = 16;

/// PMCR.N; no model has more than there is state for.
u32 counters(const CpuState& s) {
  return std::min(bits<15, 11>(s.cp15.ids.pmcr), static_cast<u32>(s.cp15.pmxevcntr.size()));
}
/// Those that PMCNTENSET, PMINTENSET, PMOVSR and their like have a bit for.
u32 counter_bits(const CpuState& s) { return k_cycle_bit | ((1u << counters(s)) - 1); }

bool allowed(const CpuState& s) { return s.privileged() || (s.cp15.pmuserenr & 1); }

u64 cycles(const CpuState& s, SystemPort& port) {
  const u64 now = port.counter() * k_cycles_per_tick;
  return s.cp15.pmcr & k_pmcr_d ? now >> 6 : now;
}

bool enabled(const CpuState& s, u32 mask) { return (s.cp15.pmcr & k_pmcr_e) != 0 && (s.cp15.pmcnten & mask) != 0; }

bool counts_cycles(const CpuState& s, u32 n) {
  return enabled(s, 1u << n) && (s.cp15.pmxevtyper[n] & 0xff) == k_event_cpu_cycles;
}

/// While one of these lives, every counter holds its plain value, so registers that govern counting may change.
class Stopped {
 public:
  Stopped(CpuState& s, SystemPort& port) : s_(s), port_(port) {
    const u64 now = cycles(s, port);
    if (enabled(s, k_cycle_bit)) stop(s.cp15.pmccntr_base, now, k_cycle_bit);
    for (u32 n = 0; n < counters(s); ++n)
      if (counts_cycles(s, n)) stop(s.cp15.pmxevcntr[n], now, 1u << n);
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() {
    const u64 now = cycles(s_, port_);
    if (enabled(s_, k_cycle_bit)) s_.cp15.pmccntr_base -= now;
    for (u32 n = 0; n < counters(s_); ++n)
      if (counts_cycles(s_, n)) s_.cp15.pmxevcntr[n] -= now;
  }

 private:
  void stop(u64& counter, u64 now, u32 overflow_bit) {
    counter += now;
    if (counter >> 32) s_.cp15.pmovsr |= overflow_bit;
    counter = static_cast<u32>(counter);
  }
  CpuState& s_;
  SystemPort& port_;
};

/// PMSELR names an event counter.
bool selected(const CpuState& s, u32& n) {
  n = s.cp15.pmselr;
  return n < counters(s);
}

}  // namespace

bool read_pmcr(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  value = s.cp15.ids.pmcr | s.cp15.pmcr;
  return true;
}
bool write_pmcr(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  if (value & k_pmcr_p) s.cp15.pmxevcntr.fill(0);
  if (value & k_pmcr_c) s.cp15.pmccntr_base = 0;
  s.cp15.pmcr = static_cast<u32>(value) & k_pmcr_stored;
  return true;
}

bool read_pmcnten(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  value = s.cp15.pmcnten;
  return true;
}
bool write_pmcntenset(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  s.cp15.pmcnten |= static_cast<u32>(value) & counter_bits(s);
  return true;
}
bool write_pmcntenclr(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  s.cp15.pmcnten &= ~static_cast<u32>(value);
  return true;
}

bool read_pmovsr(CpuState& s, SystemPort& port, u64& value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  value = s.cp15.pmovsr;
  return true;
}
bool write_pmovsr(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  s.cp15.pmovsr &= ~static_cast<u32>(value);
  return true;
}
bool write_pmovsset(CpuState& s, SystemPort& port, u64 value) {
  const Stopped stopped(s, port);
  s.cp15.pmovsr |= static_cast<u32>(value) & counter_bits(s);
  return true;
}

bool write_pmswinc(CpuState& s, SystemPort&, u64 value) {
  if (!allowed(s)) return false;
  for (u32 n = 0; n < counters(s); ++n) {
    if (!((value >> n) & 1) || !enabled(s, 1u << n) || (s.cp15.pmxevtyper[n] & 0xff) != k_event_sw_incr) continue;
    s.cp15.pmxevcntr[n] = static_cast<u32>(s.cp15.pmxevcntr[n] + 1);
    if (s.cp15.pmxevcntr[n] == 0) s.cp15.pmovsr |= 1u << n;
  }
  return true;
}

bool read_pmselr(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  value = s.cp15.pmselr;
  return true;
}
bool write_pmselr(CpuState& s, SystemPort&, u64 value) {
  if (!allowed(s)) return false;
  s.cp15.pmselr = static_cast<u32>(value) & 31;
  return true;
}

bool read_pmceid0(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  value = 1u << k_event_sw_incr | 1u << k_event_cpu_cycles;
  return true;
}
bool read_pmceid1(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  value = 0;
  return true;
}

bool read_pmccntr(CpuState& s, SystemPort& port, u64& value) {
  if (!allowed(s)) return false;
  value = static_cast<u32>(s.cp15.pmccntr_base + (enabled(s, k_cycle_bit) ? cycles(s, port) : 0));
  return true;
}
bool write_pmccntr(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  s.cp15.pmccntr_base = value;
  return true;
}

bool read_pmxevtyper(CpuState& s, SystemPort&, u64& value) {
  if (!allowed(s)) return false;
  u32 n = 0;
  value = selected(s, n) ? s.cp15.pmxevtyper[n] : n == k_select_ccfilter ? s.cp15.pmccfiltr : 0;
  return true;
}
bool write_pmxevtyper(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  u32 n = 0;
  if (selected(s, n))
    s.cp15.pmxevtyper[n] = static_cast<u32>(value) & 0xc00000ff;
  else if (n == k_select_ccfilter)
    s.cp15.pmccfiltr = static_cast<u32>(value) & 0xc0000000;
  return true;
}

bool read_pmxevcntr(CpuState& s, SystemPort& port, u64& value) {
  if (!allowed(s)) return false;
  u32 n = 0;
  value = 0;
  if (selected(s, n)) value = static_cast<u32>(s.cp15.pmxevcntr[n] + (counts_cycles(s, n) ? cycles(s, port) : 0));
  return true;
}
bool write_pmxevcntr(CpuState& s, SystemPort& port, u64 value) {
  if (!allowed(s)) return false;
  const Stopped stopped(s, port);
  u32 n = 0;
  if (selected(s, n)) s.cp15.pmxevcntr[n] = value;
  return true;
}

bool write_pmintenset(CpuState& s, SystemPort&, u64 value) {
  s.cp15.pminten |= static_cast<u32>(value) & counter_bits(s);
  return true;
}
bool write_pmintenclr(CpuState& s, SystemPort&, u64 value) {
  s.cp15.pminten &= ~static_cast<u32>(value);
  return true;
}

}  // namespace armvisor::arm
