#include "arm/debug_events.h"

#include <algorithm>

#include "arm/debug_registers.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_v = 1u << 13;
constexpr u32 k_word_mask = 3, k_double_word_mask = 7;

/// DBGBCR.BT of the types of this CPU (C11.11.1).
enum class BreakpointType : u32 { Address, LinkedAddress, Context, LinkedContext, Mismatch, LinkedMismatch, None };

BreakpointType type_of(const DebugState& d, u32 n) {
  const u32 type = bits<23, 20>(d.bcr[n]);
  if (!(d.bcr[n] & k_control_enable) || type > 5) return BreakpointType::None;
  const auto t = static_cast<BreakpointType>(type);
  const bool context = t == BreakpointType::Context || t == BreakpointType::LinkedContext;
  return context && n < k_first_context_breakpoint ? BreakpointType::None : t;
}

/// DBGBCR.PMC of this type asks for events at PL1.
bool breaks_at_pl1(BreakpointType type, u32 control) {
  return (type == BreakpointType::Address || type == BreakpointType::LinkedAddress) && bits<2, 1>(control) != 2;
}

/// DBGBCR.PMC selects the current mode (C11.11.1, Table C11-4; without the Security Extensions).
bool selects_mode(const CpuState& s, u32 control) {
  const u32 mode = s.mode();
  switch (bits<2, 1>(control)) {
    case 0: return mode == k_mode_usr || mode == k_mode_svc || mode == k_mode_sys;
    case 1: return mode != k_mode_usr;
    case 2: return mode == k_mode_usr;
    default: return true;
  }
}

/// The breakpoint that `control` is linked to by its LBN is for the Context ID in force (C3.3.3).
bool link_holds(const CpuState& s, u32 control) {
  const DebugState& d = s.cp15.debug;
  const u32 n = bits<19, 16>(control);
  return n < k_breakpoints && type_of(d, n) == BreakpointType::LinkedContext && d.bvr[n] == s.cp15.contextidr;
}

/// DBGBVR and DBGBCR.BAS name the address of the instruction.
bool names_address(const DebugState& d, u32 n, u32 pc) {
  return ((pc ^ d.bvr[n]) & ~k_word_mask) == 0 && (bits<8, 5>(d.bcr[n]) >> (pc & k_word_mask) & 1) != 0;
}

bool breakpoint_matches(const CpuState& s, u32 n, u32 pc) {
  const DebugState& d = s.cp15.debug;
  const u32 control = d.bcr[n];
  const BreakpointType type = type_of(d, n);
  if (type == BreakpointType::None || !selects_mode(s, control)) return false;
  if (s.privileged() && !breaks_at_pl1(type, control)) return false;
  switch (type) {
    case BreakpointType::Address: return names_address(d, n, pc);
    case BreakpointType::LinkedAddress: return names_address(d, n, pc) && link_holds(s, control);
    case BreakpointType::Context: return d.bvr[n] == s.cp15.contextidr;
    case BreakpointType::Mismatch: return !names_address(d, n, pc);
    case BreakpointType::LinkedMismatch: return !names_address(d, n, pc) && link_holds(s, control);
    default: return false;
  }
}

/// Vector catch in its address-matching form (C3.5).
bool catches_vector(const CpuState& s, u32 pc) {
  const u32 catches = s.cp15.debug.vcr & k_vcr_events;
  if (catches == 0 || !s.privileged()) return false;
  const bool high = (s.cp15.sctlr & k_sctlr_v) != 0;
  const u32 reset = high ? 0xffff0000 : 0, base = high ? 0xffff0000 : s.cp15.vbar;
  if ((catches & 1) && pc == reset) return true;
  const u32 offset = pc - base;
  return offset > 0 && offset < 0x20 && (offset & k_word_mask) == 0 && (catches >> (offset / 4) & 1) != 0;
}

/// DBGWCR.MASK: so many low bits of an address do not count; below a double word it is reserved.
u32 mask_bits(u32 control) {
  const u32 mask = bits<28, 24>(control);
  return mask < 3 ? 0 : mask;
}

