// Advanced SIMD: three registers of the same length (ARM DDI 0406C A7.4.1).
#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

enum class Order : u8 {
  NM,      ///< op(n, m)
  MN,      ///< op(m, n): the shifts by register
  WithD,   ///< op(n, m, d)
  AddToD,  ///< d + op(n, m)
};

void same(Translator& t, const auto& i, bool defined, VecOp op, u32 esize_log2, Order order = Order::NM) {
  const bool q = i('Q') != 0;
  if (!open(t, defined && (!q || even(vd(i), vn(i), vm(i))))) return;
  const Value n = get(t, vn(i), q), m = get(t, vm(i), q);
  const Value d = order == Order::WithD || order == Order::AddToD ? get(t, vd(i), q) : Value{};
  Value r = order == Order::MN ? vec(t, op, esize_log2, q, m, n)
                               : vec(t, op, esize_log2, q, n, m, order == Order::WithD ? d : Value{});
  if (order == Order::AddToD) r = vec(t, VecOp::Add, esize_log2, q, d, r);
  set(t, vd(i), q, r);
}

void bitwise(Translator& t, const auto& i, VecOp op, Order order = Order::NM) { same(t, i, true, op, 6, order); }

/// Elements of 8, 16 and 32 bits.
void up_to_32(Translator& t, const auto& i, VecOp op, Order order = Order::NM) {
  same(t, i, i('z') != 3, op, 3 + i('z'), order);
}

/// Elements of 8 to 64 bits.
void up_to_64(Translator& t, const auto& i, VecOp op, Order order = Order::NM) {
  same(t, i, true, op, 3 + i('z'), order);
}

/// D registers only.
void pairwise(Translator& t, const auto& i, VecOp op) { same(t, i, i('z') != 3 && !i('Q'), op, 3 + i('z')); }

void single(Translator& t, const auto& i, VecOp op, Order order = Order::NM) { same(t, i, i('z') == 0, op, 5, order); }

void single_pairwise(Translator& t, const auto& i, VecOp op) { same(t, i, i('z') == 0 && !i('Q'), op, 5); }

}  // namespace

// V<op><c>.<dt> {<Qd>,} <Qn>, <Qm>, and likewise with D registers
void VHADD(Translator& t, const fields::VHADD& i) { up_to_32(t, i, by_sign(i, VecOp::HAddS, VecOp::HAddU)); }
void VQADD(Translator& t, const fields::VQADD& i) { up_to_64(t, i, by_sign(i, VecOp::QAddS, VecOp::QAddU)); }
void VRHADD(Translator& t, const fields::VRHADD& i) { up_to_32(t, i, by_sign(i, VecOp::RHAddS, VecOp::RHAddU)); }
void VAND_reg(Translator& t, const fields::VAND_reg& i) { bitwise(t, i, VecOp::And); }
void VBIC_reg(Translator& t, const fields::VBIC_reg& i) { bitwise(t, i, VecOp::AndNot); }
void VORN_reg(Translator& t, const fields::VORN_reg& i) { bitwise(t, i, VecOp::OrNot); }
void VEOR(Translator& t, const fields::VEOR& i) { bitwise(t, i, VecOp::Xor); }
void VBSL(Translator& t, const fields::VBSL& i) { bitwise(t, i, VecOp::Bsl, Order::WithD); }
void VBIT(Translator& t, const fields::VBIT& i) { bitwise(t, i, VecOp::Bit, Order::WithD); }
void VBIF(Translator& t, const fields::VBIF& i) { bitwise(t, i, VecOp::Bif, Order::WithD); }

/// VORR (register); VMOV (register) when both operands are the same
void VORR_reg(Translator& t, const fields::VORR_reg& i) {
  if (vn(i) != vm(i)) return bitwise(t, i, VecOp::Or);
  const bool q = i('Q') != 0;
  if (!open(t, !q || even(vd(i), vm(i)))) return;
  if (q)
    set(t, vd(i), true, get(t, vm(i), true));
  else
    t.ir.emit_imm(Op::SetD, vd(i), t.ir.emit_imm(Op::GetD, vm(i)));
}

