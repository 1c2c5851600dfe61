// Advanced SIMD on AVX: integers. What is not here, and every operation on a host without AVX, is a call of the
// reference function. High halves of results with q clear are whatever they are unless something looks at them.
#include "base/assert.h"
#include "engine/jit/x64/emitter.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {
namespace {

using IrType = ir::Type;
using ir::VecOp;
using ir::VectorImm;
using G = Xbyak::CodeGenerator;
using Xbyak::Operand;
using Xbyak::Xmm;
using Three = void (*)(G&, const Xmm&, const Xmm&, const Operand&);
using Two = void (*)(G&, const Xmm&, const Operand&);

#define THREE(name) [](G& g, const Xmm& d, const Xmm& a, const Operand& b) { g.name(d, a, b); }
#define TWO(name) [](G& g, const Xmm& d, const Operand& a) { g.name(d, a); }
constexpr Three k_add[] = {THREE(vpaddb), THREE(vpaddw), THREE(vpaddd), THREE(vpaddq)};
constexpr Three k_sub[] = {THREE(vpsubb), THREE(vpsubw), THREE(vpsubd), THREE(vpsubq)};
constexpr Three k_equal[] = {THREE(vpcmpeqb), THREE(vpcmpeqw), THREE(vpcmpeqd), THREE(vpcmpeqq)};
constexpr Three k_greater[] = {THREE(vpcmpgtb), THREE(vpcmpgtw), THREE(vpcmpgtd), THREE(vpcmpgtq)};
constexpr Three k_max[2][3] = {{THREE(vpmaxub), THREE(vpmaxuw), THREE(vpmaxud)},
                               {THREE(vpmaxsb), THREE(vpmaxsw), THREE(vpmaxsd)}};
constexpr Three k_min[2][3] = {{THREE(vpminub), THREE(vpminuw), THREE(vpminud)},
                               {THREE(vpminsb), THREE(vpminsw), THREE(vpminsd)}};
constexpr Two k_abs[] = {TWO(vpabsb), TWO(vpabsw), TWO(vpabsd)};
constexpr Two k_extend[2][3] = {{TWO(vpmovzxbw), TWO(vpmovzxwd), TWO(vpmovzxdq)},
                                {TWO(vpmovsxbw), TWO(vpmovsxwd), TWO(vpmovsxdq)}};
constexpr Three k_zip_low[] = {THREE(vpunpcklbw), THREE(vpunpcklwd), THREE(vpunpckldq)};
constexpr Three k_zip_high[] = {THREE(vpunpckhbw), THREE(vpunpckhwd), THREE(vpunpckhdq)};
constexpr Three k_saturating[4][2] = {{THREE(vpaddsb), THREE(vpaddsw)},
                                      {THREE(vpaddusb), THREE(vpaddusw)},
                                      {THREE(vpsubsb), THREE(vpsubsw)},
                                      {THREE(vpsubusb), THREE(vpsubusw)}};
#undef THREE
#undef TWO

/// v, of `bits` bits, in every lane of a doubleword.
constexpr u64 repeat(u64 v, unsigned bits) {
  for (; bits < 64; bits *= 2) v |= v << bits;
  return v;
}

/// Bytes from, from + step, ... within groups of `size` bytes: a shuffle for half of the elements of a vector.
struct Picks {
  u64 low = 0, high = 0;
};
/// Elements first, first + 2, ... of a vector of `size`-byte elements, packed in the low half; the high half is 0.
constexpr Picks every_second(unsigned size, unsigned first) {
  Picks p{0, 0x8080808080808080};
  for (unsigned k = 0; k < 8; ++k) p.low |= u64{(2 * (k / size) + first) * size + k % size} << (8 * k);
  return p;
}
constexpr Picks reversal(unsigned container, unsigned size) {
  Picks p;
  for (unsigned k = 0; k < 16; ++k) {
    const u64 from = k ^ (container - size);
    (k < 8 ? p.low : p.high) |= from << (8 * (k % 8));
  }
  return p;
}

bool same_size_checked(VecOp op) {
  return op == VecOp::QAddS || op == VecOp::QAddU || op == VecOp::QSubS || op == VecOp::QSubU || op == VecOp::QDMulH ||
         op == VecOp::QRDMulH || op == VecOp::QAbs || op == VecOp::QNeg || op == VecOp::QShlImmS ||
         op == VecOp::QShlImmU;
}

}  // namespace

/// Operand v in a register of its own, with zeros in the high half where that counts and is not part of the operand.
Emitter::Xmm Emitter::vector_operand(Value v, bool clear_high) {
  if (v.is_none()) return xmm2;
  const u32 t = v.temp_number();
  int x = xmm_.of_temp(t);
  if (x < 0) {
    const Xmm loaded = take_xmm();
    move_from_frame(v, loaded, IrType::V128);
    xmm_.bind(static_cast<u32>(loaded.getIdx()), t);
    x = loaded.getIdx();
  }
  hold_xmm(x);
  if (!clear_high) return Xmm(x);
  const Xmm cleared = take_xmm();
  vmovq(cleared, Xmm(x));
  xmm_[static_cast<u32>(cleared.getIdx())].normal = xmm_[static_cast<u32>(x)].normal;
  return cleared;
}

