#pragma once
// Constant system registers of VFP and Advanced SIMD, read by VMRS (ARM DDI 0406C B6.1; values of the Cortex-A15). FPSID is in cp15.inc.
#include "base/types.h"

namespace armvisor::arm {

/// VFPv4-D32 with square root and divide in hardware; no short vectors, no trapped exceptions.
inline constexpr u32 k_mvfr0 = 0x10110222;
/// Advanced SIMD with integer, single and half precision, and fused multiply-add.
inline constexpr u32 k_mvfr1 = 0x11111111;
/// FPEXC bits that are writable: EN. EX and the trap fields are RAZ/WI, as no VFP exception is trapped.
inline constexpr u32 k_fpexc_en = 1u << 30;

}  // namespace armvisor::arm
