#include "engine/jit/x64/vector_integers.h"


namespace armvisor::engine::jit {
namespace {

using ir::VecOp;
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

}  // namespace

void VectorIntegers::emit(VecOp op, const VectorCode& v) {
  if (op <= VecOp::Bif)
    bits(op, v);
  else if (op <= VecOp::Mls)
    arithmetic(op, v);
  else if (op <= VecOp::HSubU)
    halving(op, v);
  else if (op <= VecOp::QSubU)
    saturating(op, v);
  else if (op <= VecOp::AbdU)
    compare(op, v);
  else if (op <= VecOp::PMinU)
    pairs(op, v);
  else if (op <= VecOp::PAddLU)
    one(op, v);
  else if (op <= VecOp::QShlImmSU)
    shift(op, v);
  else if (op <= VecOp::RSubHN)
    narrow(op, v);
  else if (op <= VecOp::QDMulL)
    widen(op, v);
  else
    permute(op, v);
}

/// FPSCR.QC unless every byte of x is ones.
void VectorIntegers::note_saturation_unless(const Xmm& x) {
  const Label saturated = code_.label(), back = code_.label();
  const ScratchEax eax(code_.scratch);
  code_.vpmovmskb(eax, x);
  code_.cmp(eax, 0xffff);
  code_.jne(saturated, Code::T_NEAR);
  code_.L(back);
  cold_.add([this, saturated, back] {
    code_.L(saturated);
    code_.or_(context32(AV_STATE(fpscr_ctl)), arm::k_fpscr_qc);
    code_.jmp(back, Code::T_NEAR);
  });
}

void VectorIntegers::invert(const Xmm& d, const Xmm& a) {
  const ScratchXmm2 xmm2(code_.scratch);
  code_.vpcmpeqd(xmm2, xmm2, xmm2);
  code_.vpxor(d, a, xmm2);
}

void VectorIntegers::bits(VecOp op, const VectorCode& v) {
  const auto select = [&](const Xmm& mask, const Xmm& yes, const Xmm& no) {
    const ScratchXmm0 taken(code_.scratch);
    const ScratchXmm1 kept(code_.scratch);
    code_.vpand(taken, yes, mask);
    code_.vpandn(kept, mask, no);
    code_.vpor(v.d, taken, kept);
  };
  switch (op) {
    case VecOp::And: code_.vpand(v.d, v.a, v.b); break;
    case VecOp::Or: code_.vpor(v.d, v.a, v.b); break;
    case VecOp::Xor: code_.vpxor(v.d, v.a, v.b); break;
    case VecOp::AndNot: code_.vpandn(v.d, v.b, v.a); break;
    case VecOp::OrNot: {
      const ScratchXmm0 inverse(code_.scratch);
      invert(inverse, v.b);
      code_.vpor(v.d, v.a, inverse);
      break;
    }
    case VecOp::Not: invert(v.d, v.a); break;
    case VecOp::Bsl: select(v.c, v.a, v.b); break;
    case VecOp::Bit: select(v.b, v.a, v.c); break;
    default: select(v.b, v.c, v.a);  // Bif
  }
}

/// d = a * b, elements of up to 32 bits; changes t, which may be d.
void VectorIntegers::multiply(const Xmm& d, const VectorCode& v, const Xmm& t) {
  if (v.size == 5) return code_.vpmulld(d, v.a, v.b);
  if (v.size == 4) return code_.vpmullw(d, v.a, v.b);
  const ScratchXmm1 low(code_.scratch);
  code_.vpsrlw(t, v.a, 8);
  code_.vpsrlw(low, v.b, 8);
  code_.vpmullw(t, t, low);
  code_.vpsllw(t, t, 8);
  code_.vpmullw(low, v.a, v.b);
  code_.vpand(low, low, code_.constant(repeat(0xff, 16), repeat(0xff, 16)));
  code_.vpor(d, t, low);
}

void VectorIntegers::arithmetic(VecOp op, const VectorCode& v) {
  switch (op) {
    case VecOp::Add: k_add[v.size - 3](code_, v.d, v.a, v.b); break;
    case VecOp::Sub: k_sub[v.size - 3](code_, v.d, v.a, v.b); break;
    case VecOp::Mul: multiply(v.d, v, ScratchXmm0(code_.scratch)); break;
    default: {
      const ScratchXmm0 product(code_.scratch);
      multiply(product, v, product);
      (op == VecOp::Mla ? k_add : k_sub)[v.size - 3](code_, v.d, v.c, product);
    }
  }
}

/// d = a >> n, n from 0 to the element size.
void VectorIntegers::shift_right(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed) {
  const u32 bits = 1u << size;
  if (n == 0) return code_.vmovdqa(d, a);
  if (n >= bits && !is_signed) return code_.vpxor(d, d, d);
  if (n >= bits) n = bits - 1;
  const u8 count = static_cast<u8>(n);
  if (size == 4) return is_signed ? code_.vpsraw(d, a, count) : code_.vpsrlw(d, a, count);
  if (size == 5) return is_signed ? code_.vpsrad(d, a, count) : code_.vpsrld(d, a, count);
  if (size == 6) {
    code_.vpsrlq(d, a, count);
  } else {
    code_.vpsrlw(d, a, count);
    const u64 mask = repeat(0xffu >> n, 8);
    code_.vpand(d, d, code_.constant(mask, mask));
  }
  if (!is_signed) return;
  const u64 sign = repeat(u64{1} << (bits - 1 - n), bits);
  const ScratchXmm2 xmm2(code_.scratch);
  code_.vmovdqa(xmm2, code_.constant(sign, sign));
  code_.vpxor(d, d, xmm2);
  k_sub[size - 3](code_, d, d, xmm2);
}

void VectorIntegers::shift_left(const Xmm& d, const Xmm& a, unsigned size, u32 n) {
  const u8 count = static_cast<u8>(n);
  if (n >= 1u << size) return code_.vpxor(d, d, d);
  switch (size) {
    case 3: {
      code_.vpsllw(d, a, count);
      const u64 mask = repeat((0xffu << n) & 0xff, 8);
      return code_.vpand(d, d, code_.constant(mask, mask));
    }
    case 4: return code_.vpsllw(d, a, count);
    case 5: return code_.vpslld(d, a, count);
    default: return code_.vpsllq(d, a, count);
  }
}

/// d = a >> n rounded; d is not a.
void VectorIntegers::shift_right_rounded(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed) {
  const ScratchXmm1 xmm1(code_.scratch);
  const u64 one = repeat(1, 1u << size);
  shift_right(xmm1, a, size, n - 1, is_signed);
  code_.vpand(xmm1, xmm1, code_.constant(one, one));
  shift_right(d, a, size, n, is_signed);
  k_add[size - 3](code_, d, d, xmm1);
}

void VectorIntegers::halving(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const bool is_signed = op == VecOp::HAddS || op == VecOp::RHAddS || op == VecOp::HSubS;
  const u64 sign = repeat(0x80, 8);
  Xmm a = v.a, b = v.b;
  const bool biased = is_signed && v.size == 3;  // signed bytes as unsigned ones that are 128 more
  if (biased) {
    const ScratchXmm2 xmm2(code_.scratch);
    code_.vmovdqa(xmm2, code_.constant(sign, sign));
    code_.vpxor(xmm0, a, xmm2);
    code_.vpxor(xmm1, b, xmm2);
    a = xmm_.take(), b = xmm_.take();
    code_.vmovdqa(a, xmm0);
    code_.vmovdqa(b, xmm1);
  }
  const bool arithmetic = is_signed && !biased;
  code_.vpxor(xmm0, a, b);
  if (op == VecOp::HAddS || op == VecOp::HAddU) {  // (a & b) + ((a ^ b) >> 1)
    code_.vpand(xmm1, a, b);
    shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_add[v.size - 3](code_, v.d, xmm1, xmm0);
  } else if (op == VecOp::RHAddS || op == VecOp::RHAddU) {  // (a | b) - ((a ^ b) >> 1)
    code_.vpor(xmm1, a, b);
    shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_sub[v.size - 3](code_, v.d, xmm1, xmm0);
  } else {  // ((a ^ b) >> 1) - (~a & b)
    code_.vpandn(xmm1, a, b);
    shift_right(xmm0, xmm0, v.size, 1, arithmetic);
    k_sub[v.size - 3](code_, v.d, xmm0, xmm1);
  }
  if (biased && op != VecOp::HSubS) code_.vpxor(v.d, v.d, code_.constant(sign, sign));
}

void VectorIntegers::saturating(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const bool add = op == VecOp::QAddS || op == VecOp::QAddU;
  const auto& wrapping = add ? k_add : k_sub;
  if (v.size <= 4) {
    k_saturating[static_cast<u32>(op) - static_cast<u32>(VecOp::QAddS)][v.size - 3](code_, v.d, v.a, v.b);
    wrapping[v.size - 3](code_, xmm0, v.a, v.b);
    code_.vpcmpeqb(xmm0, xmm0, v.d);
    return note_saturation_unless(xmm0);
  }
  // Signed words: overflow when the result's sign differs from a's and (for a sum) from b's, or (for a difference)
  // a's and b's differ.
  const ScratchXmm1 xmm1(code_.scratch);
  wrapping[2](code_, xmm0, v.a, v.b);
  code_.vpxor(xmm1, v.a, xmm0);
  {
    const ScratchXmm2 xmm2(code_.scratch);
    code_.vpxor(xmm2, add ? v.b : v.a, add ? xmm0 : v.b);
    code_.vpand(xmm1, xmm1, xmm2);
    code_.vpsrad(xmm1, xmm1, 31);
    code_.vpsrad(xmm2, v.a, 31);
    code_.vpxor(xmm2, xmm2, code_.constant32(0x7fffffff));
    code_.vpblendvb(v.d, xmm0, xmm2, xmm1);
  }
  invert(xmm1, xmm1);
  note_saturation_unless(xmm1);
}

void VectorIntegers::compare(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const u32 s = v.size - 3;
  const bool is_signed =
      op == VecOp::CmpGtS || op == VecOp::CmpGeS || op == VecOp::MaxS || op == VecOp::MinS || op == VecOp::AbdS;
  switch (op) {
    case VecOp::CmpEq: k_equal[s](code_, v.d, v.a, v.b); break;
    case VecOp::CmpGtS: k_greater[s](code_, v.d, v.a, v.b); break;
    case VecOp::CmpGtU:
      k_min[0][s](code_, xmm0, v.a, v.b);
      k_equal[s](code_, xmm0, xmm0, v.a);
      invert(v.d, xmm0);
      break;
    case VecOp::CmpGeS:
    case VecOp::CmpGeU:
      k_max[is_signed][s](code_, xmm0, v.a, v.b);
      k_equal[s](code_, v.d, xmm0, v.a);
      break;
    case VecOp::Tst: {
      const ScratchXmm1 xmm1(code_.scratch);
      code_.vpand(xmm0, v.a, v.b);
      code_.vpxor(xmm1, xmm1, xmm1);
      k_equal[s](code_, xmm0, xmm0, xmm1);
      invert(v.d, xmm0);
      break;
    }
    case VecOp::MaxS:
    case VecOp::MaxU: k_max[is_signed][s](code_, v.d, v.a, v.b); break;
    case VecOp::MinS:
    case VecOp::MinU: k_min[is_signed][s](code_, v.d, v.a, v.b); break;
    default: difference(v.d, v, is_signed, xmm0);
  }
}

/// d = |a - b|; changes t, which may be d.
void VectorIntegers::difference(const Xmm& d, const VectorCode& v, bool is_signed, const Xmm& t) {
  const ScratchXmm1 least(code_.scratch);
  k_max[is_signed][v.size - 3](code_, t, v.a, v.b);
  k_min[is_signed][v.size - 3](code_, least, v.a, v.b);
  k_sub[v.size - 3](code_, d, t, least);
}

/// D registers: neighbours of a in the low half of the result's 64 bits, of b in the high half.
void VectorIntegers::pairs(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const u32 s = v.size - 3;
  const Picks even = every_second(1u << s, 0), odd = every_second(1u << s, 1);
  code_.vpunpcklqdq(xmm0, v.a, v.b);
  code_.vpshufb(xmm1, xmm0, code_.constant(odd.low, odd.high));
  code_.vpshufb(xmm0, xmm0, code_.constant(even.low, even.high));
  switch (op) {
    case VecOp::PAdd: k_add[s](code_, v.d, xmm0, xmm1); break;
    case VecOp::PMaxS:
    case VecOp::PMaxU: k_max[op == VecOp::PMaxS][s](code_, v.d, xmm0, xmm1); break;
    default: k_min[op == VecOp::PMinS][s](code_, v.d, xmm0, xmm1);
  }
}

/// Doubling multiplies that give the high half, and what has one operand.
void VectorIntegers::one(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  const auto shuffle = [&](Picks p) { code_.vpshufb(v.d, v.a, code_.constant(p.low, p.high)); };
  const u64 lowest = repeat(u64{1} << ((1u << v.size) - 1), 1u << v.size);
  // The one overflow of these gives the lowest number, which becomes the highest.
  const auto saturate_lowest = [&](const Xmm& compared) {
    const ScratchXmm1 xmm1(code_.scratch);
    code_.vmovdqa(xmm1, code_.constant(lowest, lowest));
    k_equal[s](code_, xmm1, xmm1, compared);
    code_.vpxor(v.d, v.d, xmm1);
    invert(xmm1, xmm1);
    note_saturation_unless(xmm1);
  };
  switch (op) {
    case VecOp::QDMulH:
    case VecOp::QRDMulH: multiply_doubling(op == VecOp::QRDMulH, v); return saturate_lowest(v.d);
    case VecOp::Abs: k_abs[s](code_, v.d, v.a); return;
    case VecOp::QAbs: k_abs[s](code_, v.d, v.a); return saturate_lowest(v.a);
    case VecOp::Neg:
    case VecOp::QNeg: {
      const ScratchXmm0 zero(code_.scratch);
      code_.vpxor(zero, zero, zero);
      k_sub[s](code_, v.d, zero, v.a);
      if (op == VecOp::QNeg) saturate_lowest(v.a);
      return;
    }
    case VecOp::Cnt: {
      const ScratchXmm0 xmm0(code_.scratch);
      const ScratchXmm1 xmm1(code_.scratch);
      const ScratchXmm2 xmm2(code_.scratch);
      code_.vmovdqa(xmm2, code_.constant(0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f));
      code_.vpand(xmm0, v.a, xmm2);
      code_.vpsrlw(xmm1, v.a, 4);
      code_.vpand(xmm1, xmm1, xmm2);
      code_.vmovdqa(xmm2, code_.constant(0x0302020102010100, 0x0403030203020201));
      code_.vpshufb(xmm0, xmm2, xmm0);
      code_.vpshufb(xmm1, xmm2, xmm1);
      return code_.vpaddb(v.d, xmm0, xmm1);
    }
    case VecOp::Rev16: return shuffle(reversal(2, 1u << s));
    case VecOp::Rev32: return shuffle(reversal(4, 1u << s));
    case VecOp::Rev64: return shuffle(reversal(8, 1u << s));
    default: return pairs_long(op == VecOp::PAddLS, v);
  }
}

/// d = the high halves of twice the products.
void VectorIntegers::multiply_doubling(bool round, const VectorCode& v) {
  if (v.size == 4 && round) return code_.vpmulhrsw(v.d, v.a, v.b);
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  if (v.size == 4) {
    code_.vpmulhw(xmm0, v.a, v.b);
    code_.vpmullw(xmm1, v.a, v.b);
    code_.vpsllw(xmm0, xmm0, 1);
    code_.vpsrlw(xmm1, xmm1, 15);
    return code_.vpor(v.d, xmm0, xmm1);
  }
  // Products of the even elements, then the odd ones.
  code_.vpsrlq(xmm0, v.a, 32);
  code_.vpsrlq(xmm1, v.b, 32);
  code_.vpmuldq(xmm0, xmm0, xmm1);
  code_.vpmuldq(xmm1, v.a, v.b);
  code_.vpaddq(xmm0, xmm0, xmm0);
  code_.vpaddq(xmm1, xmm1, xmm1);
  if (round) {
    const ScratchXmm2 half(code_.scratch);
    code_.vmovdqa(half, code_.constant(0x80000000, 0x80000000));
    code_.vpaddq(xmm0, xmm0, half);
    code_.vpaddq(xmm1, xmm1, half);
  }
  code_.vpsrlq(xmm1, xmm1, 32);
  code_.vpblendw(v.d, xmm1, xmm0, 0b11001100);
}

void VectorIntegers::pairs_long(bool is_signed, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const ScratchXmm2 xmm2(code_.scratch);
  const u64 one = repeat(1, 1u << v.size);
  if (v.size == 3) {
    code_.vmovdqa(xmm0, code_.constant(one, one));
    return is_signed ? code_.vpmaddubsw(v.d, xmm0, v.a) : code_.vpmaddubsw(v.d, v.a, xmm0);
  }
  if (v.size == 4 && is_signed) return code_.vpmaddwd(v.d, v.a, code_.constant(one, one));
  if (v.size == 4) {
    code_.vpsrld(xmm0, v.a, 16);
    code_.vpblendw(xmm1, v.a, xmm0, 0);
    code_.vpand(xmm1, xmm1, code_.constant32(0xffff));
    return code_.vpaddd(v.d, xmm0, xmm1);
  }
  code_.vpsrlq(xmm0, v.a, 32);
  if (is_signed) {
    code_.vmovdqa(xmm2, code_.constant32(1));
    code_.vpmuldq(xmm0, xmm0, xmm2);
    code_.vpmuldq(xmm1, v.a, xmm2);
  } else {
    code_.vpand(xmm1, v.a, code_.constant(0xffffffff, 0xffffffff));
  }
  code_.vpaddq(v.d, xmm0, xmm1);
}

void VectorIntegers::shift(VecOp op, const VectorCode& v) {
  const u32 bits = 1u << v.size, n = v.imm;
  const u64 ones = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
  switch (op) {
    case VecOp::ShlRegS:
    case VecOp::ShlRegU:
    case VecOp::RShlRegS:
    case VecOp::RShlRegU: {
      const bool is_signed = op == VecOp::ShlRegS || op == VecOp::RShlRegS;
      return shift_by_register(is_signed, op == VecOp::RShlRegS || op == VecOp::RShlRegU, v);
    }
    case VecOp::ShlImm: return shift_left(v.d, v.a, v.size, n);
    case VecOp::ShrImmS: return shift_right(v.d, v.a, v.size, n, true);
    case VecOp::ShrImmU: return shift_right(v.d, v.a, v.size, n, false);
    case VecOp::RShrImmS: return shift_right_rounded(v.d, v.a, v.size, n, true);
    case VecOp::RShrImmU: return shift_right_rounded(v.d, v.a, v.size, n, false);
    case VecOp::Sri:
    case VecOp::Sli: {
      const bool right = op == VecOp::Sri;
      if (right && n >= bits) return code_.vmovdqa(v.d, v.c);
      const u64 kept = repeat(right ? ~(ones >> n) & ones : ~(ones << n) & ones, bits);
      const ScratchXmm0 xmm0(code_.scratch);
      const ScratchXmm1 xmm1(code_.scratch);
      right ? shift_right(xmm0, v.a, v.size, n, false) : shift_left(xmm0, v.a, v.size, n);
      code_.vpand(xmm1, v.c, code_.constant(kept, kept));
      return code_.vpor(v.d, xmm0, xmm1);
    }
    default: break;
  }
  // QShlImmS, QShlImmU: what does not come back is saturated.
  const bool is_signed = op == VecOp::QShlImmS;
  const Xmm shifted = xmm_.take();
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  shift_left(shifted, v.a, v.size, n);
  shift_right(xmm1, shifted, v.size, n, is_signed);
  k_equal[v.size - 3](code_, xmm1, xmm1, v.a);
  if (is_signed) {
    const u64 highest = repeat(ones >> 1, bits);
    code_.vpxor(xmm0, xmm0, xmm0);
    k_greater[v.size - 3](code_, xmm0, xmm0, v.a);
    code_.vpxor(xmm0, xmm0, code_.constant(highest, highest));
  } else {
    code_.vpcmpeqd(xmm0, xmm0, xmm0);
  }
  code_.vpblendvb(v.d, xmm0, shifted, xmm1);
  note_saturation_unless(xmm1);
}

/// d = words of a shifted by the signed bottom bytes of the words of n; `round`: to the right, rounded. a is not d.
/// Changes n.
void VectorIntegers::shift_words(const Xmm& d, const Xmm& a, const Xmm& n, bool is_signed, bool round) {
  const ScratchXmm1 xmm1(code_.scratch);
  const ScratchXmm2 xmm2(code_.scratch);
  const auto right = [&](const Xmm& r, const Xmm& count) {
    is_signed ? code_.vpsravd(r, a, count) : code_.vpsrlvd(r, a, count);
  };
  code_.vpslld(n, n, 24);
  code_.vpsrad(n, n, 24);
  code_.vpabsd(xmm1, n);
  code_.vpsllvd(xmm2, a, xmm1);
  right(d, xmm1);
  if (round) {  // and the last bit that is lost
    const ScratchXmm0 xmm0(code_.scratch);
    code_.vpcmpeqd(xmm0, xmm0, xmm0);
    code_.vpaddd(xmm1, xmm1, xmm0);
    right(xmm1, xmm1);
    code_.vpsrld(xmm0, xmm0, 31);
    code_.vpand(xmm1, xmm1, xmm0);
    code_.vpaddd(d, d, xmm1);
  }
  code_.vblendvps(d, xmm2, d, n);
}

/// a shifted by the signed bottom byte of each element of b.
void VectorIntegers::shift_by_register(bool is_signed, bool round, const VectorCode& v) {
  if (v.size == 5) {
    const Xmm n = xmm_.take();
    code_.vmovdqa(n, v.b);
    return shift_words(v.d, v.a, n, is_signed, round);
  }
  if (v.size == 4) {
    const Xmm n = xmm_.take(), wide = xmm_.take(), high = xmm_.take();
    const auto lengthen = [&](const Xmm& a, const Xmm& b) {
      is_signed ? code_.vpmovsxwd(wide, a) : code_.vpmovzxwd(wide, a);
      code_.vpmovsxwd(n, b);
    };
    const auto shift_half = [&](const Xmm& d) {
      shift_words(d, wide, n, is_signed, round);
      code_.vpand(d, d, code_.constant32(0xffff));
    };
    lengthen(v.a, v.b);
    shift_half(v.d);
    if (!v.q) return code_.vpackusdw(v.d, v.d, v.d);
    code_.vpshufd(high, v.a, 0xee);
    {
      const ScratchXmm0 high_of_b(code_.scratch);
      code_.vpshufd(high_of_b, v.b, 0xee);
      lengthen(high, high_of_b);
    }
    shift_half(high);
    return code_.vpackusdw(v.d, v.d, high);
  }
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const ScratchXmm2 xmm2(code_.scratch);
  code_.vpsllq(xmm0, v.b, 56);
  code_.vpxor(xmm1, xmm1, xmm1);
  code_.vpsubq(xmm1, xmm1, xmm0);
  code_.vpsrlq(xmm1, xmm1, 56);  // -n
  code_.vpsrlq(xmm2, xmm0, 56);  // n, beyond 63 when it is negative
  code_.vpsrlvq(xmm1, v.a, xmm1);
  code_.vpsllvq(xmm2, v.a, xmm2);
  code_.vblendvpd(v.d, xmm2, xmm1, xmm0);
}

void VectorIntegers::narrow(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const u32 half = 1u << (v.size - 1);
  Xmm from = v.a;
  u32 position = 0;
  switch (op) {
    case VecOp::AddHN:
    case VecOp::RAddHN:
    case VecOp::SubHN:
    case VecOp::RSubHN: {
      const bool add = op == VecOp::AddHN || op == VecOp::RAddHN;
      (add ? k_add : k_sub)[v.size - 3](code_, xmm0, v.a, v.b);
      const u64 round = repeat(u64{1} << (half - 1), 2 * half);
      if (op == VecOp::RAddHN || op == VecOp::RSubHN)
        k_add[v.size - 3](code_, xmm0, xmm0, code_.constant(round, round));
      from = xmm0;
      position = 1;
      break;
    }
    case VecOp::ShrN:
    case VecOp::QShrNU:
    case VecOp::QShrNS:
    case VecOp::QShrUN:
      shift_right(xmm0, v.a, v.size, v.imm, op == VecOp::QShrNS || op == VecOp::QShrUN);
      from = xmm0;
      break;
    case VecOp::RShrN: {
      // What the sum carries out would be above the bits that stay.
      const u64 round = repeat(u64{1} << (v.imm - 1), 2 * half);
      k_add[v.size - 3](code_, xmm0, v.a, code_.constant(round, round));
      shift_right(xmm0, xmm0, v.size, v.imm, false);
      from = xmm0;
      break;
    }
    case VecOp::QRShrNU:
    case VecOp::QRShrNS:
    case VecOp::QRShrUN:
      shift_right_rounded(xmm0, v.a, v.size, v.imm, op == VecOp::QRShrNS || op == VecOp::QRShrUN);
      from = xmm0;
      break;
    default: break;
  }
  switch (op) {
    case VecOp::QMovNS:
    case VecOp::QShrNS:
    case VecOp::QRShrNS: return saturate_narrow(v, from, true, true);
    case VecOp::QMovUN:
    case VecOp::QShrUN:
    case VecOp::QRShrUN: return saturate_narrow(v, from, true, false);
    case VecOp::QMovNU:
    case VecOp::QShrNU:
    case VecOp::QRShrNU: return saturate_narrow(v, from, false, false);
    default: break;
  }
  const Picks p = every_second(half / 8, position);
  code_.vpshufb(v.d, from, code_.constant(p.low, p.high));
}

/// Elements of 16 or 32 bits, saturated to half of that.
void VectorIntegers::saturate_narrow(const VectorCode& v, const Xmm& from, bool from_signed, bool to_signed) {
  const ScratchXmm1 xmm1(code_.scratch);
  const bool words = v.size == 4;
  Xmm packed = from;
  if (!from_signed) {  // the host packs signed numbers
    words ? code_.vpminuw(xmm1, from, code_.constant(repeat(0xff, 16), repeat(0xff, 16)))
          : code_.vpminud(xmm1, from, code_.constant32(0xffff));
    packed = xmm1;
  }
  if (to_signed)
    words ? code_.vpacksswb(v.d, packed, packed) : code_.vpackssdw(v.d, packed, packed);
  else
    words ? code_.vpackuswb(v.d, packed, packed) : code_.vpackusdw(v.d, packed, packed);
  k_extend[to_signed][v.size - 4](code_, xmm1, v.d);
  code_.vpcmpeqb(xmm1, xmm1, from);
  note_saturation_unless(xmm1);
}

void VectorIntegers::widen(VecOp op, const VectorCode& v) {
  const ScratchXmm0 xmm0(code_.scratch);
  const u32 s = v.size - 3;
  const auto is = [op](VecOp s1, VecOp s2, VecOp s3 = VecOp::Count, VecOp s4 = VecOp::Count) {
    return op == s1 || op == s2 || op == s3 || op == s4;
  };
  const bool is_signed = is(VecOp::MovLS, VecOp::ShlLS, VecOp::AddLS, VecOp::SubLS) ||
                         is(VecOp::AddWS, VecOp::SubWS, VecOp::AbdLS, VecOp::MulLS) || op == VecOp::QDMulL;
  const Two extend = k_extend[is_signed][s];
  if (is(VecOp::MovLS, VecOp::MovLU)) return extend(code_, v.d, v.a);
  if (is(VecOp::ShlLS, VecOp::ShlLU)) {
    extend(code_, xmm0, v.a);
    return shift_left(v.d, xmm0, v.size + 1, v.imm & ((2u << v.size) - 1));
  }
  if (is(VecOp::AbdLS, VecOp::AbdLU)) {
    difference(xmm0, v, is_signed, xmm0);
    return k_extend[0][s](code_, v.d, xmm0);
  }
  if (op == VecOp::MulLPoly) return multiply_polynomials(v, xmm0);
  if (is(VecOp::MulLS, VecOp::MulLU) || op == VecOp::QDMulL) {
    multiply_long(v, is_signed, xmm0);
    if (op != VecOp::QDMulL) return;
    k_add[s + 1](code_, v.d, v.d, v.d);
    const u64 lowest = repeat(u64{1} << ((2u << v.size) - 1), 2u << v.size);
    code_.vmovdqa(xmm0, code_.constant(lowest, lowest));
    k_equal[s + 1](code_, xmm0, xmm0, v.d);
    code_.vpxor(v.d, v.d, xmm0);
    invert(xmm0, xmm0);
    return note_saturation_unless(xmm0);
  }
  const auto& table = is(VecOp::AddLS, VecOp::AddLU, VecOp::AddWS, VecOp::AddWU) ? k_add : k_sub;
  const bool wide_first = op >= VecOp::AddWS && op <= VecOp::SubWU;
  if (!wide_first) extend(code_, xmm0, v.a);
  const ScratchXmm1 xmm1(code_.scratch);
  extend(code_, xmm1, v.b);
  table[s + 1](code_, v.d, wide_first ? v.a : xmm0, xmm1);
}

/// Changes xmm0, which is the caller's.
void VectorIntegers::multiply_long(const VectorCode& v, bool is_signed, const ScratchXmm0& xmm0) {
  const ScratchXmm1 xmm1(code_.scratch);
  if (v.size == 5) {
    code_.vpshufd(xmm0, v.a, 0x50);
    code_.vpshufd(xmm1, v.b, 0x50);
    return is_signed ? code_.vpmuldq(v.d, xmm0, xmm1) : code_.vpmuludq(v.d, xmm0, xmm1);
  }
  if (v.size == 4) {
    code_.vpmullw(xmm0, v.a, v.b);
    is_signed ? code_.vpmulhw(xmm1, v.a, v.b) : code_.vpmulhuw(xmm1, v.a, v.b);
    return code_.vpunpcklwd(v.d, xmm0, xmm1);
  }
  k_extend[is_signed][0](code_, xmm0, v.a);
  k_extend[is_signed][0](code_, xmm1, v.b);
  code_.vpmullw(v.d, xmm0, xmm1);
}

/// d = the products of the bytes of a and b as polynomials over {0, 1}, by Horner's rule.
/// Changes xmm0, which is the caller's.
void VectorIntegers::multiply_polynomials(const VectorCode& v, const ScratchXmm0& xmm0) {
  const ScratchXmm1 xmm1(code_.scratch);
  const ScratchXmm2 xmm2(code_.scratch);
  const Xmm sum = xmm_.take();
  code_.vpmovzxbw(xmm0, v.a);
  code_.vpmovzxbw(xmm1, v.b);
  for (int bit = 7; bit >= 0; --bit) {
    const Xmm& term = bit == 7 ? sum : xmm2;
    code_.vpsllw(term, xmm1, 15 - bit);
    code_.vpsraw(term, term, 15);
    code_.vpand(term, term, xmm0);
    if (bit == 7) continue;
    code_.vpsllw(sum, sum, 1);
    code_.vpxor(sum, sum, xmm2);
  }
  code_.vmovdqa(v.d, sum);
}

void VectorIntegers::permute(VecOp op, const VectorCode& v) {
  const u32 s = v.size - 3;
  switch (op) {
    case VecOp::Trn1:
    case VecOp::Trn2: {
      // The other operand's elements move to the places that they get.
      const bool first = op == VecOp::Trn1;
      const Xmm& moved = first ? v.b : v.a;
      const u8 bits = static_cast<u8>(1u << v.size);
      const ScratchXmm0 xmm0(code_.scratch);
      if (s == 2)
        first ? code_.vpsllq(xmm0, moved, bits) : code_.vpsrlq(xmm0, moved, bits);
      else if (s == 1)
        first ? code_.vpslld(xmm0, moved, bits) : code_.vpsrld(xmm0, moved, bits);
      else
        first ? code_.vpsllw(xmm0, moved, bits) : code_.vpsrlw(xmm0, moved, bits);
      const Xmm &even = first ? v.a : xmm0, &odd = first ? xmm0 : v.b;
      if (s == 2) return code_.vblendps(v.d, even, odd, 0b1010);
      if (s == 1) return code_.vpblendw(v.d, even, odd, 0b10101010);
      const ScratchXmm1 xmm1(code_.scratch);
      code_.vmovdqa(xmm1, code_.constant(repeat(0xff00, 16), repeat(0xff00, 16)));
      return code_.vpblendvb(v.d, even, odd, xmm1);
    }
    case VecOp::Zip1: return k_zip_low[s](code_, v.d, v.a, v.b);
    case VecOp::Zip2: {
      if (v.q) return k_zip_high[s](code_, v.d, v.a, v.b);
      const ScratchXmm0 xmm0(code_.scratch);
      k_zip_low[s](code_, xmm0, v.a, v.b);
      return code_.vpsrldq(v.d, xmm0, 8);
    }
    case VecOp::Uzp1:
    case VecOp::Uzp2: {
      const bool first = op == VecOp::Uzp1;
      if (s == 2 && v.q) return code_.vshufps(v.d, v.a, v.b, first ? 0x88 : 0xdd);
      const Picks p = every_second(1u << s, first ? 0 : 1);
      const ScratchXmm0 xmm0(code_.scratch);
      if (!v.q) {
        code_.vpunpcklqdq(xmm0, v.a, v.b);
        return code_.vpshufb(v.d, xmm0, code_.constant(p.low, p.high));
      }
      const ScratchXmm1 xmm1(code_.scratch);
      const ScratchXmm2 xmm2(code_.scratch);
      code_.vmovdqa(xmm2, code_.constant(p.low, p.high));
      code_.vpshufb(xmm0, v.a, xmm2);
      code_.vpshufb(xmm1, v.b, xmm2);
      return code_.vpunpcklqdq(v.d, xmm0, xmm1);
    }
    case VecOp::Ext: {
      if (v.q) return code_.vpalignr(v.d, v.b, v.a, static_cast<u8>(v.imm));
      const ScratchXmm0 xmm0(code_.scratch);
      code_.vpunpcklqdq(xmm0, v.a, v.b);
      return code_.vpsrldq(v.d, xmm0, static_cast<u8>(v.imm));
    }
    default: return table(v);
  }
}

/// c.lo = indices, c.hi = what stays where they are too large (TBX). pshufb takes indices of 128 and more for 0.
void VectorIntegers::table(const VectorCode& v) {
  const u32 length = (v.imm & 0xff) * 8;
  if (v.indices) return table_fixed(v, *v.indices);
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const auto bytes = [this](u64 b) { return code_.constant(repeat(b, 8), repeat(b, 8)); };
  const auto look_up = [&](const Xmm& d, const Xmm& table, const Xmm& indices, u32 count) {
    code_.vpaddusb(xmm1, indices, bytes(128 - count));
    if (count == 8) code_.vpand(xmm1, xmm1, bytes(0xf7));  // the sum moved the index, too
    code_.vpshufb(d, table, xmm1);
  };
  look_up(v.d, v.a, v.c, length < 16 ? length : 16);
  if (length > 16) {
    code_.vpsubb(xmm0, v.c, bytes(16));
    look_up(xmm0, v.b, xmm0, length - 16);
    code_.vpor(v.d, v.d, xmm0);
  }
  if (!(v.imm >> 8 & 1)) return;
  code_.vpmaxub(xmm0, v.c, bytes(length));
  code_.vpcmpeqb(xmm0, xmm0, v.c);
  code_.vpsrldq(xmm1, v.c, 8);
  code_.vpand(xmm1, xmm1, xmm0);
  code_.vpor(v.d, v.d, xmm1);
}

/// Indices that are known: doublewords that the front end takes apart and puts together.
void VectorIntegers::table_fixed(const VectorCode& v, u64 indices) {
  u64 first = 0, second = 0;
  for (u32 k = 0; k < 64; k += 8) {
    const u64 index = indices >> k & 0xff;
    first |= (index < 16 ? index : 0x80) << k;
    second |= (index >= 16 && index < (v.imm & 0xff) * 8 ? index - 16 : 0x80) << k;
  }
  constexpr u64 k_zeros = 0x8080808080808080;
  code_.vpshufb(v.d, v.a, code_.constant(first, k_zeros));
  if (second == k_zeros) return;
  const ScratchXmm0 xmm0(code_.scratch);
  code_.vpshufb(xmm0, v.b, code_.constant(second, k_zeros));
  code_.vpor(v.d, v.d, xmm0);
}

}  // namespace armvisor::engine::jit
