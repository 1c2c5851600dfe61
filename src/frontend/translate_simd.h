#pragma once
// What the handlers of simd.inc share: operand fields, availability checks and access to the extension registers.
#include "frontend/handlers.h"
#include "frontend/translator.h"
#include "ir/vector.h"

namespace armvisor::frontend::simd {

using ir::VecOp;

// Numbers of the D registers that the fields name.
inline u32 vd(const auto& i) { return i('D') << 4 | i('d'); }
inline u32 vn(const auto& i) { return i('N') << 4 | i('n'); }
inline u32 vm(const auto& i) { return i('M') << 4 | i('m'); }

/// The signed or the unsigned form, by field U.
inline VecOp by_sign(const auto& i, VecOp s, VecOp u) { return i('U') ? u : s; }

/// D register `d`, or the Q register that begins with it.
inline Value get(Translator& t, u32 d, bool q) {
  return q ? t.ir.emit_imm(Op::GetQ, d / 2) : t.ir.emit_imm(Op::GetVD, d);
}
inline void set(Translator& t, u32 d, bool q, Value v) {
  if (q)
    t.ir.emit_imm(Op::SetQ, d / 2, v);
  else
    t.ir.emit_imm(Op::SetVD, d, v);
}

/// One evaluation of `op` on elements of 1 << esize_log2 bits.
inline Value vec(Translator& t, VecOp op, u32 esize_log2, bool q, Value a, Value b = {}, Value c = {}, u32 imm = 0) {
  return t.ir.emit_imm(Op::Vector, ir::VectorImm::make(op, esize_log2, q, imm), a, b, c);
}

/// A vector whose two halves are `v`.
inline Value constant(Translator& t, u64 v) {
  const Value half = t.ir.emit(Op::Mov64, Operand::imm(v));
  return t.ir.emit(Op::VPack, half, half);
}

/// Opens an Advanced SIMD instruction: false, with Undefined Instruction emitted, when `defined` is or the unit is off.
inline bool open(Translator& t, bool defined) {
  t.fp();
  if (defined && t.context.simd_enabled) return true;
  t.undefined();
  return false;
}

/// Likewise for a VFP instruction.
inline bool open_vfp(Translator& t, bool defined = true) {
  t.fp();
  if (defined && t.context.vfp_enabled) return true;
  t.undefined();
  return false;
}

/// True when none of the D register numbers is odd.
constexpr bool even(auto... d) { return (((d & 1) == 0) && ...); }

}  // namespace armvisor::frontend::simd
