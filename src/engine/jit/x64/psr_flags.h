#pragma once
// N, Z, C and V between their bytes in CpuState, n first, and bits 31:28 of a PSR. Each is one multiplication: every
// flag meets a power of two that takes it to its place, and no two products have a bit in common.
#include <xbyak/xbyak.h>

namespace armvisor::engine::jit {

/// r = the four bytes; afterwards the flags are in bits 31:28 and all other bits are zero.
inline void emit_flags_to_psr(Xbyak::CodeGenerator& c, const Xbyak::Reg32& r) {
  c.imul(r, r, static_cast<int>(0x80402010));
  c.and_(r, 0xf0000000);
}

/// r = a PSR; afterwards the four bytes.
inline void emit_psr_to_flags(Xbyak::CodeGenerator& c, const Xbyak::Reg32& r) {
  c.shr(r, 28);
  c.imul(r, r, 0x08040201);
  c.shr(r, 3);
  c.and_(r, 0x01010101);
}

}  // namespace armvisor::engine::jit
