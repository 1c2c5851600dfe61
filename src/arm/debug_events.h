#pragma once
// Debug events of monitor debug-mode (ARM DDI 0406C C3): which instructions and accesses the breakpoints, watchpoints
// and vector catches of the debug registers (debug_registers.cpp) are for. An external debugger does without the
// registers (external_debug.h), so halting debug-mode cannot be entered.
//
// What the manual leaves UNPREDICTABLE in monitor debug-mode is no event: breakpoints for a Context ID alone or for an
// address mismatch at PL1, which the abort handler itself would meet, vector catches of Prefetch and Data Aborts, and
// breakpoints 0 to 3 programmed for a Context ID.
#include <optional>

#include "arm/cpu_state.h"

namespace armvisor::arm {

/// DebugState::armed: some instruction fetch (breakpoints, vector catches) or data access (watchpoints) of this
/// privilege may be a debug event.
inline constexpr u32 k_armed_pl0_code = 1, k_armed_pl1_code = 2, k_armed_pl0_data = 4, k_armed_pl1_data = 8;

inline bool code_is_armed(const CpuState& s, bool privileged) {
  return (s.cp15.debug.armed & (privileged ? k_armed_pl1_code : k_armed_pl0_code)) != 0;
}
inline bool data_is_armed(const CpuState& s, bool privileged) {
  return (s.cp15.debug.armed & (privileged ? k_armed_pl1_data : k_armed_pl0_data)) != 0;
}

/// The same, or an external debugger may stop there: what blocks, and what is kept of translations, depend on.
inline bool code_may_stop(const CpuState& s, bool privileged) {
  return code_is_armed(s, privileged) ||
         (s.cp15.debug.external & (privileged ? k_armed_pl1_code : k_armed_pl0_code)) != 0;
}
inline bool data_may_stop(const CpuState& s, bool privileged) {
  return data_is_armed(s, privileged) ||
         (s.cp15.debug.external & (privileged ? k_armed_pl1_data : k_armed_pl0_data)) != 0;
}

/// DebugState::armed as its other members ask for.
u32 armed_of(const DebugState& debug);

/// Bit filter_bit(pc) is clear where executing an instruction at `pc` is no debug event, in any state with these
/// registers.
u64 instruction_filter(const DebugState& debug);
constexpr u32 filter_bit(u32 pc) { return pc >> 2 & 63; }

/// The debug event of executing the instruction at `pc` in the current state; None: it may execute.
DebugEntry instruction_event(const CpuState& s, u32 pc);

/// The address that DFAR shows when the access is a Watchpoint debug event: the first byte of it that is watched.
/// `privileged` is the access's.
std::optional<u32> watched_address(const CpuState& s, u32 va, u32 size, bool write, bool privileged);

/// Addresses [va, va + (1 << bits)) that a watchpoint may be for; bits is at least that of a double word.
struct WatchedRange {
  u32 va = 0, bits = 3;
};
/// Of watchpoint `n`; none when it is not enabled.
std::optional<WatchedRange> watched_range(const DebugState& debug, u32 n);
/// An access of that privilege in the page of `va` may be a Watchpoint debug event.
bool page_is_watched(const CpuState& s, u32 va, bool privileged);

}  // namespace armvisor::arm
