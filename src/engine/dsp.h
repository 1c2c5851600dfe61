#pragma once
// Saturating and parallel arithmetic (ARM DDI 0406C A4.4.3, A4.4.5) on plain values; Q and GE go to the state.
#include "arm/cpu_state.h"

namespace armvisor::engine::dsp {

u32 add_overflow(u32 a, u32 b, arm::CpuState& s);  ///< 1 when a + b overflows as signed
u32 qadd(u32 a, u32 b, arm::CpuState& s);
u32 qsub(u32 a, u32 b, arm::CpuState& s);
u32 ssat(u32 a, u32 width, arm::CpuState& s);
u32 usat(u32 a, u32 width, arm::CpuState& s);
u32 ssat16(u32 a, u32 width, arm::CpuState& s);
u32 usat16(u32 a, u32 width, arm::CpuState& s);
u32 sel(u32 a, u32 b, arm::CpuState& s);
u32 usad8(u32 a, u32 b, arm::CpuState& s);
/// `kind`: ir::ParallelPrefix << 4 | ir::ParallelKind.
u32 parallel(u32 a, u32 b, u32 kind, arm::CpuState& s);

}  // namespace armvisor::engine::dsp
