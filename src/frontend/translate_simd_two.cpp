// Advanced SIMD: two registers, miscellaneous; VEXT, VTBL, VTBX, VDUP (ARM DDI 0406C A7.4.5, A7.4).
#include <bit>

#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

void two(Translator& t, const auto& i, bool defined, VecOp op) {
  const bool q = i('Q') != 0;
  if (!open(t, defined && (!q || even(vd(i), vm(i))))) return;
  set(t, vd(i), q, vec(t, op, 3 + i('z'), q, get(t, vm(i), q)));
}

/// Integer elements of up to 32 bits, or single precision where field f is set.
bool integer_or_single(const auto& i) { return i('f') ? i('z') == 2 : i('z') != 3; }

/// Comparison with zero: op(m, 0), or op(0, m) with `swap`.
void compare_zero(Translator& t, const auto& i, VecOp integer, VecOp fp, bool swap = false) {
  const bool q = i('Q') != 0;
  if (!open(t, integer_or_single(i) && (!q || even(vd(i), vm(i))))) return;
  const Value m = get(t, vm(i), q), zero = constant(t, 0);
  const VecOp op = i('f') ? fp : integer;
  set(t, vd(i), q, swap ? vec(t, op, 3 + i('z'), q, zero, m) : vec(t, op, 3 + i('z'), q, m, zero));
}

}  // namespace

// V<op><c>.<size> <Qd>, <Qm>
void VREV64(Translator& t, const fields::VREV64& i) { two(t, i, i('z') < 3, VecOp::Rev64); }
void VREV32(Translator& t, const fields::VREV32& i) { two(t, i, i('z') < 2, VecOp::Rev32); }
void VREV16(Translator& t, const fields::VREV16& i) { two(t, i, i('z') < 1, VecOp::Rev16); }
void VPADDL(Translator& t, const fields::VPADDL& i) { two(t, i, i('z') != 3, i('u') ? VecOp::PAddLU : VecOp::PAddLS); }
void VCLS(Translator& t, const fields::VCLS& i) { two(t, i, i('z') != 3, VecOp::Cls); }
void VCLZ(Translator& t, const fields::VCLZ& i) { two(t, i, i('z') != 3, VecOp::Clz); }
void VCNT(Translator& t, const fields::VCNT& i) { two(t, i, i('z') == 0, VecOp::Cnt); }
void VMVN_reg(Translator& t, const fields::VMVN_reg& i) { two(t, i, i('z') == 0, VecOp::Not); }
void VQABS(Translator& t, const fields::VQABS& i) { two(t, i, i('z') != 3, VecOp::QAbs); }
void VQNEG(Translator& t, const fields::VQNEG& i) { two(t, i, i('z') != 3, VecOp::QNeg); }
void VABS(Translator& t, const fields::VABS& i) { two(t, i, integer_or_single(i), i('f') ? VecOp::FAbs : VecOp::Abs); }
void VNEG(Translator& t, const fields::VNEG& i) { two(t, i, integer_or_single(i), i('f') ? VecOp::FNeg : VecOp::Neg); }
void VRECPE(Translator& t, const fields::VRECPE& i) { two(t, i, i('z') == 2, i('f') ? VecOp::FRecpe : VecOp::URecpe); }
void VRSQRTE(Translator& t, const fields::VRSQRTE& i) {
  two(t, i, i('z') == 2, i('f') ? VecOp::FRsqrte : VecOp::URsqrte);
}
void VCVT_from_int(Translator& t, const fields::VCVT_from_int& i) {
  two(t, i, i('z') == 2, i('u') ? VecOp::UToF : VecOp::SToF);
}
void VCVT_to_int(Translator& t, const fields::VCVT_to_int& i) {
  two(t, i, i('z') == 2, i('u') ? VecOp::FToU : VecOp::FToS);
}

void VPADAL(Translator& t, const fields::VPADAL& i) {
  const bool q = i('Q') != 0;
  if (!open(t, i('z') != 3 && (!q || even(vd(i), vm(i))))) return;
  const Value pairs = vec(t, i('u') ? VecOp::PAddLU : VecOp::PAddLS, 3 + i('z'), q, get(t, vm(i), q));
  set(t, vd(i), q, vec(t, VecOp::Add, 4 + i('z'), q, get(t, vd(i), q), pairs));
}

// V<op><c>.<dt> <Qd>, <Qm>, #0
void VCGT_zero(Translator& t, const fields::VCGT_zero& i) { compare_zero(t, i, VecOp::CmpGtS, VecOp::FCmpGt); }
void VCGE_zero(Translator& t, const fields::VCGE_zero& i) { compare_zero(t, i, VecOp::CmpGeS, VecOp::FCmpGe); }
void VCEQ_zero(Translator& t, const fields::VCEQ_zero& i) { compare_zero(t, i, VecOp::CmpEq, VecOp::FCmpEq); }
void VCLE_zero(Translator& t, const fields::VCLE_zero& i) { compare_zero(t, i, VecOp::CmpGeS, VecOp::FCmpGe, true); }
void VCLT_zero(Translator& t, const fields::VCLT_zero& i) { compare_zero(t, i, VecOp::CmpGtS, VecOp::FCmpGt, true); }

namespace {

/// Both registers are results: d = first(d, m), m = second(d, m). With d = m the result is UNKNOWN
/// by the manual.
void permute(Translator& t, const auto& i, bool defined, VecOp first, VecOp second) {
  const bool q = i('Q') != 0;
  if (!open(t, defined && (!q || even(vd(i), vm(i))))) return;
  const Value d = get(t, vd(i), q), m = get(t, vm(i), q);
  const Value r1 = vec(t, first, 3 + i('z'), q, d, m), r2 = vec(t, second, 3 + i('z'), q, d, m);
  set(t, vm(i), q, r2);
  set(t, vd(i), q, r1);
}

bool zip_size(const auto& i) { return i('z') < (i('Q') ? 3u : 2u); }

}  // namespace