void Emitter::emit_vector(const Inst& i) {
  begin_xmm();
  const VecOp op = VectorImm::op(i.imm);
  VectorCode v;
  v.size = VectorImm::esize_log2(i.imm);
  v.q = VectorImm::q(i.imm);
  v.imm = VectorImm::imm(i.imm);
  const bool clear = !v.q && (same_size_checked(op) || (ir::info(op).fp && op != VecOp::FWiden16));
  v.a = vector_operand(i.a, clear);
  v.b = i.b == i.a ? v.a : vector_operand(i.b, clear);
  v.indices = fixed_indices(*block_, plan_.xmm, i);
  if (!v.indices) v.c = i.c == i.a ? v.a : i.c == i.b ? v.b : vector_operand(i.c, clear);
  v.d = result_xmm(i.dst);
  if (op >= VecOp::FAdd) {
    const Label slow = label(), done = label();
    emit_vector_fp(op, v, slow);
    finish_vector(i, v);
    L(done);
    note_normal(op, v);
    if (op != VecOp::FNeg && op != VecOp::FAbs && op != VecOp::SToF) push_slow(i, slow, done);
    return;
  }
  if (op <= VecOp::Bif)
    vector_bits(op, v);
  else if (op <= VecOp::Mls)
    vector_arithmetic(op, v);
  else if (op <= VecOp::HSubU)
    vector_halving(op, v);
  else if (op <= VecOp::QSubU)
    vector_saturating(op, v);
  else if (op <= VecOp::AbdU)
    vector_compare(op, v);
  else if (op <= VecOp::PMinU)
    vector_pairs(op, v);
  else if (op <= VecOp::PAddLU)
    vector_one(op, v);
  else if (op <= VecOp::QShlImmSU)
    vector_shift(op, v);
  else if (op <= VecOp::RSubHN)
    vector_narrow(op, v);
  else if (op <= VecOp::QDMulL)
    vector_widen(op, v);
  else
    vector_permute(op, v);
  finish_vector(i, v);
}

void Emitter::finish_vector(const Inst& i, const VectorCode& v) {
  const VecOp op = VectorImm::op(i.imm);
  const bool widening = (op >= VecOp::MovLS && op <= VecOp::QDMulL) || op == VecOp::FWiden16;
  const bool half = !widening && (!v.q || (op >= VecOp::MovN && op <= VecOp::RSubHN) || op == VecOp::FNarrow16);
  if (half && (!is_xmm(i.dst) || xmm_temp(i.dst.temp_number()).wide || xmm_temp(i.dst.temp_number()).stored))
    vmovq(v.d, v.d);
  finish_xmm(i.dst, v.d, IrType::V128);
}

/// FPSCR.QC unless every byte of x is ones.
void Emitter::note_saturation_unless(const Xmm& x) {
  const Label saturated = label(), back = label();
  vpmovmskb(eax, x);
  cmp(eax, 0xffff);
  jne(saturated, T_NEAR);
  L(back);
  add_cold([this, saturated, back] {
    L(saturated);
    or_(dword[rbp + AV_STATE(fpscr_ctl)], arm::k_fpscr_qc);
    jmp(back, T_NEAR);
  });
}

void Emitter::vector_not(const Xmm& d, const Xmm& a) {
  vpcmpeqd(xmm2, xmm2, xmm2);
  vpxor(d, a, xmm2);
}

void Emitter::vector_bits(VecOp op, const VectorCode& v) {
  const auto select = [&](const Xmm& mask, const Xmm& yes, const Xmm& no) {
    vpand(xmm0, yes, mask);
    vpandn(xmm1, mask, no);
    vpor(v.d, xmm0, xmm1);
  };
  switch (op) {
    case VecOp::And: vpand(v.d, v.a, v.b); break;
    case VecOp::Or: vpor(v.d, v.a, v.b); break;
    case VecOp::Xor: vpxor(v.d, v.a, v.b); break;
    case VecOp::AndNot: vpandn(v.d, v.b, v.a); break;
    case VecOp::OrNot:
      vector_not(xmm0, v.b);
      vpor(v.d, v.a, xmm0);
      break;
    case VecOp::Not: vector_not(v.d, v.a); break;
    case VecOp::Bsl: select(v.c, v.a, v.b); break;
    case VecOp::Bit: select(v.b, v.a, v.c); break;
    default: select(v.b, v.c, v.a);  // Bif
  }
}

/// d = a * b, elements of up to 32 bits; clobbers xmm0 and xmm1.
void Emitter::vector_multiply(const Xmm& d, const VectorCode& v) {
  if (v.size == 5) return vpmulld(d, v.a, v.b);
  if (v.size == 4) return vpmullw(d, v.a, v.b);
  vpsrlw(xmm0, v.a, 8);
  vpsrlw(xmm1, v.b, 8);
  vpmullw(xmm0, xmm0, xmm1);
  vpsllw(xmm0, xmm0, 8);
  vpmullw(xmm1, v.a, v.b);
  vpand(xmm1, xmm1, constant(repeat(0xff, 16), repeat(0xff, 16)));
  vpor(d, xmm0, xmm1);
}

