#include "arm/debug_registers.h"

#include "arm/debug_events.h"
#include "base/bits.h"

namespace armvisor::arm {
namespace {

/// Of the Cortex-A15: 4 watchpoints, 6 breakpoints, 2 of them for Context IDs, v7.1 Debug with DBGDEVID; without the
/// Security Extensions and DBGPCSR. Variant and revision are those of MIDR.
constexpr u32 k_dbgdidr = 0x35158000;
constexpr u32 k_dscr_moe = 0xf << 2, k_dscr_intdis = 1u << 11;
constexpr u32 k_dscr_txfull_l = 1u << 26, k_dscr_rxfull_l = 1u << 27, k_dscr_txfull = 1u << 29,
              k_dscr_rxfull = 1u << 30;
/// What software writes while the OS Lock is clear, and what it restores while it is set.
constexpr u32 k_dscr_writable = k_dscr_moe | k_dscr_udccdis | k_dscr_mdbgen;
constexpr u32 k_dscr_restored = k_dscr_writable | k_dscr_intdis | k_dscr_txfull | k_dscr_rxfull;
constexpr u32 k_os_lock_key = 0xc5acce55;
// E, PMC, BAS, LBN, BT; BAS, PAC, LSC, WT and MASK of watchpoints. HMC, SSC and DBGBCR.MASK are of extensions and
// options that this CPU does not have.
constexpr u32 k_bcr_writable = 0x007f01e7, k_wcr_writable = 0x1f1f1fff;

bool changed(CpuState& s, SystemPort& port) {
  s.cp15.debug.armed = armed_of(s.cp15.debug);
  port.debug_changed();
  return true;
}

/// PL0 may use the Debug Communications Channel and read what describes it, until DBGDSCR.UDCCdis says otherwise.
bool may_use_channel(const CpuState& s) { return s.privileged() || !(s.cp15.debug.dscr & k_dscr_udccdis); }

}  // namespace

bool read_dbgdidr(CpuState& s, SystemPort&, u64& value) {
  const u32 midr = s.cp15.ids.midr;
  value = k_dbgdidr | bits<23, 20>(midr) << 4 | bits<3, 0>(midr);
  return may_use_channel(s);
}

bool read_dbgdscrint(CpuState& s, SystemPort&, u64& value) {
  value = s.cp15.debug.dscr;
  return may_use_channel(s);
}

bool read_dbgdtrrxint(CpuState& s, SystemPort&, u64& value) {
  if (!may_use_channel(s)) return false;
  value = s.cp15.debug.dtrrx;
  s.cp15.debug.dscr &= ~(k_dscr_rxfull | k_dscr_rxfull_l);
  return true;
}

/// Nobody takes what is written, so it stays full as on hardware without a debugger.
bool write_dbgdtrtxint(CpuState& s, SystemPort&, u64 value) {
  if (!may_use_channel(s)) return false;
  s.cp15.debug.dtrtx = static_cast<u32>(value);
  s.cp15.debug.dscr |= k_dscr_txfull | k_dscr_txfull_l;
  return true;
}

/// DBGDRAR and DBGDSAR: not valid, since debug registers are not in memory.
bool read_no_debug_rom(CpuState& s, SystemPort&, u64& value) {
  value = 0;
  return may_use_channel(s);
}

/// Powered up; OSLK and DLK.
bool read_dbgprsr(CpuState& s, SystemPort&, u64& value) {
  const DebugState& d = s.cp15.debug;
  value = 1u | (d.oslsr & k_oslsr_oslk ? 1u << 5 : 0) | (d.osdlr & k_osdlr_dlk ? 1u << 6 : 0);
  return true;
}

bool write_dbgdscrext(CpuState& s, SystemPort& port, u64 value) {
  DebugState& d = s.cp15.debug;
  const u32 mask = d.oslsr & k_oslsr_oslk ? k_dscr_restored : k_dscr_writable;
  d.dscr = (d.dscr & ~mask) | (static_cast<u32>(value) & mask);
  d.dscr &= ~(k_dscr_txfull_l | k_dscr_rxfull_l);
  if (d.dscr & k_dscr_txfull) d.dscr |= k_dscr_txfull_l;
  if (d.dscr & k_dscr_rxfull) d.dscr |= k_dscr_rxfull_l;
  return changed(s, port);
}

bool write_dbgvcr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.debug.vcr = static_cast<u32>(value) & k_vcr_writable;
  return changed(s, port);
}

bool write_dbgoslar(CpuState& s, SystemPort& port, u64 value) {
  u32& status = s.cp15.debug.oslsr;
  status = static_cast<u32>(value) == k_os_lock_key ? status | k_oslsr_oslk : status & ~k_oslsr_oslk;
  return changed(s, port);
}

bool write_dbgosdlr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.debug.osdlr = static_cast<u32>(value) & k_osdlr_dlk;
  return changed(s, port);
}

bool write_dbgprcr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.debug.prcr = static_cast<u32>(value) & k_prcr_corenpdrq;
  return changed(s, port);
}

bool write_dbgclaimset(CpuState& s, SystemPort&, u64 value) {
  s.cp15.debug.claim |= static_cast<u32>(value) & k_claim_tags;
  return true;
}

bool write_dbgclaimclr(CpuState& s, SystemPort&, u64 value) {
  s.cp15.debug.claim &= ~static_cast<u32>(value);
  return true;
}

bool write_breakpoint(CpuState& s, SystemPort& port, u32 n, bool control, u64 value) {
  DebugState& d = s.cp15.debug;
  (control ? d.bcr : d.bvr)[n] = static_cast<u32>(value) & (control ? k_bcr_writable : ~0u);
  return changed(s, port);
}

bool write_watchpoint(CpuState& s, SystemPort& port, u32 n, bool control, u64 value) {
  DebugState& d = s.cp15.debug;
  (control ? d.wcr : d.wvr)[n] = static_cast<u32>(value) & (control ? k_wcr_writable : ~3u);
  return changed(s, port);
}

}  // namespace armvisor::arm