/// VSWP<c> <Qd>, <Qm>
void VSWP(Translator& t, const fields::VSWP& i) {
  const bool q = i('Q') != 0;
  if (!open(t, i('z') == 0 && (!q || even(vd(i), vm(i))))) return;
  const Value d = get(t, vd(i), q), m = get(t, vm(i), q);
  set(t, vd(i), q, m);
  set(t, vm(i), q, d);
}

void VTRN(Translator& t, const fields::VTRN& i) { permute(t, i, i('z') != 3, VecOp::Trn1, VecOp::Trn2); }
void VUZP(Translator& t, const fields::VUZP& i) { permute(t, i, zip_size(i), VecOp::Uzp1, VecOp::Uzp2); }
void VZIP(Translator& t, const fields::VZIP& i) { permute(t, i, zip_size(i), VecOp::Zip1, VecOp::Zip2); }

namespace {

/// D[d] = op(Q[m]), from elements of 16 << z bits.
void narrow(Translator& t, const auto& i, bool defined, VecOp op) {
  if (!open(t, defined && even(vm(i)))) return;
  set(t, vd(i), false, vec(t, op, 4 + i('z'), true, get(t, vm(i), true)));
}

/// Q[d] = op(D[m]), from elements of 8 << z bits.
void widen(Translator& t, const auto& i, bool defined, VecOp op, u32 imm) {
  if (!open(t, defined && even(vd(i)))) return;
  set(t, vd(i), true, vec(t, op, 3 + i('z'), false, get(t, vm(i), false), {}, {}, imm));
}

}  // namespace

// V<op>N<c>.<dt> <Dd>, <Qm>
void VMOVN(Translator& t, const fields::VMOVN& i) { narrow(t, i, i('z') != 3, VecOp::MovN); }
void VQMOVUN(Translator& t, const fields::VQMOVUN& i) { narrow(t, i, i('z') != 3, VecOp::QMovUN); }
void VQMOVN(Translator& t, const fields::VQMOVN& i) {
  narrow(t, i, i('z') != 3, i('u') ? VecOp::QMovNU : VecOp::QMovNS);
}
/// VCVT<c>.F16.F32 <Dd>, <Qm>; the size field is that of the half-precision elements
void VCVT_f16_f32(Translator& t, const fields::VCVT_f16_f32& i) { narrow(t, i, i('z') == 1, VecOp::FNarrow16); }
/// VCVT<c>.F32.F16 <Qd>, <Dm>
void VCVT_f32_f16(Translator& t, const fields::VCVT_f32_f16& i) { widen(t, i, i('z') == 1, VecOp::FWiden16, 0); }
/// VSHLL<c>.I<size> <Qd>, <Dm>, #<size>
void VSHLL_max(Translator& t, const fields::VSHLL_max& i) { widen(t, i, i('z') != 3, VecOp::ShlLU, 8u << i('z')); }

namespace {

void extract(Translator& t, const auto& i, bool q, u32 position) {
  if (!open(t, !q || even(vd(i), vn(i), vm(i)))) return;
  set(t, vd(i), q, vec(t, VecOp::Ext, 3, q, get(t, vn(i), q), get(t, vm(i), q), {}, position));
}

void table_lookup(Translator& t, const auto& i, bool extension) {
  const u32 length = i('l') + 1;
  if (!open(t, vn(i) + length <= 32)) return;
  const auto pack = [&](u32 low, bool high) {
    const Operand second = high ? Operand(t.ir.emit_imm(Op::GetD, low + 1)) : Operand::imm(0);
    return t.ir.emit(Op::VPack, t.ir.emit_imm(Op::GetD, low), second);
  };
  const Value a = pack(vn(i), length >= 2);
  const Value b = length >= 3 ? pack(vn(i) + 2, length == 4) : Value{};
  const Value c = t.ir.emit(Op::VPack, t.ir.emit_imm(Op::GetD, vm(i)), t.ir.emit_imm(Op::GetD, vd(i)));
  set(t, vd(i), false, vec(t, VecOp::Tbl, 3, false, a, b, c, length | u32{extension} << 8));
}

}  // namespace

/// VEXT<c>.8 {<Qd>,} <Qn>, <Qm>, #<imm>
void VEXT_d(Translator& t, const fields::VEXT_d& i) { extract(t, i, false, i('i')); }
void VEXT_q(Translator& t, const fields::VEXT_q& i) { extract(t, i, true, i('i')); }
void VEXT_q8(Translator& t, const fields::VEXT_q8& i) { extract(t, i, true, i('i') + 8); }
/// V<op><c>.8 <Dd>, <list>, <Dm>
void VTBL(Translator& t, const fields::VTBL& i) { table_lookup(t, i, false); }
void VTBX(Translator& t, const fields::VTBX& i) { table_lookup(t, i, true); }

/// VDUP<c>.<size> <Qd>, <Dm[x]>
void VDUP_scalar(Translator& t, const fields::VDUP_scalar& i) {
  const bool q = i('Q') != 0;
  const u32 imm4 = i('i');
  if (!open(t, (imm4 & 7) != 0 && (!q || even(vd(i))))) return;
  const u32 size_log2 = static_cast<u32>(std::countr_zero(imm4));
  const u32 esize = 8u << size_log2, lane = imm4 >> (size_log2 + 1);
  const Value element = t.ir.emit_imm(Op::VGetLane, esize | lane << 8, get(t, vm(i), false));
  set(t, vd(i), q, t.ir.emit_imm(Op::VDup, esize, element));
}

}  // namespace armvisor::frontend::simd