void Emitter::vector_arithmetic(VecOp op, const VectorCode& v) {
  switch (op) {
    case VecOp::Add: k_add[v.size - 3](*this, v.d, v.a, v.b); break;
    case VecOp::Sub: k_sub[v.size - 3](*this, v.d, v.a, v.b); break;
    case VecOp::Mul: vector_multiply(v.d, v); break;
    default: vector_multiply(xmm0, v); (op == VecOp::Mla ? k_add : k_sub)[v.size - 3](*this, v.d, v.c, xmm0);
  }
}

/// d = a >> n, n from 0 to the element size; clobbers xmm2 (bytes and signed doublewords).
void Emitter::vector_shift_right(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed) {
  const u32 bits = 1u << size;
  if (n == 0) return vmovdqa(d, a);
  if (n >= bits && !is_signed) return vpxor(d, d, d);
  if (n >= bits) n = bits - 1;
  const u8 count = static_cast<u8>(n);
  if (size == 4) return is_signed ? vpsraw(d, a, count) : vpsrlw(d, a, count);
  if (size == 5) return is_signed ? vpsrad(d, a, count) : vpsrld(d, a, count);
  if (size == 6) {
    vpsrlq(d, a, count);
  } else {
    vpsrlw(d, a, count);
    const u64 mask = repeat(0xffu >> n, 8);
    vpand(d, d, constant(mask, mask));
  }
  if (!is_signed) return;
  const u64 sign = repeat(u64{1} << (bits - 1 - n), bits);
  vmovdqa(xmm2, constant(sign, sign));
  vpxor(d, d, xmm2);
  k_sub[size - 3](*this, d, d, xmm2);
}

void Emitter::vector_shift_left(const Xmm& d, const Xmm& a, unsigned size, u32 n) {
  const u8 count = static_cast<u8>(n);
  if (n >= 1u << size) return vpxor(d, d, d);
  switch (size) {
    case 3: {
      vpsllw(d, a, count);
      const u64 mask = repeat((0xffu << n) & 0xff, 8);
      return vpand(d, d, constant(mask, mask));
    }
    case 4: return vpsllw(d, a, count);
    case 5: return vpslld(d, a, count);
    default: return vpsllq(d, a, count);
  }
}

/// d = a >> n rounded; d is not a. Clobbers xmm1 and xmm2.
void Emitter::vector_shift_right_rounded(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed) {
  const u64 one = repeat(1, 1u << size);
  vector_shift_right(xmm1, a, size, n - 1, is_signed);
  vpand(xmm1, xmm1, constant(one, one));
  vector_shift_right(d, a, size, n, is_signed);
  k_add[size - 3](*this, d, d, xmm1);
}

void Emitter::vector_halving(VecOp op, const VectorCode& v) {
  const bool is_signed = op == VecOp::HAddS || op == VecOp::RHAddS || op == VecOp::HSubS;
  const u64 sign = repeat(0x80, 8);
  Xmm a = v.a, b = v.b;
  const bool biased = is_signed && v.size == 3;  // signed bytes as unsigned ones that are 128 more
  if (biased) {
    vmovdqa(xmm2, constant(sign, sign));
    vpxor(xmm0, a, xmm2);
    vpxor(xmm1, b, xmm2);
    a = take_xmm(), b = take_xmm();
    vmovdqa(a, xmm0);
    vmovdqa(b, xmm1);
  }
  const bool arithmetic = is_signed && !biased;
  vpxor(xmm0, a, b);
  if (op == VecOp::HAddS || op == VecOp::HAddU) {  // (a & b) + ((a ^ b) >> 1)
    vpand(xmm1, a, b);
    vector_shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_add[v.size - 3](*this, v.d, xmm1, xmm0);
  } else if (op == VecOp::RHAddS || op == VecOp::RHAddU) {  // (a | b) - ((a ^ b) >> 1)
    vpor(xmm1, a, b);
    vector_shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_sub[v.size - 3](*this, v.d, xmm1, xmm0);
  } else {  // ((a ^ b) >> 1) - (~a & b)
    vpandn(xmm1, a, b);
    vector_shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_sub[v.size - 3](*this, v.d, xmm0, xmm1);
  }
  if (biased && op != VecOp::HSubS) vpxor(v.d, v.d, constant(sign, sign));
}

void Emitter::vector_saturating(VecOp op, const VectorCode& v) {
  const bool add = op == VecOp::QAddS || op == VecOp::QAddU;
  const auto& wrapping = add ? k_add : k_sub;
  if (v.size <= 4) {
    k_saturating[static_cast<u32>(op) - static_cast<u32>(VecOp::QAddS)][v.size - 3](*this, v.d, v.a, v.b);
    wrapping[v.size - 3](*this, xmm0, v.a, v.b);
    vpcmpeqb(xmm0, xmm0, v.d);
    return note_saturation_unless(xmm0);
  }
  // Signed words: overflow when the result's sign differs from a's and (for a sum) from b's, or (for a difference)
  // a's and b's differ.
  wrapping[2](*this, xmm0, v.a, v.b);
  vpxor(xmm1, v.a, xmm0);
  vpxor(xmm2, add ? v.b : v.a, add ? xmm0 : v.b);
  vpand(xmm1, xmm1, xmm2);
  vpsrad(xmm1, xmm1, 31);
  vpsrad(xmm2, v.a, 31);
  vpxor(xmm2, xmm2, constant32(0x7fffffff));
  vpblendvb(v.d, xmm0, xmm2, xmm1);
  vector_not(xmm1, xmm1);
  note_saturation_unless(xmm1);
}

