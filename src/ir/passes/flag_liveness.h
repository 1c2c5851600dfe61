#pragma once
// Clears from every flag-writing instruction the flags that are overwritten before anything reads them. All flags
// are live at exits and at instructions that may raise, so the guest never sees the difference.
#include "ir/ir.h"

namespace armvisor::ir {

/// Bits of Inst::attr for the flags.
inline constexpr u8 k_flag_n = 8, k_flag_z = 4, k_flag_c = 2, k_flag_v = 1, k_flags_all = 15;

/// Flags that `cond` depends on.
u8 flags_read_by(u8 cond);

/// For each instruction of `block`, the flags it writes that something needs. 0 for instructions that write none.
/// The flags that `inst` gives a new value whatever happens.
u8 flags_written(const Inst& inst);
std::vector<u8> needed_flags(const Block& block);

}  // namespace armvisor::ir
