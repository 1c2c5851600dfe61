// Advanced SIMD: three registers of different lengths, two registers and a scalar (ARM DDI 0406C A7.4.2, A7.4.3).
#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

enum class Accumulate : u8 { None, Add, Sub, SaturatingAdd, SaturatingSub };

/// Q[d] = the Q vector `wide` of 1 << esize_log2 bit elements, accumulated.
void finish_long(Translator& t, u32 d, u32 esize_log2, Value wide, Accumulate how) {
  static constexpr VecOp k_ops[] = {VecOp::Add, VecOp::Add, VecOp::Sub, VecOp::QAddS, VecOp::QSubS};
  if (how != Accumulate::None) wide = vec(t, k_ops[static_cast<u8>(how)], esize_log2, true, get(t, d, true), wide);
  set(t, d, true, wide);
}

/// Q[d] = op(D[n], D[m]).
void lengthen(Translator& t, const auto& i, bool defined, VecOp op, Accumulate how = Accumulate::None) {
  if (!open(t, defined && i('z') != 3 && even(vd(i)))) return;
  const u32 esize_log2 = 3 + i('z');
  const Value n = get(t, vn(i), false), m = get(t, vm(i), false);
  finish_long(t, vd(i), esize_log2 + 1, vec(t, op, esize_log2, false, n, m), how);
}

/// Q[d] = op(Q[n], D[m]).
void widen_second(Translator& t, const auto& i, VecOp op) {
  if (!open(t, i('z') != 3 && even(vd(i), vn(i)))) return;
  const Value n = get(t, vn(i), true), m = get(t, vm(i), false);
  set(t, vd(i), true, vec(t, op, 3 + i('z'), false, n, m));
}

/// D[d] = op(Q[n], Q[m]).
void narrow_high(Translator& t, const auto& i, VecOp op) {
  if (!open(t, i('z') != 3 && even(vn(i), vm(i)))) return;
  const Value n = get(t, vn(i), true), m = get(t, vm(i), true);
  set(t, vd(i), false, vec(t, op, 4 + i('z'), true, n, m));
}

bool saturating_size(const auto& i) { return !i('U') && i('z') != 0; }

}  // namespace

// V<op>L<c>.<dt> <Qd>, <Dn>, <Dm>; V<op>W<c>.<dt> <Qd>, <Qn>, <Dm>; V<op>HN<c>.<dt> <Dd>, <Qn>, <Qm>
void VADDL(Translator& t, const fields::VADDL& i) { lengthen(t, i, true, by_sign(i, VecOp::AddLS, VecOp::AddLU)); }
void VADDW(Translator& t, const fields::VADDW& i) { widen_second(t, i, by_sign(i, VecOp::AddWS, VecOp::AddWU)); }
void VSUBL(Translator& t, const fields::VSUBL& i) { lengthen(t, i, true, by_sign(i, VecOp::SubLS, VecOp::SubLU)); }
void VSUBW(Translator& t, const fields::VSUBW& i) { widen_second(t, i, by_sign(i, VecOp::SubWS, VecOp::SubWU)); }
void VADDHN(Translator& t, const fields::VADDHN& i) { narrow_high(t, i, by_sign(i, VecOp::AddHN, VecOp::RAddHN)); }
void VSUBHN(Translator& t, const fields::VSUBHN& i) { narrow_high(t, i, by_sign(i, VecOp::SubHN, VecOp::RSubHN)); }
void VABAL(Translator& t, const fields::VABAL& i) {
  lengthen(t, i, true, by_sign(i, VecOp::AbdLS, VecOp::AbdLU), Accumulate::Add);
}
void VABDL(Translator& t, const fields::VABDL& i) { lengthen(t, i, true, by_sign(i, VecOp::AbdLS, VecOp::AbdLU)); }
void VMLAL(Translator& t, const fields::VMLAL& i) {
  lengthen(t, i, true, by_sign(i, VecOp::MulLS, VecOp::MulLU), Accumulate::Add);
}
void VMLSL(Translator& t, const fields::VMLSL& i) {
  lengthen(t, i, true, by_sign(i, VecOp::MulLS, VecOp::MulLU), Accumulate::Sub);
}
void VQDMLAL(Translator& t, const fields::VQDMLAL& i) {
  lengthen(t, i, saturating_size(i), VecOp::QDMulL, Accumulate::SaturatingAdd);
}
void VQDMLSL(Translator& t, const fields::VQDMLSL& i) {
  lengthen(t, i, saturating_size(i), VecOp::QDMulL, Accumulate::SaturatingSub);
}
void VMULL_int(Translator& t, const fields::VMULL_int& i) {
  lengthen(t, i, true, by_sign(i, VecOp::MulLS, VecOp::MulLU));
}
void VQDMULL(Translator& t, const fields::VQDMULL& i) { lengthen(t, i, saturating_size(i), VecOp::QDMulL); }
void VMULL_poly(Translator& t, const fields::VMULL_poly& i) { lengthen(t, i, !i('U') && i('z') == 0, VecOp::MulLPoly); }