void Emitter::vector_compare(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  const bool is_signed =
      op == VecOp::CmpGtS || op == VecOp::CmpGeS || op == VecOp::MaxS || op == VecOp::MinS || op == VecOp::AbdS;
  switch (op) {
    case VecOp::CmpEq: k_equal[s](*this, v.d, v.a, v.b); break;
    case VecOp::CmpGtS: k_greater[s](*this, v.d, v.a, v.b); break;
    case VecOp::CmpGtU:
      k_min[0][s](*this, xmm0, v.a, v.b);
      k_equal[s](*this, xmm0, xmm0, v.a);
      vector_not(v.d, xmm0);
      break;
    case VecOp::CmpGeS:
    case VecOp::CmpGeU:
      k_max[is_signed][s](*this, xmm0, v.a, v.b);
      k_equal[s](*this, v.d, xmm0, v.a);
      break;
    case VecOp::Tst:
      vpand(xmm0, v.a, v.b);
      vpxor(xmm1, xmm1, xmm1);
      k_equal[s](*this, xmm0, xmm0, xmm1);
      vector_not(v.d, xmm0);
      break;
    case VecOp::MaxS:
    case VecOp::MaxU: k_max[is_signed][s](*this, v.d, v.a, v.b); break;
    case VecOp::MinS:
    case VecOp::MinU: k_min[is_signed][s](*this, v.d, v.a, v.b); break;
    default: vector_difference(v.d, v, is_signed);
  }
}

/// d = |a - b|
void Emitter::vector_difference(const Xmm& d, const VectorCode& v, bool is_signed) {
  k_max[is_signed][v.size - 3](*this, xmm0, v.a, v.b);
  k_min[is_signed][v.size - 3](*this, xmm1, v.a, v.b);
  k_sub[v.size - 3](*this, d, xmm0, xmm1);
}

/// D registers: neighbours of a in the low half of the result's 64 bits, of b in the high half.
void Emitter::vector_pairs(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  const Picks even = every_second(1u << s, 0), odd = every_second(1u << s, 1);
  vpunpcklqdq(xmm0, v.a, v.b);
  vpshufb(xmm1, xmm0, constant(odd.low, odd.high));
  vpshufb(xmm0, xmm0, constant(even.low, even.high));
  switch (op) {
    case VecOp::PAdd: k_add[s](*this, v.d, xmm0, xmm1); break;
    case VecOp::PMaxS:
    case VecOp::PMaxU: k_max[op == VecOp::PMaxS][s](*this, v.d, xmm0, xmm1); break;
    default: k_min[op == VecOp::PMinS][s](*this, v.d, xmm0, xmm1);
  }
}

/// Doubling multiplies that give the high half, and what has one operand.
void Emitter::vector_one(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  const auto shuffle = [&](Picks p) { vpshufb(v.d, v.a, constant(p.low, p.high)); };
  const u64 lowest = repeat(u64{1} << ((1u << v.size) - 1), 1u << v.size);
  // The one overflow of these gives the lowest number, which becomes the highest.
  const auto saturate_lowest = [&](const Xmm& compared) {
    vmovdqa(xmm1, constant(lowest, lowest));
    k_equal[s](*this, xmm1, xmm1, compared);
    vpxor(v.d, v.d, xmm1);
    vector_not(xmm1, xmm1);
    note_saturation_unless(xmm1);
  };
  switch (op) {
    case VecOp::QDMulH:
    case VecOp::QRDMulH:
      if (v.size == 5) {
        // Products of the even elements, then the odd ones: twice that, rounded, and its high half.
        vpsrlq(xmm0, v.a, 32);
        vpsrlq(xmm1, v.b, 32);
        vpmuldq(xmm0, xmm0, xmm1);
        vpmuldq(xmm1, v.a, v.b);
        vpaddq(xmm0, xmm0, xmm0);
        vpaddq(xmm1, xmm1, xmm1);
        if (op == VecOp::QRDMulH) {
          vmovdqa(xmm2, constant(0x80000000, 0x80000000));
          vpaddq(xmm0, xmm0, xmm2);
          vpaddq(xmm1, xmm1, xmm2);
        }
        vpsrlq(xmm1, xmm1, 32);
        vpblendw(v.d, xmm1, xmm0, 0b11001100);
        return saturate_lowest(v.d);
      }
      if (op == VecOp::QRDMulH) {
        vpmulhrsw(v.d, v.a, v.b);
        return saturate_lowest(v.d);
      }
      vpmulhw(xmm0, v.a, v.b);
      vpmullw(xmm1, v.a, v.b);
      vpsllw(xmm0, xmm0, 1);
      vpsrlw(xmm1, xmm1, 15);
      vpor(v.d, xmm0, xmm1);
      return saturate_lowest(v.d);
    case VecOp::Abs: k_abs[s](*this, v.d, v.a); return;
    case VecOp::QAbs: k_abs[s](*this, v.d, v.a); return saturate_lowest(v.a);
    case VecOp::Neg:
    case VecOp::QNeg:
      vpxor(xmm0, xmm0, xmm0);
      k_sub[s](*this, v.d, xmm0, v.a);
      if (op == VecOp::QNeg) saturate_lowest(v.a);
      return;
    case VecOp::Cnt: {
      vmovdqa(xmm2, constant(0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f));
      vpand(xmm0, v.a, xmm2);
      vpsrlw(xmm1, v.a, 4);
      vpand(xmm1, xmm1, xmm2);
      vmovdqa(xmm2, constant(0x0302020102010100, 0x0403030203020201));
      vpshufb(xmm0, xmm2, xmm0);
      vpshufb(xmm1, xmm2, xmm1);
      return vpaddb(v.d, xmm0, xmm1);
    }
    case VecOp::Rev16: return shuffle(reversal(2, 1u << s));
    case VecOp::Rev32: return shuffle(reversal(4, 1u << s));
    case VecOp::Rev64: return shuffle(reversal(8, 1u << s));
    default: return vector_pairs_long(op == VecOp::PAddLS, v);
  }
}