bool watchpoint_selects(const CpuState& s, u32 n, bool write, bool privileged) {
  const u32 control = s.cp15.debug.wcr[n];
  if (!(control & k_control_enable)) return false;
  if (!(bits<2, 1>(control) >> (privileged ? 0 : 1) & 1)) return false;
  if (!(bits<4, 3>(control) >> (write ? 1 : 0) & 1)) return false;
  return !(control & k_wcr_linked) || link_holds(s, control);
}

/// One byte is watched (C3.4.2): by mask, or by byte address select from a word or a double word on.
bool watches_byte(const DebugState& d, u32 n, u32 va) {
  const u32 value = d.wvr[n], control = d.wcr[n];
  if (const u32 mask = mask_bits(control)) return (va ^ value) >> mask == 0;
  const bool word = (value & 4) != 0;
  const u32 select = word ? bits<8, 5>(control) : bits<12, 5>(control);
  const u32 offset = va - (value & ~k_word_mask);
  return offset <= (word ? k_word_mask : k_double_word_mask) && (select >> offset & 1) != 0;
}

}  // namespace

u32 armed_of(const DebugState& d) {
  const bool double_locked = (d.osdlr & k_osdlr_dlk) != 0 && !(d.prcr & k_prcr_corenpdrq);
  if (!(d.dscr & k_dscr_mdbgen) || (d.oslsr & k_oslsr_oslk) || double_locked) return 0;
  u32 armed = d.vcr & k_vcr_events ? k_armed_pl1_code : 0;
  for (u32 n = 0; n < k_breakpoints; ++n) {
    const BreakpointType type = type_of(d, n);
    if (type == BreakpointType::None || type == BreakpointType::LinkedContext) continue;
    if (bits<2, 1>(d.bcr[n]) != 1) armed |= k_armed_pl0_code;
    if (breaks_at_pl1(type, d.bcr[n])) armed |= k_armed_pl1_code;
  }
  for (const u32 control : d.wcr) {
    if (!(control & k_control_enable) || bits<4, 3>(control) == 0) continue;
    if (control & 2) armed |= k_armed_pl1_data;
    if (control & 4) armed |= k_armed_pl0_data;
  }
  return armed;
}

u64 instruction_filter(const DebugState& d) {
  constexpr u64 k_everywhere = ~u64{0};
  if (!(d.armed & (k_armed_pl0_code | k_armed_pl1_code))) return 0;
  if (d.vcr & k_vcr_events) return k_everywhere;
  u64 filter = 0;
  for (u32 n = 0; n < k_breakpoints; ++n) {
    const BreakpointType type = type_of(d, n);
    if (type == BreakpointType::Address || type == BreakpointType::LinkedAddress)
      filter |= u64{1} << filter_bit(d.bvr[n]);
    else if (type != BreakpointType::None && type != BreakpointType::LinkedContext)
      return k_everywhere;
  }
  return filter;
}

DebugEntry instruction_event(const CpuState& s, u32 pc) {
  if (!code_is_armed(s, s.privileged())) return DebugEntry::None;
  if (catches_vector(s, pc)) return DebugEntry::VectorCatch;
  for (u32 n = 0; n < k_breakpoints; ++n)
    if (breakpoint_matches(s, n, pc)) return DebugEntry::Breakpoint;
  return DebugEntry::None;
}

std::optional<u32> watched_address(const CpuState& s, u32 va, u32 size, bool write, bool privileged) {
  if (!data_is_armed(s, privileged)) return {};
  const DebugState& d = s.cp15.debug;
  for (u32 k = 0; k < size; ++k)
    for (u32 n = 0; n < k_watchpoints; ++n)
      if (watches_byte(d, n, va + k) && watchpoint_selects(s, n, write, privileged)) return va + k;
  return {};
}

std::optional<WatchedRange> watched_range(const DebugState& d, u32 n) {
  if (!(d.wcr[n] & k_control_enable)) return {};
  const u32 size = std::max(mask_bits(d.wcr[n]), 3u);
  return WatchedRange{d.wvr[n] >> size << size, size};
}

bool page_is_watched(const CpuState& s, u32 va, bool privileged) {
  if (!data_is_armed(s, privileged)) return false;
  for (u32 n = 0; n < k_watchpoints; ++n) {
    const auto range = watched_range(s.cp15.debug, n);
    if (range && (range->va ^ va) >> std::max(range->bits, k_page_bits) == 0) return true;
  }
  return false;
}

}  // namespace armvisor::arm
