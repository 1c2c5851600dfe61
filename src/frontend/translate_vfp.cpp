// VFP data processing (ARM DDI 0406C A7.5). This CPU has no short vectors: FPSCR.Len and Stride read as zero, and every
// operation is scalar.
#include <utility>

#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

/// The operands and operations of one instruction, in the precision that field z gives.
template <class Decoded>
class Vfp {
 public:
  Vfp(Translator& t, const Decoded& i) : t_(t), i_(i), f64_(i('z') != 0) {}

  u32 d() const { return number(i_('D'), i_('d')); }
  u32 n() const { return number(i_('N'), i_('n')); }
  u32 m() const { return number(i_('M'), i_('m')); }
  Value get(u32 r) { return t_.ir.emit_imm(f64_ ? Op::GetD : Op::GetS, r); }
  void set(Operand v) { t_.ir.emit_imm(f64_ ? Op::SetD : Op::SetS, d(), v); }

  Value neg(Value a) { return emit(Op::FNeg32, Op::FNeg64, a); }
  Value emit(Op op32, Op op64, Value a, Value b = {}, Value c = {}) { return t_.ir.emit(f64_ ? op64 : op32, a, b, c); }
  bool f64() const { return f64_; }

 private:
  u32 number(u32 bit, u32 four) const { return f64_ ? bit << 4 | four : four << 1 | bit; }
  Translator& t_;
  const Decoded& i_;
  bool f64_;
};

u32 single_d(const auto& i) { return i('d') << 1 | i('D'); }
u32 single_m(const auto& i) { return i('m') << 1 | i('M'); }

/// d = op(n, m), negated with `negate`.
void three(Translator& t, const auto& i, Op op32, Op op64, bool negate = false) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const Value n = v.get(v.n()), m = v.get(v.m());
  const Value r = v.emit(op32, op64, n, m);
  v.set(negate ? v.neg(r) : r);
}

/// d = +-d + +-(n * m), each rounded.
void multiply_add(Translator& t, const auto& i, bool negate_d, bool negate_product) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const Value n = v.get(v.n()), m = v.get(v.m());
  Value product = v.emit(Op::FMul32, Op::FMul64, n, m);
  if (negate_product) product = v.neg(product);
  Value d = v.get(v.d());
  if (negate_d) d = v.neg(d);
  v.set(v.emit(Op::FAdd32, Op::FAdd64, d, product));
}

/// d = +-d + +-n * m, rounded once.
void fused(Translator& t, const auto& i, bool negate_d, bool negate_n) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  Value n = v.get(v.n()), d = v.get(v.d());
  const Value m = v.get(v.m());
  if (negate_n) n = v.neg(n);
  if (negate_d) d = v.neg(d);
  v.set(v.emit(Op::FMulAdd32, Op::FMulAdd64, d, n, m));
}

void two_vfp(Translator& t, const auto& i, Op op32, Op op64) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  v.set(v.emit(op32, op64, v.get(v.m())));
}

}  // namespace