void Emitter::vector_pairs_long(bool is_signed, const VectorCode& v) {
  const u64 one = repeat(1, 1u << v.size);
  if (v.size == 3) {
    vmovdqa(xmm0, constant(one, one));
    return is_signed ? vpmaddubsw(v.d, xmm0, v.a) : vpmaddubsw(v.d, v.a, xmm0);
  }
  if (v.size == 4 && is_signed) return vpmaddwd(v.d, v.a, constant(one, one));
  if (v.size == 4) {
    vpsrld(xmm0, v.a, 16);
    vpblendw(xmm1, v.a, xmm0, 0);
    vpand(xmm1, xmm1, constant32(0xffff));
    return vpaddd(v.d, xmm0, xmm1);
  }
  vpsrlq(xmm0, v.a, 32);
  if (is_signed) {
    vmovdqa(xmm2, constant32(1));
    vpmuldq(xmm0, xmm0, xmm2);
    vpmuldq(xmm1, v.a, xmm2);
  } else {
    vpand(xmm1, v.a, constant(0xffffffff, 0xffffffff));
  }
  vpaddq(v.d, xmm0, xmm1);
}

void Emitter::vector_shift(VecOp op, const VectorCode& v) {
  const u32 bits = 1u << v.size, n = v.imm;
  const u64 ones = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
  switch (op) {
    case VecOp::ShlRegS:
    case VecOp::ShlRegU:
    case VecOp::RShlRegS:
    case VecOp::RShlRegU: {
      const bool is_signed = op == VecOp::ShlRegS || op == VecOp::RShlRegS;
      return vector_shift_by_register(is_signed, op == VecOp::RShlRegS || op == VecOp::RShlRegU, v);
    }
    case VecOp::ShlImm: return vector_shift_left(v.d, v.a, v.size, n);
    case VecOp::ShrImmS: return vector_shift_right(v.d, v.a, v.size, n, true);
    case VecOp::ShrImmU: return vector_shift_right(v.d, v.a, v.size, n, false);
    case VecOp::RShrImmS: return vector_shift_right_rounded(v.d, v.a, v.size, n, true);
    case VecOp::RShrImmU: return vector_shift_right_rounded(v.d, v.a, v.size, n, false);
    case VecOp::Sri:
    case VecOp::Sli: {
      const bool right = op == VecOp::Sri;
      if (right && n >= bits) return vmovdqa(v.d, v.c);
      const u64 kept = repeat(right ? ~(ones >> n) & ones : ~(ones << n) & ones, bits);
      right ? vector_shift_right(xmm0, v.a, v.size, n, false) : vector_shift_left(xmm0, v.a, v.size, n);
      vpand(xmm1, v.c, constant(kept, kept));
      return vpor(v.d, xmm0, xmm1);
    }
    default: break;
  }
  // QShlImmS, QShlImmU: what does not come back is saturated.
  const bool is_signed = op == VecOp::QShlImmS;
  const Xmm shifted = take_xmm();
  vector_shift_left(shifted, v.a, v.size, n);
  vector_shift_right(xmm1, shifted, v.size, n, is_signed);
  k_equal[v.size - 3](*this, xmm1, xmm1, v.a);
  if (is_signed) {
    const u64 highest = repeat(ones >> 1, bits);
    vpxor(xmm0, xmm0, xmm0);
    k_greater[v.size - 3](*this, xmm0, xmm0, v.a);
    vpxor(xmm0, xmm0, constant(highest, highest));
  } else {
    vpcmpeqd(xmm0, xmm0, xmm0);
  }
  vpblendvb(v.d, xmm0, shifted, xmm1);
  note_saturation_unless(xmm1);
}

/// d = words of a shifted by the signed bottom bytes of the words of n; `round`: to the right, rounded. n and d are not
/// xmm0-xmm2, a is not d. Clobbers n.
void Emitter::vector_shift_words(const Xmm& d, const Xmm& a, const Xmm& n, bool is_signed, bool round) {
  const auto right = [&](const Xmm& r, const Xmm& count) { is_signed ? vpsravd(r, a, count) : vpsrlvd(r, a, count); };
  vpslld(n, n, 24);
  vpsrad(n, n, 24);
  vpabsd(xmm1, n);
  vpsllvd(xmm2, a, xmm1);
  right(d, xmm1);
  if (round) {  // and the last bit that is lost
    vpcmpeqd(xmm0, xmm0, xmm0);
    vpaddd(xmm1, xmm1, xmm0);
    right(xmm1, xmm1);
    vpsrld(xmm0, xmm0, 31);
    vpand(xmm1, xmm1, xmm0);
    vpaddd(d, d, xmm1);
  }
  vblendvps(d, xmm2, d, n);
}