namespace {

/// All elements of a vector set to the scalar Dm[x] (A7.3.1): 16-bit in D0-D7, 32-bit in D0-D15.
Value scalar(Translator& t, const auto& i) {
  const u32 m = i('m'), high = i('M');
  const bool is16 = i('z') == 1;
  const u32 d = is16 ? m & 7 : m;
  const u32 lane = is16 ? high << 1 | m >> 3 : high;
  const u32 esize = is16 ? 16 : 32;
  const Value element = t.ir.emit_imm(Op::VGetLane, esize | lane << 8, get(t, d, false));
  return t.ir.emit_imm(Op::VDup, esize, element);
}

bool scalar_size(const auto& i) { return i('z') == 1 || i('z') == 2; }

/// Same length; field U is Q, field f (where there is one) single precision.
void by_scalar(Translator& t, const auto& i, VecOp integer, VecOp fp, bool accumulate) {
  const bool q = i('U') != 0, is_fp = i.or_zero('f') != 0;
  const bool defined = scalar_size(i) && (!is_fp || i('z') == 2) && (!q || even(vd(i), vn(i)));
  if (!open(t, defined)) return;
  const Value n = get(t, vn(i), q), m = scalar(t, i);
  const Value d = accumulate ? get(t, vd(i), q) : Value{};
  set(t, vd(i), q, vec(t, is_fp ? fp : integer, 3 + i('z'), q, n, m, d));
}

void long_by_scalar(Translator& t, const auto& i, bool defined, VecOp op, Accumulate how = Accumulate::None) {
  if (!open(t, defined && scalar_size(i) && even(vd(i)))) return;
  const u32 esize_log2 = 3 + i('z');
  const Value n = get(t, vn(i), false), m = scalar(t, i);
  finish_long(t, vd(i), esize_log2 + 1, vec(t, op, esize_log2, false, n, m), how);
}

VecOp long_multiply(const auto& i) { return by_sign(i, VecOp::MulLS, VecOp::MulLU); }

}  // namespace

// V<op><c>.<dt> <Qd>, <Qn>, <Dm[x]>; V<op>L<c>.<dt> <Qd>, <Dn>, <Dm[x]>
void VMLA_scalar(Translator& t, const fields::VMLA_scalar& i) { by_scalar(t, i, VecOp::Mla, VecOp::FMla, true); }
void VMLS_scalar(Translator& t, const fields::VMLS_scalar& i) { by_scalar(t, i, VecOp::Mls, VecOp::FMls, true); }
void VMUL_scalar(Translator& t, const fields::VMUL_scalar& i) { by_scalar(t, i, VecOp::Mul, VecOp::FMul, false); }
void VQDMULH_scalar(Translator& t, const fields::VQDMULH_scalar& i) {
  by_scalar(t, i, VecOp::QDMulH, VecOp::QDMulH, false);
}
void VQRDMULH_scalar(Translator& t, const fields::VQRDMULH_scalar& i) {
  by_scalar(t, i, VecOp::QRDMulH, VecOp::QRDMulH, false);
}
void VMLAL_scalar(Translator& t, const fields::VMLAL_scalar& i) {
  long_by_scalar(t, i, true, long_multiply(i), Accumulate::Add);
}
void VMLSL_scalar(Translator& t, const fields::VMLSL_scalar& i) {
  long_by_scalar(t, i, true, long_multiply(i), Accumulate::Sub);
}
void VMULL_scalar(Translator& t, const fields::VMULL_scalar& i) { long_by_scalar(t, i, true, long_multiply(i)); }
void VQDMLAL_scalar(Translator& t, const fields::VQDMLAL_scalar& i) {
  long_by_scalar(t, i, !i('U'), VecOp::QDMulL, Accumulate::SaturatingAdd);
}
void VQDMLSL_scalar(Translator& t, const fields::VQDMLSL_scalar& i) {
  long_by_scalar(t, i, !i('U'), VecOp::QDMulL, Accumulate::SaturatingSub);
}
void VQDMULL_scalar(Translator& t, const fields::VQDMULL_scalar& i) { long_by_scalar(t, i, !i('U'), VecOp::QDMulL); }

}  // namespace armvisor::frontend::simd
