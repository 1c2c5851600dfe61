// Advanced SIMD: two registers and a shift amount, one register and a modified immediate (ARM DDI 0406C A7.4.4,
// A7.4.6).
#include <bit>

#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

/// L:imm6 holds the element size as its leading one and the amount below it.
u32 shift_esize_log2(const auto& i) { return i.or_zero('L') ? 6 : 2 + static_cast<u32>(std::bit_width(i('i') >> 3)); }
u32 right_amount(const auto& i) { return (i.or_zero('L') ? 64 : 2u << shift_esize_log2(i)) - i('i'); }
u32 left_amount(const auto& i) { return i.or_zero('L') ? i('i') : i('i') - (1u << shift_esize_log2(i)); }

void shift(Translator& t, const auto& i, bool defined, VecOp op, u32 amount, bool insert = false) {
  const bool q = i('Q') != 0;
  if (!open(t, defined && (!q || even(vd(i), vm(i))))) return;
  const Value m = get(t, vm(i), q);
  const Value d = insert ? get(t, vd(i), q) : Value{};
  set(t, vd(i), q, vec(t, op, shift_esize_log2(i), q, m, {}, d, amount));
}

void shift_accumulate(Translator& t, const auto& i, VecOp op) {
  const bool q = i('Q') != 0;
  if (!open(t, !q || even(vd(i), vm(i)))) return;
  const u32 esize_log2 = shift_esize_log2(i);
  const Value v = vec(t, op, esize_log2, q, get(t, vm(i), q), {}, {}, right_amount(i));
  set(t, vd(i), q, vec(t, VecOp::Add, esize_log2, q, get(t, vd(i), q), v));
}

/// D[d] = op(Q[m]); imm6 tells the size of the narrow elements.
void shift_narrow(Translator& t, const auto& i, VecOp op) {
  if (!open(t, even(vm(i)))) return;
  set(t, vd(i), false, vec(t, op, shift_esize_log2(i) + 1, true, get(t, vm(i), true), {}, {}, right_amount(i)));
}

}  // namespace

// V<op><c>.<type><size> {<Qd>,} <Qm>, #<imm>
void VSHR(Translator& t, const fields::VSHR& i) {
  shift(t, i, true, by_sign(i, VecOp::ShrImmS, VecOp::ShrImmU), right_amount(i));
}
void VRSHR(Translator& t, const fields::VRSHR& i) {
  shift(t, i, true, by_sign(i, VecOp::RShrImmS, VecOp::RShrImmU), right_amount(i));
}
void VSRA(Translator& t, const fields::VSRA& i) { shift_accumulate(t, i, by_sign(i, VecOp::ShrImmS, VecOp::ShrImmU)); }
void VRSRA(Translator& t, const fields::VRSRA& i) {
  shift_accumulate(t, i, by_sign(i, VecOp::RShrImmS, VecOp::RShrImmU));
}
void VSRI(Translator& t, const fields::VSRI& i) { shift(t, i, true, VecOp::Sri, right_amount(i), true); }
void VSHL_imm(Translator& t, const fields::VSHL_imm& i) { shift(t, i, true, VecOp::ShlImm, left_amount(i)); }
void VSLI(Translator& t, const fields::VSLI& i) { shift(t, i, true, VecOp::Sli, left_amount(i), true); }
void VQSHLU(Translator& t, const fields::VQSHLU& i) { shift(t, i, i('U') != 0, VecOp::QShlImmSU, left_amount(i)); }
void VQSHL_imm(Translator& t, const fields::VQSHL_imm& i) {
  shift(t, i, true, by_sign(i, VecOp::QShlImmS, VecOp::QShlImmU), left_amount(i));
}
void VSHRN(Translator& t, const fields::VSHRN& i) { shift_narrow(t, i, VecOp::ShrN); }
void VRSHRN(Translator& t, const fields::VRSHRN& i) { shift_narrow(t, i, VecOp::RShrN); }
void VQSHRUN(Translator& t, const fields::VQSHRUN& i) { shift_narrow(t, i, VecOp::QShrUN); }
void VQRSHRUN(Translator& t, const fields::VQRSHRUN& i) { shift_narrow(t, i, VecOp::QRShrUN); }
void VQSHRN(Translator& t, const fields::VQSHRN& i) { shift_narrow(t, i, by_sign(i, VecOp::QShrNS, VecOp::QShrNU)); }
void VQRSHRN(Translator& t, const fields::VQRSHRN& i) {
  shift_narrow(t, i, by_sign(i, VecOp::QRShrNS, VecOp::QRShrNU));
}

/// VSHLL<c>.<type><size> <Qd>, <Dm>, #<imm>; VMOVL when the amount is 0
void VSHLL_imm(Translator& t, const fields::VSHLL_imm& i) {
  if (!open(t, even(vd(i)))) return;
  const u32 amount = left_amount(i);
  const VecOp op = amount == 0 ? by_sign(i, VecOp::MovLS, VecOp::MovLU) : by_sign(i, VecOp::ShlLS, VecOp::ShlLU);
  set(t, vd(i), true, vec(t, op, shift_esize_log2(i), false, get(t, vm(i), false), {}, {}, amount));
}