/// a shifted by the signed bottom byte of each element of b.
void Emitter::vector_shift_by_register(bool is_signed, bool round, const VectorCode& v) {
  if (v.size == 5) {
    const Xmm n = take_xmm();
    vmovdqa(n, v.b);
    return vector_shift_words(v.d, v.a, n, is_signed, round);
  }
  if (v.size == 4) {
    const Xmm n = take_xmm(), wide = take_xmm(), high = take_xmm();
    const auto half = [&](const Xmm& d, const Xmm& a, const Xmm& b) {
      is_signed ? vpmovsxwd(wide, a) : vpmovzxwd(wide, a);
      vpmovsxwd(n, b);
      vector_shift_words(d, wide, n, is_signed, round);
      vpand(d, d, constant32(0xffff));
    };
    half(v.d, v.a, v.b);
    if (!v.q) return vpackusdw(v.d, v.d, v.d);
    vpshufd(high, v.a, 0xee);
    vpshufd(xmm0, v.b, 0xee);
    half(high, high, xmm0);
    return vpackusdw(v.d, v.d, high);
  }
  vpsllq(xmm0, v.b, 56);
  vpxor(xmm1, xmm1, xmm1);
  vpsubq(xmm1, xmm1, xmm0);
  vpsrlq(xmm1, xmm1, 56);  // -n
  vpsrlq(xmm2, xmm0, 56);  // n, beyond 63 when it is negative
  vpsrlvq(xmm1, v.a, xmm1);
  vpsllvq(xmm2, v.a, xmm2);
  vblendvpd(v.d, xmm2, xmm1, xmm0);
}

void Emitter::vector_narrow(VecOp op, const VectorCode& v) {
  const u32 half = 1u << (v.size - 1);
  Xmm from = v.a;
  u32 position = 0;
  switch (op) {
    case VecOp::AddHN:
    case VecOp::RAddHN:
    case VecOp::SubHN:
    case VecOp::RSubHN: {
      const bool add = op == VecOp::AddHN || op == VecOp::RAddHN;
      (add ? k_add : k_sub)[v.size - 3](*this, xmm0, v.a, v.b);
      const u64 round = repeat(u64{1} << (half - 1), 2 * half);
      if (op == VecOp::RAddHN || op == VecOp::RSubHN) k_add[v.size - 3](*this, xmm0, xmm0, constant(round, round));
      from = xmm0;
      position = 1;
      break;
    }
    case VecOp::ShrN:
    case VecOp::QShrNU:
    case VecOp::QShrNS:
    case VecOp::QShrUN:
      vector_shift_right(xmm0, v.a, v.size, v.imm, op == VecOp::QShrNS || op == VecOp::QShrUN);
      from = xmm0;
      break;
    case VecOp::RShrN: {
      // What the sum carries out would be above the bits that stay.
      const u64 round = repeat(u64{1} << (v.imm - 1), 2 * half);
      k_add[v.size - 3](*this, xmm0, v.a, constant(round, round));
      vector_shift_right(xmm0, xmm0, v.size, v.imm, false);
      from = xmm0;
      break;
    }
    case VecOp::QRShrNU:
    case VecOp::QRShrNS:
    case VecOp::QRShrUN:
      vector_shift_right_rounded(xmm0, v.a, v.size, v.imm, op == VecOp::QRShrNS || op == VecOp::QRShrUN);
      from = xmm0;
      break;
    default: break;
  }
  switch (op) {
    case VecOp::QMovNS:
    case VecOp::QShrNS:
    case VecOp::QRShrNS: return vector_saturate_narrow(v, from, true, true);
    case VecOp::QMovUN:
    case VecOp::QShrUN:
    case VecOp::QRShrUN: return vector_saturate_narrow(v, from, true, false);
    case VecOp::QMovNU:
    case VecOp::QShrNU:
    case VecOp::QRShrNU: return vector_saturate_narrow(v, from, false, false);
    default: break;
  }
  const Picks p = every_second(half / 8, position);
  vpshufb(v.d, from, constant(p.low, p.high));
}

/// Elements of 16 or 32 bits, saturated to half of that.
void Emitter::vector_saturate_narrow(const VectorCode& v, const Xmm& from, bool from_signed, bool to_signed) {
  const bool words = v.size == 4;
  Xmm packed = from;
  if (!from_signed) {  // the host packs signed numbers
    words ? vpminuw(xmm1, from, constant(repeat(0xff, 16), repeat(0xff, 16))) : vpminud(xmm1, from, constant32(0xffff));
    packed = xmm1;
  }
  if (to_signed)
    words ? vpacksswb(v.d, packed, packed) : vpackssdw(v.d, packed, packed);
  else
    words ? vpackuswb(v.d, packed, packed) : vpackusdw(v.d, packed, packed);
  k_extend[to_signed][v.size - 4](*this, xmm1, v.d);
  vpcmpeqb(xmm1, xmm1, from);
  note_saturation_unless(xmm1);
}