// V<op><c>.F32 <Sd>, <Sn>, <Sm>; V<op><c>.F64 <Dd>, <Dn>, <Dm>
void VMLA_vfp(Translator& t, const fields::VMLA_vfp& i) { multiply_add(t, i, false, false); }
void VMLS_vfp(Translator& t, const fields::VMLS_vfp& i) { multiply_add(t, i, false, true); }
void VNMLA(Translator& t, const fields::VNMLA& i) { multiply_add(t, i, true, true); }
void VNMLS(Translator& t, const fields::VNMLS& i) { multiply_add(t, i, true, false); }
void VMUL_vfp(Translator& t, const fields::VMUL_vfp& i) { three(t, i, Op::FMul32, Op::FMul64); }
void VNMUL(Translator& t, const fields::VNMUL& i) { three(t, i, Op::FMul32, Op::FMul64, true); }
void VADD_vfp(Translator& t, const fields::VADD_vfp& i) { three(t, i, Op::FAdd32, Op::FAdd64); }
void VSUB_vfp(Translator& t, const fields::VSUB_vfp& i) { three(t, i, Op::FSub32, Op::FSub64); }
void VDIV(Translator& t, const fields::VDIV& i) { three(t, i, Op::FDiv32, Op::FDiv64); }
void VFMA_vfp(Translator& t, const fields::VFMA_vfp& i) { fused(t, i, false, false); }
void VFMS_vfp(Translator& t, const fields::VFMS_vfp& i) { fused(t, i, false, true); }
void VFNMA(Translator& t, const fields::VFNMA& i) { fused(t, i, true, true); }
void VFNMS(Translator& t, const fields::VFNMS& i) { fused(t, i, true, false); }
// V<op><c>.F32 <Sd>, <Sm>; V<op><c>.F64 <Dd>, <Dm>
void VABS_vfp(Translator& t, const fields::VABS_vfp& i) { two_vfp(t, i, Op::FAbs32, Op::FAbs64); }
void VNEG_vfp(Translator& t, const fields::VNEG_vfp& i) { two_vfp(t, i, Op::FNeg32, Op::FNeg64); }
void VSQRT(Translator& t, const fields::VSQRT& i) { two_vfp(t, i, Op::FSqrt32, Op::FSqrt64); }

/// VMOV<c>.F32 <Sd>, <Sm>; VMOV<c>.F64 <Dd>, <Dm>
void VMOV_reg_vfp(Translator& t, const fields::VMOV_reg_vfp& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  v.set(v.get(v.m()));
}

/// VMOV<c>.F32 <Sd>, #<imm>; VMOV<c>.F64 <Dd>, #<imm> (VFPExpandImm)
void VMOV_imm_vfp(Translator& t, const fields::VMOV_imm_vfp& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const u64 imm8 = i('i'), sign = imm8 >> 7, b6 = (imm8 >> 6) & 1, low6 = imm8 & 0x3f;
  const u64 single = sign << 31 | (b6 ? u64{0x1f} << 25 : u64{1} << 30) | low6 << 19;
  const u64 dbl = sign << 63 | (b6 ? u64{0xff} << 54 : u64{1} << 62) | low6 << 48;
  v.set(Operand::imm(v.f64() ? dbl : single));
}

/// VCMP{E}<c>.F32 <Sd>, <Sm>; VCMP{E}<c>.F64 <Dd>, <Dm>
void VCMP(Translator& t, const fields::VCMP& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const Value d = v.get(v.d()), m = v.get(v.m());
  t.ir.emit_imm(v.f64() ? Op::FCmp64 : Op::FCmp32, i('e'), d, m);
}

/// VCMP{E}<c>.F32 <Sd>, #0.0; VCMP{E}<c>.F64 <Dd>, #0.0
void VCMP_zero(Translator& t, const fields::VCMP_zero& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  t.ir.emit_imm(v.f64() ? Op::FCmp64 : Op::FCmp32, i('e'), v.get(v.d()), Operand::imm(0));
}

/// VCVT<y><c>.F32.F16 <Sd>, <Sm>
void VCVTB_to_single(Translator& t, const fields::VCVTB_to_single& i) {
  if (!open_vfp(t)) return;
  Value half = t.ir.emit_imm(Op::GetS, single_m(i));
  if (i('t')) half = t.ir.emit(Op::Shr, half, Operand::imm(16));
  t.ir.emit_imm(Op::SetS, single_d(i), t.ir.emit(Op::FCvt16To32, half));
}

