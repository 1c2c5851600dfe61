#include "engine/jit/x64/vector_floats.h"

namespace armvisor::engine::jit {
namespace {

using ir::VecOp;
using Xbyak::Xmm;

constexpr u32 exponent(u32 e) { return (127 + e) << 23; }
/// Least magnitude of an operand but zero. The square of the second, and the last bit of the square of the third, are
/// still in range.
constexpr u32 k_normal = 0x00800000, k_factor = exponent(0u - 63), k_fused_factor = exponent(0u - 51);
constexpr u32 k_sign = 0x80000000, k_magnitude = 0x7fffffff;

u32 index_of(const Xmm& x) { return static_cast<u32>(x.getIdx()); }

}  // namespace

/// t = a number that grows with the magnitude of x, where zero is the greatest: signed 2|x| - 1 - 2^31.
void VectorFloats::magnitude(const Xmm& t, const Xmm& x) {
  code_.vpslld(t, x, 1);
  code_.vpaddd(t, t, code_.constant32(0x7fffffff));
}

/// Unless the sign of each element of x is set.
void VectorFloats::jump_unless_all(const Xmm& x, Label to) {
  const ScratchEax eax(code_.scratch);
  code_.vmovmskps(eax, x);
  code_.cmp(eax, 15);
  code_.jne(to, Code::T_NEAR);
}

void VectorFloats::jump_if_any(const Xmm& x, Label to) {
  const ScratchEax eax(code_.scratch);
  code_.vmovmskps(eax, x);
  code_.test(eax, eax);
  code_.jnz(to, Code::T_NEAR);
}

/// Jumps to `slow` when an element of one of `operands` is smaller than `least` but not zero.
void VectorFloats::check_operands(std::initializer_list<Xmm> operands, u32 least, Label slow) {
  const ScratchXmm0 smallest(code_.scratch);
  const ScratchXmm1 next(code_.scratch);
  bool first = true;
  for (const Xmm& x : operands) {
    if (least == k_normal && xmm_.cache[index_of(x)].normal) continue;
    if (first) {
      magnitude(smallest, x);
    } else {
      magnitude(next, x);
      code_.vpminsd(smallest, smallest, next);
    }
    first = false;
  }
  if (first) return;
  code_.vpcmpgtd(smallest, smallest, code_.constant32(2 * least + 0x7ffffffe));
  jump_unless_all(smallest, slow);
}

/// Jumps to `slow` when an element of x is a NaN.
void VectorFloats::check_numbers(const Xmm& x, Label slow) {
  const ScratchXmm0 unordered(code_.scratch);
  code_.vcmpunordps(unordered, x, x);
  jump_if_any(unordered, slow);
}

/// Jumps to `slow` when an element of x is a NaN or denormal.
void VectorFloats::check_normal(const Xmm& x, Label slow) {
  constexpr u8 k_ge_quiet = 0x1d;
  const Label unusual = code_.label(), back = code_.label();
  const ScratchXmm0 ordinary(code_.scratch);
  code_.vandps(ordinary, x, code_.constant32(k_magnitude));
  code_.vcmpps(ordinary, ordinary, code_.constant32(k_normal), k_ge_quiet);
  jump_unless_all(ordinary, unusual);
  code_.L(back);
  cold_.add([this, x, unusual, back, slow] {
    const ScratchXmm0 large(code_.scratch);
    const ScratchXmm1 ordered(code_.scratch);
    const ScratchEax eax(code_.scratch);
    code_.L(unusual);  // perhaps just zeros
    magnitude(large, x);
    code_.vpcmpgtd(large, large, code_.constant32(2 * k_normal + 0x7ffffffe));
    code_.vcmpordps(ordered, x, x);
    code_.vpand(large, large, ordered);
    code_.vmovmskps(eax, large);
    code_.cmp(eax, 15);
    code_.je(back, Code::T_NEAR);
    code_.jmp(slow, Code::T_NEAR);
  });
}

/// The result of the slow path is flushed, but may be the default NaN.
void VectorFloats::note_normal(VecOp op, const VectorCode& v) {
  bool& normal = xmm_.cache[index_of(v.d)].normal;
  switch (op) {
    case VecOp::FAdd:
    case VecOp::FSub:
    case VecOp::FMul:
    case VecOp::FMla:
    case VecOp::FMls:
    case VecOp::FFma:
    case VecOp::FFms:
    case VecOp::SToF:
    case VecOp::UToF: normal = true; break;
    case VecOp::FNeg:
    case VecOp::FAbs: normal = xmm_.cache[index_of(v.a)].normal; break;
    default: break;
  }
}

void VectorFloats::emit(VecOp op, const VectorCode& v, Label slow) {
  switch (op) {
    case VecOp::FNeg: return code_.vxorps(v.d, v.a, code_.constant32(k_sign));
    case VecOp::FAbs: return code_.vandps(v.d, v.a, code_.constant32(k_magnitude));
    case VecOp::FAdd:
    case VecOp::FSub:
    case VecOp::FAbd:
      check_operands({v.a, v.b}, k_normal, slow);
      op == VecOp::FAdd ? code_.vaddps(v.d, v.a, v.b) : code_.vsubps(v.d, v.a, v.b);
      check_normal(v.d, slow);
      if (op == VecOp::FAbd) code_.vandps(v.d, v.d, code_.constant32(k_magnitude));
      return;
    case VecOp::FMul:
      check_operands({v.a, v.b}, k_factor, slow);
      code_.vmulps(v.d, v.a, v.b);
      return check_numbers(v.d, slow);
    case VecOp::FMla:
    case VecOp::FMls:
      check_operands({v.a, v.b, v.c}, k_factor, slow);
      code_.vmulps(v.d, v.a, v.b);
      op == VecOp::FMla ? code_.vaddps(v.d, v.c, v.d) : code_.vsubps(v.d, v.c, v.d);
      return check_normal(v.d, slow);
    case VecOp::FFma:
    case VecOp::FFms:
      check_operands({v.a, v.b, v.c}, k_fused_factor, slow);
      code_.vmovaps(v.d, v.c);
      op == VecOp::FFma ? code_.vfmadd231ps(v.d, v.a, v.b) : code_.vfnmadd231ps(v.d, v.a, v.b);
      return check_normal(v.d, slow);
    case VecOp::FMax:
    case VecOp::FMin: return extreme(op == VecOp::FMax, v.d, v.a, v.b, slow);
    case VecOp::FPAdd:
    case VecOp::FPMax:
    case VecOp::FPMin: return pairwise(op, v, slow);
    case VecOp::FCmpEq:
    case VecOp::FCmpGe:
    case VecOp::FCmpGt:
      check_operands({v.a, v.b}, k_normal, slow);
      return code_.vcmpps(v.d, v.a, v.b, op == VecOp::FCmpEq ? 0x00 : op == VecOp::FCmpGe ? 0x0d : 0x0e);
    case VecOp::FAbsCmpGe:
    case VecOp::FAbsCmpGt: {
      check_operands({v.a, v.b}, k_normal, slow);
      const ScratchXmm0 a(code_.scratch);
      const ScratchXmm1 b(code_.scratch);
      code_.vandps(a, v.a, code_.constant32(k_magnitude));
      code_.vandps(b, v.b, code_.constant32(k_magnitude));
      return code_.vcmpps(v.d, a, b, op == VecOp::FAbsCmpGe ? 0x0d : 0x0e);
    }
    case VecOp::FRecps:
    case VecOp::FRsqrts: return step(op, v, slow);
    case VecOp::FToS:
    case VecOp::FToU: return to_fixed(op, v, slow);
    case VecOp::SToF:
    case VecOp::UToF:
      if (op == VecOp::UToF) jump_if_any(v.a, slow);
      code_.vcvtdq2ps(v.d, v.a);
      if (v.imm != 0) code_.vmulps(v.d, v.d, code_.constant32((127 - v.imm) << 23));
      return;
    default: AV_UNREACHABLE();
  }
}

void VectorFloats::pairwise(VecOp op, const VectorCode& v, Label slow) {
  const Xmm even = xmm_.take(), odd = xmm_.take();
  code_.vshufps(even, v.a, v.b, 0x88);  // a0 a2 b0 b2: of each only the low half is an operand
  code_.vshufps(odd, v.a, v.b, 0xdd);
  code_.vpshufd(even, even, 0xd8);  // a0 b0
  code_.vpshufd(odd, odd, 0xd8);
  if (op != VecOp::FPAdd) return extreme(op == VecOp::FPMax, v.d, even, odd, slow);
  check_operands({even, odd}, k_normal, slow);
  code_.vaddps(v.d, even, odd);
  check_normal(v.d, slow);
}

/// VRECPS, VRSQRTS: where neither operand is zero or infinity, whose product is none here.
void VectorFloats::step(VecOp op, const VectorCode& v, Label slow) {
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  {
    const ScratchXmm2 largest(code_.scratch);
    const ScratchEax eax(code_.scratch);
    code_.vandps(xmm0, v.a, code_.constant32(k_magnitude));
    code_.vandps(xmm1, v.b, code_.constant32(k_magnitude));
    code_.vpmaxsd(largest, xmm0, xmm1);
    code_.vpminsd(xmm0, xmm0, xmm1);
    code_.vpcmpgtd(xmm0, xmm0, code_.constant32(k_factor - 1));
    code_.vpcmpgtd(largest, largest, code_.constant32(exponent(63)));
    code_.vpandn(xmm0, largest, xmm0);
    code_.vmovmskps(eax, xmm0);
    code_.cmp(eax, v.q ? 15 : 3);
    code_.jne(slow, Code::T_NEAR);
  }
  code_.vmulps(xmm0, v.a, v.b);
  code_.vmovaps(xmm1, code_.constant32(op == VecOp::FRecps ? 0x40000000 : 0x40400000));  // 2, 3
  code_.vsubps(v.d, xmm1, xmm0);
  if (op == VecOp::FRsqrts) code_.vmulps(v.d, v.d, code_.constant32(0x3f000000));
}

void VectorFloats::to_fixed(VecOp op, const VectorCode& v, Label slow) {
  check_operands({v.a}, k_normal, slow);
  const ScratchXmm0 xmm0(code_.scratch);
  if (v.imm != 0) {
    // Before the host can set flags. Scaling is exact then.
    if (op == VecOp::FToS)
      code_.vandps(xmm0, v.a, code_.constant32(k_magnitude));
    else
      code_.vmovaps(xmm0, v.a);
    const ScratchXmm1 too_large(code_.scratch);
    code_.vpcmpgtd(too_large, xmm0, code_.constant32(exponent(31 - v.imm) - 1));
    if (op == VecOp::FToU) code_.vpor(too_large, too_large, xmm0);
    jump_if_any(too_large, slow);
    code_.vmulps(xmm0, v.a, code_.constant32(exponent(v.imm)));
    return code_.vcvttps2dq(v.d, xmm0);
  }
  if (op == VecOp::FToU) {  // what the host cannot do, before it sets flags
    code_.vmovdqa(xmm0, v.a);
    code_.vpcmpgtd(xmm0, xmm0, code_.constant32(exponent(31) - 1));
    code_.vpor(xmm0, xmm0, v.a);
  } else {
    code_.vcvttps2dq(v.d, v.a);
    code_.vpcmpeqd(xmm0, v.d, code_.constant32(0x80000000));  // NaN, out of range
  }
  jump_if_any(xmm0, slow);
  if (op == VecOp::FToU) code_.vcvttps2dq(v.d, v.a);
}

/// The host takes b for zeros of different sign, where the greater is +0.
void VectorFloats::extreme(bool max, const Xmm& d, const Xmm& a, const Xmm& b, Label slow) {
  check_operands({a, b}, k_normal, slow);
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  code_.vcmpunordps(xmm0, a, b);
  jump_if_any(xmm0, slow);
  max ? code_.vmaxps(xmm0, a, b) : code_.vminps(xmm0, a, b);
  max ? code_.vmaxps(xmm1, b, a) : code_.vminps(xmm1, b, a);
  max ? code_.vandps(d, xmm0, xmm1) : code_.vorps(d, xmm0, xmm1);
}

}  // namespace armvisor::engine::jit