void VHSUB(Translator& t, const fields::VHSUB& i) { up_to_32(t, i, by_sign(i, VecOp::HSubS, VecOp::HSubU)); }
void VQSUB(Translator& t, const fields::VQSUB& i) { up_to_64(t, i, by_sign(i, VecOp::QSubS, VecOp::QSubU)); }
void VCGT_reg(Translator& t, const fields::VCGT_reg& i) { up_to_32(t, i, by_sign(i, VecOp::CmpGtS, VecOp::CmpGtU)); }
void VCGE_reg(Translator& t, const fields::VCGE_reg& i) { up_to_32(t, i, by_sign(i, VecOp::CmpGeS, VecOp::CmpGeU)); }
void VSHL_reg(Translator& t, const fields::VSHL_reg& i) {
  up_to_64(t, i, by_sign(i, VecOp::ShlRegS, VecOp::ShlRegU), Order::MN);
}
void VQSHL_reg(Translator& t, const fields::VQSHL_reg& i) {
  up_to_64(t, i, by_sign(i, VecOp::QShlRegS, VecOp::QShlRegU), Order::MN);
}
void VRSHL(Translator& t, const fields::VRSHL& i) {
  up_to_64(t, i, by_sign(i, VecOp::RShlRegS, VecOp::RShlRegU), Order::MN);
}
void VQRSHL(Translator& t, const fields::VQRSHL& i) {
  up_to_64(t, i, by_sign(i, VecOp::QRShlRegS, VecOp::QRShlRegU), Order::MN);
}
void VMAX_int(Translator& t, const fields::VMAX_int& i) { up_to_32(t, i, by_sign(i, VecOp::MaxS, VecOp::MaxU)); }
void VMIN_int(Translator& t, const fields::VMIN_int& i) { up_to_32(t, i, by_sign(i, VecOp::MinS, VecOp::MinU)); }
void VABD_int(Translator& t, const fields::VABD_int& i) { up_to_32(t, i, by_sign(i, VecOp::AbdS, VecOp::AbdU)); }
void VABA(Translator& t, const fields::VABA& i) { up_to_32(t, i, by_sign(i, VecOp::AbdS, VecOp::AbdU), Order::AddToD); }
void VADD_int(Translator& t, const fields::VADD_int& i) { up_to_64(t, i, VecOp::Add); }
void VSUB_int(Translator& t, const fields::VSUB_int& i) { up_to_64(t, i, VecOp::Sub); }
void VTST(Translator& t, const fields::VTST& i) { up_to_32(t, i, VecOp::Tst); }
void VCEQ_reg(Translator& t, const fields::VCEQ_reg& i) { up_to_32(t, i, VecOp::CmpEq); }
void VMLA_int(Translator& t, const fields::VMLA_int& i) { up_to_32(t, i, VecOp::Mla, Order::WithD); }
void VMLS_int(Translator& t, const fields::VMLS_int& i) { up_to_32(t, i, VecOp::Mls, Order::WithD); }
void VMUL_int(Translator& t, const fields::VMUL_int& i) { up_to_32(t, i, VecOp::Mul); }
void VMUL_poly(Translator& t, const fields::VMUL_poly& i) { same(t, i, i('z') == 0, VecOp::MulPoly, 3); }
void VPMAX_int(Translator& t, const fields::VPMAX_int& i) { pairwise(t, i, by_sign(i, VecOp::PMaxS, VecOp::PMaxU)); }
void VPMIN_int(Translator& t, const fields::VPMIN_int& i) { pairwise(t, i, by_sign(i, VecOp::PMinS, VecOp::PMinU)); }
void VPADD_int(Translator& t, const fields::VPADD_int& i) { pairwise(t, i, VecOp::PAdd); }
void VQDMULH(Translator& t, const fields::VQDMULH& i) {
  same(t, i, i('z') == 1 || i('z') == 2, VecOp::QDMulH, 3 + i('z'));
}
void VQRDMULH(Translator& t, const fields::VQRDMULH& i) {
  same(t, i, i('z') == 1 || i('z') == 2, VecOp::QRDMulH, 3 + i('z'));
}

// Single precision; field z is the reserved size bit
void VFMA(Translator& t, const fields::VFMA& i) { single(t, i, VecOp::FFma, Order::WithD); }
void VFMS(Translator& t, const fields::VFMS& i) { single(t, i, VecOp::FFms, Order::WithD); }
void VADD_f(Translator& t, const fields::VADD_f& i) { single(t, i, VecOp::FAdd); }
void VSUB_f(Translator& t, const fields::VSUB_f& i) { single(t, i, VecOp::FSub); }
void VPADD_f(Translator& t, const fields::VPADD_f& i) { single_pairwise(t, i, VecOp::FPAdd); }
void VABD_f(Translator& t, const fields::VABD_f& i) { single(t, i, VecOp::FAbd); }
void VMLA_f(Translator& t, const fields::VMLA_f& i) { single(t, i, VecOp::FMla, Order::WithD); }
void VMLS_f(Translator& t, const fields::VMLS_f& i) { single(t, i, VecOp::FMls, Order::WithD); }
void VMUL_f(Translator& t, const fields::VMUL_f& i) { single(t, i, VecOp::FMul); }
void VCEQ_reg_f(Translator& t, const fields::VCEQ_reg_f& i) { single(t, i, VecOp::FCmpEq); }
void VCGE_reg_f(Translator& t, const fields::VCGE_reg_f& i) { single(t, i, VecOp::FCmpGe); }
void VCGT_reg_f(Translator& t, const fields::VCGT_reg_f& i) { single(t, i, VecOp::FCmpGt); }
void VACGE(Translator& t, const fields::VACGE& i) { single(t, i, VecOp::FAbsCmpGe); }
void VACGT(Translator& t, const fields::VACGT& i) { single(t, i, VecOp::FAbsCmpGt); }
void VMAX_f(Translator& t, const fields::VMAX_f& i) { single(t, i, VecOp::FMax); }
void VMIN_f(Translator& t, const fields::VMIN_f& i) { single(t, i, VecOp::FMin); }
void VPMAX_f(Translator& t, const fields::VPMAX_f& i) { single_pairwise(t, i, VecOp::FPMax); }
void VPMIN_f(Translator& t, const fields::VPMIN_f& i) { single_pairwise(t, i, VecOp::FPMin); }
void VRECPS(Translator& t, const fields::VRECPS& i) { single(t, i, VecOp::FRecps); }
void VRSQRTS(Translator& t, const fields::VRSQRTS& i) { single(t, i, VecOp::FRsqrts); }

}  // namespace armvisor::frontend::simd