/// VCVT<c>.<Td>.<Tm> <Qd>, <Qm>, #<fbits>
void VCVT_fixed(Translator& t, const fields::VCVT_fixed& i) {
  const bool q = i('Q') != 0;
  if (!open(t, (i('i') & 32) != 0 && (!q || even(vd(i), vm(i))))) return;
  const VecOp op = i('o') ? by_sign(i, VecOp::FToS, VecOp::FToU) : by_sign(i, VecOp::SToF, VecOp::UToF);
  set(t, vd(i), q, vec(t, op, 5, q, get(t, vm(i), q), {}, {}, 64 - i('i')));
}

namespace {

u64 immediate8(const auto& i) { return i('i') << 7 | i('j'); }
u64 repeat32(u64 v) { return v << 32 | v; }
u64 repeat16(u64 v) { return repeat32(v << 16 | v); }

// AdvSIMDExpandImm (A7.4.6)
u64 expand_i32(const auto& i) { return repeat32(immediate8(i) << (8 * i('k'))); }
u64 expand_i16(const auto& i) { return repeat16(immediate8(i) << (8 * i('k'))); }
u64 expand_ones(const auto& i) { return repeat32(i('k') ? immediate8(i) << 16 | 0xffff : immediate8(i) << 8 | 0xff); }
u64 expand_i8(const auto& i) { return immediate8(i) * 0x0101010101010101; }
u64 expand_f32(const auto& i) {
  const u64 imm8 = immediate8(i);
  const u64 exponent = (imm8 & 0x40) ? 0x7c : 0x80;
  return repeat32((imm8 & 0x80) << 24 | exponent << 23 | (imm8 & 0x3f) << 19);
}
u64 expand_i64(const auto& i) {
  u64 v = 0;
  for (u32 k = 0; k < 8; ++k)
    if ((immediate8(i) >> k) & 1) v |= u64{0xff} << (8 * k);
  return v;
}

void move_immediate(Translator& t, const auto& i, u64 v) {
  const bool q = i('Q') != 0;
  if (!open(t, !q || even(vd(i)))) return;
  if (q)
    set(t, vd(i), true, constant(t, v));
  else
    t.ir.emit_imm(Op::SetD, vd(i), Operand::imm(v));
}

void combine_immediate(Translator& t, const auto& i, VecOp op, u64 v) {
  const bool q = i('Q') != 0;
  if (!open(t, !q || even(vd(i)))) return;
  set(t, vd(i), q, vec(t, op, 6, q, get(t, vd(i), q), constant(t, v)));
}

}  // namespace

// V<op><c>.<dt> <Qd>, #<imm>
void VMOV_imm_i32(Translator& t, const fields::VMOV_imm_i32& i) { move_immediate(t, i, expand_i32(i)); }
void VMOV_imm_i16(Translator& t, const fields::VMOV_imm_i16& i) { move_immediate(t, i, expand_i16(i)); }
void VMOV_imm_ones(Translator& t, const fields::VMOV_imm_ones& i) { move_immediate(t, i, expand_ones(i)); }
void VMOV_imm_i8(Translator& t, const fields::VMOV_imm_i8& i) { move_immediate(t, i, expand_i8(i)); }
void VMOV_imm_f32(Translator& t, const fields::VMOV_imm_f32& i) { move_immediate(t, i, expand_f32(i)); }
void VMOV_imm_i64(Translator& t, const fields::VMOV_imm_i64& i) { move_immediate(t, i, expand_i64(i)); }
void VMVN_imm_i32(Translator& t, const fields::VMVN_imm_i32& i) { move_immediate(t, i, ~expand_i32(i)); }
void VMVN_imm_i16(Translator& t, const fields::VMVN_imm_i16& i) { move_immediate(t, i, ~expand_i16(i)); }
void VMVN_imm_ones(Translator& t, const fields::VMVN_imm_ones& i) { move_immediate(t, i, ~expand_ones(i)); }
void VORR_imm_i32(Translator& t, const fields::VORR_imm_i32& i) { combine_immediate(t, i, VecOp::Or, expand_i32(i)); }
void VORR_imm_i16(Translator& t, const fields::VORR_imm_i16& i) { combine_immediate(t, i, VecOp::Or, expand_i16(i)); }
void VBIC_imm_i32(Translator& t, const fields::VBIC_imm_i32& i) {
  combine_immediate(t, i, VecOp::AndNot, expand_i32(i));
}
void VBIC_imm_i16(Translator& t, const fields::VBIC_imm_i16& i) {
  combine_immediate(t, i, VecOp::AndNot, expand_i16(i));
}

}  // namespace armvisor::frontend::simd
