#pragma once
// Fields of the debug registers (ARM DDI 0406C C11.11) and their accessors for cp15.inc. False from an accessor:
// Undefined Instruction exception.
#include "arm/cp15.h"

namespace armvisor::arm {

inline constexpr u32 k_dscr_udccdis = 1u << 12, k_dscr_mdbgen = 1u << 15;
inline constexpr u32 k_oslsr_oslk = 1u << 1, k_osdlr_dlk = 1u << 0, k_prcr_corenpdrq = 1u << 0;
inline constexpr u32 k_claim_tags = 0xff;
inline constexpr u32 k_control_enable = 1u << 0;  ///< of DBGBCR and DBGWCR
inline constexpr u32 k_wcr_linked = 1u << 20;
/// DBGVCR without the Security Extensions, and what of it is an event in monitor debug-mode.
inline constexpr u32 k_vcr_writable = 0xdf, k_vcr_events = 0xc7;
/// The last of the breakpoints can be for a Context ID (DBGDIDR.CTX_CMPs).
inline constexpr u32 k_first_context_breakpoint = k_breakpoints - 2;

bool read_dbgdidr(CpuState& s, SystemPort& port, u64& value);
bool read_dbgdscrint(CpuState& s, SystemPort& port, u64& value);
bool read_dbgdtrrxint(CpuState& s, SystemPort& port, u64& value);
bool read_no_debug_rom(CpuState& s, SystemPort& port, u64& value);
bool read_dbgprsr(CpuState& s, SystemPort& port, u64& value);
bool write_dbgdtrtxint(CpuState& s, SystemPort& port, u64 value);
bool write_dbgdscrext(CpuState& s, SystemPort& port, u64 value);
bool write_dbgvcr(CpuState& s, SystemPort& port, u64 value);
bool write_dbgoslar(CpuState& s, SystemPort& port, u64 value);
bool write_dbgosdlr(CpuState& s, SystemPort& port, u64 value);
bool write_dbgprcr(CpuState& s, SystemPort& port, u64 value);
bool write_dbgclaimset(CpuState& s, SystemPort& port, u64 value);
bool write_dbgclaimclr(CpuState& s, SystemPort& port, u64 value);

/// A value or control register of the breakpoint or watchpoint `n`.
bool write_breakpoint(CpuState& s, SystemPort& port, u32 n, bool control, u64 value);
bool write_watchpoint(CpuState& s, SystemPort& port, u32 n, bool control, u64 value);
template <u32 n>
bool write_dbgbvr(CpuState& s, SystemPort& port, u64 value) {
  return write_breakpoint(s, port, n, false, value);
}
template <u32 n>
bool write_dbgbcr(CpuState& s, SystemPort& port, u64 value) {
  return write_breakpoint(s, port, n, true, value);
}
template <u32 n>
bool write_dbgwvr(CpuState& s, SystemPort& port, u64 value) {
  return write_watchpoint(s, port, n, false, value);
}
template <u32 n>
bool write_dbgwcr(CpuState& s, SystemPort& port, u64 value) {
  return write_watchpoint(s, port, n, true, value);
}

}  // namespace armvisor::arm