void Emitter::vector_widen(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  const auto is = [op](VecOp s1, VecOp s2, VecOp s3 = VecOp::Count, VecOp s4 = VecOp::Count) {
    return op == s1 || op == s2 || op == s3 || op == s4;
  };
  const bool is_signed = is(VecOp::MovLS, VecOp::ShlLS, VecOp::AddLS, VecOp::SubLS) ||
                         is(VecOp::AddWS, VecOp::SubWS, VecOp::AbdLS, VecOp::MulLS) || op == VecOp::QDMulL;
  const Two extend = k_extend[is_signed][s];
  if (is(VecOp::MovLS, VecOp::MovLU)) return extend(*this, v.d, v.a);
  if (is(VecOp::ShlLS, VecOp::ShlLU)) {
    extend(*this, xmm0, v.a);
    return vector_shift_left(v.d, xmm0, v.size + 1, v.imm & ((2u << v.size) - 1));
  }
  if (is(VecOp::AbdLS, VecOp::AbdLU)) {
    vector_difference(xmm0, v, is_signed);
    return k_extend[0][s](*this, v.d, xmm0);
  }
  if (op == VecOp::MulLPoly) return vector_multiply_polynomials(v);
  if (is(VecOp::MulLS, VecOp::MulLU) || op == VecOp::QDMulL) {
    vector_multiply_long(v, is_signed);
    if (op != VecOp::QDMulL) return;
    k_add[s + 1](*this, v.d, v.d, v.d);
    const u64 lowest = repeat(u64{1} << ((2u << v.size) - 1), 2u << v.size);
    vmovdqa(xmm0, constant(lowest, lowest));
    k_equal[s + 1](*this, xmm0, xmm0, v.d);
    vpxor(v.d, v.d, xmm0);
    vector_not(xmm0, xmm0);
    return note_saturation_unless(xmm0);
  }
  const auto& table = is(VecOp::AddLS, VecOp::AddLU, VecOp::AddWS, VecOp::AddWU) ? k_add : k_sub;
  const bool wide_first = op >= VecOp::AddWS && op <= VecOp::SubWU;
  if (!wide_first) extend(*this, xmm0, v.a);
  extend(*this, xmm1, v.b);
  table[s + 1](*this, v.d, wide_first ? v.a : xmm0, xmm1);
}

void Emitter::vector_multiply_long(const VectorCode& v, bool is_signed) {
  if (v.size == 5) {
    vpshufd(xmm0, v.a, 0x50);
    vpshufd(xmm1, v.b, 0x50);
    return is_signed ? vpmuldq(v.d, xmm0, xmm1) : vpmuludq(v.d, xmm0, xmm1);
  }
  if (v.size == 4) {
    vpmullw(xmm0, v.a, v.b);
    is_signed ? vpmulhw(xmm1, v.a, v.b) : vpmulhuw(xmm1, v.a, v.b);
    return vpunpcklwd(v.d, xmm0, xmm1);
  }
  k_extend[is_signed][0](*this, xmm0, v.a);
  k_extend[is_signed][0](*this, xmm1, v.b);
  vpmullw(v.d, xmm0, xmm1);
}

/// d = the products of the bytes of a and b as polynomials over {0, 1}, by Horner's rule.
void Emitter::vector_multiply_polynomials(const VectorCode& v) {
  const Xmm sum = take_xmm();
  vpmovzxbw(xmm0, v.a);
  vpmovzxbw(xmm1, v.b);
  for (int bit = 7; bit >= 0; --bit) {
    const Xmm& term = bit == 7 ? sum : xmm2;
    vpsllw(term, xmm1, 15 - bit);
    vpsraw(term, term, 15);
    vpand(term, term, xmm0);
    if (bit == 7) continue;
    vpsllw(sum, sum, 1);
    vpxor(sum, sum, xmm2);
  }
  vmovdqa(v.d, sum);
}

void Emitter::vector_permute(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  switch (op) {
    case VecOp::Trn1:
    case VecOp::Trn2: {
      // The other operand's elements move to the places that they get.
      const bool first = op == VecOp::Trn1;
      const Xmm& moved = first ? v.b : v.a;
      const u8 bits = static_cast<u8>(1u << v.size);
      if (s == 2)
        first ? vpsllq(xmm0, moved, bits) : vpsrlq(xmm0, moved, bits);
      else if (s == 1)
        first ? vpslld(xmm0, moved, bits) : vpsrld(xmm0, moved, bits);
      else
        first ? vpsllw(xmm0, moved, bits) : vpsrlw(xmm0, moved, bits);
      const Xmm &even = first ? v.a : xmm0, &odd = first ? xmm0 : v.b;
      if (s == 2) return vblendps(v.d, even, odd, 0b1010);
      if (s == 1) return vpblendw(v.d, even, odd, 0b10101010);
      vmovdqa(xmm1, constant(repeat(0xff00, 16), repeat(0xff00, 16)));
      return vpblendvb(v.d, even, odd, xmm1);
    }
    case VecOp::Zip1: return k_zip_low[s](*this, v.d, v.a, v.b);
    case VecOp::Zip2:
      if (v.q) return k_zip_high[s](*this, v.d, v.a, v.b);
      k_zip_low[s](*this, xmm0, v.a, v.b);
      return vpsrldq(v.d, xmm0, 8);
    case VecOp::Uzp1:
    case VecOp::Uzp2: {
      const bool first = op == VecOp::Uzp1;
      if (s == 2 && v.q) return vshufps(v.d, v.a, v.b, first ? 0x88 : 0xdd);
      const Picks p = every_second(1u << s, first ? 0 : 1);
      if (!v.q) {
        vpunpcklqdq(xmm0, v.a, v.b);
        return vpshufb(v.d, xmm0, constant(p.low, p.high));
      }
      vmovdqa(xmm2, constant(p.low, p.high));
      vpshufb(xmm0, v.a, xmm2);
      vpshufb(xmm1, v.b, xmm2);
      return vpunpcklqdq(v.d, xmm0, xmm1);
    }
    case VecOp::Ext:
      if (v.q) return vpalignr(v.d, v.b, v.a, static_cast<u8>(v.imm));
      vpunpcklqdq(xmm0, v.a, v.b);
      return vpsrldq(v.d, xmm0, static_cast<u8>(v.imm));
    default: return vector_table(v);
  }
}

