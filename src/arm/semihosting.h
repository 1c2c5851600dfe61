#pragma once
// Arm's semihosting interface, as the CPU sees it: which instructions are calls of the debugger that a program was
// written for. The calls themselves are the machine's (machine/semihosting).
#include "base/types.h"

namespace armvisor::arm {

/// Who may make semihosting calls. The choice is the whole machine's, for all its life.
enum class Semihosting : u8 {
  Off,         ///< nobody: the instructions are what the architecture says
  Privileged,  ///< PL1
  Everybody,   ///< PL0, too
};

// The instructions (Semihosting for AArch32 and AArch64, version 2.0, "The semihosting interface").
inline constexpr u32 k_semihosting_svc_a32 = 0x123456, k_semihosting_svc_t32 = 0xab;
inline constexpr u32 k_semihosting_hlt_a32 = 0xf000, k_semihosting_hlt_t32 = 0x3c;

/// The comment field of an IR hypercall that stands for a semihosting call: that of HVC has 16 bits.
inline constexpr u32 k_semihosting_comment = 1u << 16;

}  // namespace armvisor::arm