/// VCVT<y><c>.F16.F32 <Sd>, <Sm>: the other half of Sd stays
void VCVTB_to_half(Translator& t, const fields::VCVTB_to_half& i) {
  if (!open_vfp(t)) return;
  const Value half = t.ir.emit(Op::FCvt32To16, t.ir.emit_imm(Op::GetS, single_m(i)));
  const Value old = t.ir.emit_imm(Op::GetS, single_d(i));
  const u64 field = (i('t') ? 16 : 0) | 16 << 8;
  t.ir.emit_imm(Op::SetS, single_d(i), t.ir.emit_imm(Op::Bfi, field, old, half));
}

/// VCVT<c>.F64.F32 <Dd>, <Sm>
void VCVT_single_to_double(Translator& t, const fields::VCVT_single_to_double& i) {
  if (!open_vfp(t)) return;
  t.ir.emit_imm(Op::SetD, vd(i), t.ir.emit(Op::FCvt32To64, t.ir.emit_imm(Op::GetS, single_m(i))));
}

/// VCVT<c>.F32.F64 <Sd>, <Dm>
void VCVT_double_to_single(Translator& t, const fields::VCVT_double_to_single& i) {
  if (!open_vfp(t)) return;
  t.ir.emit_imm(Op::SetS, single_d(i), t.ir.emit(Op::FCvt64To32, t.ir.emit_imm(Op::GetD, vm(i))));
}

/// VCVT<c>.<F32|F64>.<U32|S32> <Dd>, <Sm>: rounds as FPSCR says
void VCVT_int_to_fp(Translator& t, const fields::VCVT_int_to_fp& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const u32 attr = ir::FixedAttr::make(32, 0, i('s') == 0, false);
  v.set(t.ir.emit_imm(v.f64() ? Op::FixedToF64 : Op::FixedToF32, attr, t.ir.emit_imm(Op::GetS, single_m(i))));
}

/// VCVT{R}<c>.<U32|S32>.<F32|F64> <Sd>, <Dm>: towards zero, VCVTR as FPSCR says
void VCVT_fp_to_int(Translator& t, const fields::VCVT_fp_to_int& i) {
  if (!open_vfp(t)) return;
  Vfp v(t, i);
  const u32 attr = ir::FixedAttr::make(32, 0, i('s') == 0, i('r') != 0);
  const Value r = t.ir.emit_imm(v.f64() ? Op::F64ToFixed : Op::F32ToFixed, attr, v.get(v.m()));
  t.ir.emit_imm(Op::SetS, single_d(i), r);
}

namespace {

/// Opens a conversion with fixed point; `attr` gets its FixedAttr (nearest from fixed point, towards zero to it).
bool open_fixed(Translator& t, const auto& i, u32& attr) {
  const u32 width = i('x') ? 32 : 16, position = i('i') << 1 | i('j');
  attr = ir::FixedAttr::make(width, width - position, i('u') != 0, true);
  return open_vfp(t, position <= width);
}

}  // namespace

/// VCVT<c>.<Td>.<F32|F64> <Dd>, <Dd>, #<fbits>
void VCVT_fp_to_fixed(Translator& t, const fields::VCVT_fp_to_fixed& i) {
  u32 attr = 0;
  if (!open_fixed(t, i, attr)) return;
  Vfp v(t, i);
  const Value r = t.ir.emit_imm(v.f64() ? Op::F64ToFixed : Op::F32ToFixed, attr, v.get(v.d()));
  v.set(v.f64() ? t.ir.emit(i('u') ? Op::ZExt64 : Op::SExt64, r) : r);
}

/// VCVT<c>.<F32|F64>.<Td> <Dd>, <Dd>, #<fbits>
void VCVT_fixed_to_fp(Translator& t, const fields::VCVT_fixed_to_fp& i) {
  u32 attr = 0;
  if (!open_fixed(t, i, attr)) return;
  Vfp v(t, i);
  Value a = v.get(v.d());
  if (v.f64()) a = t.ir.emit(Op::Lo32, a);
  v.set(t.ir.emit_imm(v.f64() ? Op::FixedToF64 : Op::FixedToF32, attr, a));
}

}  // namespace armvisor::frontend::simd