/// c.lo = indices, c.hi = what stays where they are too large (TBX). pshufb takes indices of 128 and more for 0.
void Emitter::vector_table(const VectorCode& v) {
  const u32 length = (v.imm & 0xff) * 8;
  if (v.indices) return vector_table_fixed(v, *v.indices);
  const auto bytes = [this](u64 b) { return constant(repeat(b, 8), repeat(b, 8)); };
  const auto look_up = [&](const Xmm& d, const Xmm& table, const Xmm& indices, u32 count) {
    vpaddusb(xmm1, indices, bytes(128 - count));
    if (count == 8) vpand(xmm1, xmm1, bytes(0xf7));  // the sum moved the index, too
    vpshufb(d, table, xmm1);
  };
  look_up(v.d, v.a, v.c, length < 16 ? length : 16);
  if (length > 16) {
    vpsubb(xmm0, v.c, bytes(16));
    look_up(xmm0, v.b, xmm0, length - 16);
    vpor(v.d, v.d, xmm0);
  }
  if (!(v.imm >> 8 & 1)) return;
  vpmaxub(xmm0, v.c, bytes(length));
  vpcmpeqb(xmm0, xmm0, v.c);
  vpsrldq(xmm1, v.c, 8);
  vpand(xmm1, xmm1, xmm0);
  vpor(v.d, v.d, xmm1);
}

/// Indices that are known: doublewords that the front end takes apart and puts together.
void Emitter::vector_table_fixed(const VectorCode& v, u64 indices) {
  u64 first = 0, second = 0;
  for (u32 k = 0; k < 64; k += 8) {
    const u64 index = indices >> k & 0xff;
    first |= (index < 16 ? index : 0x80) << k;
    second |= (index >= 16 && index < (v.imm & 0xff) * 8 ? index - 16 : 0x80) << k;
  }
  constexpr u64 k_zeros = 0x8080808080808080;
  vpshufb(v.d, v.a, constant(first, k_zeros));
  if (second == k_zeros) return;
  vpshufb(xmm0, v.b, constant(second, k_zeros));
  vpor(v.d, v.d, xmm0);
}

void Emitter::emit_lane(const Inst& i) {
  if (i.op == Op::VGetLane && plan_.xmm.steps[index_].spread) return;
  begin_xmm();
  const u32 esize = i.imm & 0xff;
  const u8 lane = static_cast<u8>(i.imm >> 8);
  if (i.op == Op::VGetLane) {
    const Xmm a = vector_operand(i.a, false);
    if (esize == 32)
      lane == 0 ? vmovd(eax, a) : vpextrd(eax, a, lane);
    else
      esize == 16 ? vpextrw(eax, a, lane) : vpextrb(eax, a, lane);
    return finish(i.dst, eax);
  }
  if (i.op == Op::VSetLane) {
    const Xmm a = vector_operand(i.a, false), d = result_xmm(i.dst);
    const Reg32 r = use(i, i.b, eax);
    if (esize == 32)
      vpinsrd(d, a, r, lane);
    else
      esize == 16 ? vpinsrw(d, a, r, lane) : vpinsrb(d, a, r, lane);
    return finish_xmm(i.dst, d, IrType::V128);
  }
  const bool spread = index_ > 0 && plan_.xmm.steps[index_ - 1].spread;
  Xmm from = xmm0;
  u32 source = 0;
  if (spread) {
    const Inst& get = block_->insts[index_ - 1];
    from = vector_operand(get.a, false);
    source = static_cast<u32>(get.imm >> 8);
  } else {
    vmovd(xmm0, use(i, i.a, eax));
  }
  const Xmm d = result_xmm(i.dst);
  if (esize == 32) {
    vpshufd(d, from, static_cast<u8>(source * 0x55));
  } else {
    const u64 picks = repeat(esize == 16 ? 2 * source | (2 * source + 1) << 8 : source, esize);
    vpshufb(d, from, constant(picks, picks));
  }
  finish_xmm(i.dst, d, IrType::V128);
}

}  // namespace armvisor::engine::jit
