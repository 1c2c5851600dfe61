// Advanced SIMD on AVX: single precision under StandardFPSCRValue (A2.7.8), with round-to-nearest the only mode. The
// host computes without flushing, so operands and results for which that shows go to the reference function: denormal
// operands before the host's flags can be touched, NaN and denormal results after. Products cannot be small when the
// operands are not, and small sums are exact, so that no flag is set that would have to be taken back.
#include "base/assert.h"
#include "engine/jit/x64/emitter.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {
namespace {

using ir::VecOp;

constexpr u32 exponent(u32 e) { return (127 + e) << 23; }
/// Least magnitude of an operand but zero. The square of the second, and the last bit of the square of the third, are
/// still in range.
constexpr u32 k_normal = 0x00800000, k_factor = exponent(0u - 63), k_fused_factor = exponent(0u - 51);

}  // namespace

/// t = a number that grows with the magnitude of x, where zero is the greatest: signed 2|x| - 1 - 2^31.
void Emitter::vector_magnitude(const Xmm& t, const Xmm& x) {
  vpslld(t, x, 1);
  vpaddd(t, t, constant32(0x7fffffff));
}

/// Jumps to `slow` when an element of one of `operands` is smaller than `least` but not zero. Clobbers xmm0, xmm1.
void Emitter::check_operands(std::initializer_list<Xmm> operands, u32 least, Label slow) {
  bool first = true;
  for (const Xmm& x : operands) {
    if (least == k_normal && xmm_[static_cast<u32>(x.getIdx())].normal) continue;
    vector_magnitude(first ? xmm0 : xmm1, x);
    if (!first) vpminsd(xmm0, xmm0, xmm1);
    first = false;
  }
  if (first) return;
  vpcmpgtd(xmm0, xmm0, constant32(2 * least + 0x7ffffffe));
  vmovmskps(eax, xmm0);
  cmp(eax, 15);
  jne(slow, T_NEAR);
}

/// Jumps to `slow` when an element of x is a NaN. Clobbers xmm0.
void Emitter::check_numbers(const Xmm& x, Label slow) {
  vcmpunordps(xmm0, x, x);
  vmovmskps(eax, xmm0);
  test(eax, eax);
  jnz(slow, T_NEAR);
}

/// Jumps to `slow` when an element of x is a NaN or denormal. Clobbers xmm0, xmm1.
void Emitter::check_normal(const Xmm& x, Label slow) {
  constexpr u8 k_ge_quiet = 0x1d;
  const Label unusual = label(), back = label();
  vandps(xmm0, x, constant32(0x7fffffff));
  vcmpps(xmm0, xmm0, constant32(k_normal), k_ge_quiet);
  vmovmskps(eax, xmm0);
  cmp(eax, 15);
  jne(unusual, T_NEAR);
  L(back);
  add_cold([this, x, unusual, back, slow] {
    L(unusual);  // perhaps just zeros
    vector_magnitude(xmm0, x);
    vpcmpgtd(xmm0, xmm0, constant32(2 * k_normal + 0x7ffffffe));
    vcmpordps(xmm1, x, x);
    vpand(xmm0, xmm0, xmm1);
    vmovmskps(eax, xmm0);
    cmp(eax, 15);
    je(back, T_NEAR);
    jmp(slow, T_NEAR);
  });
}

/// What is known of the result. That of the slow path is flushed, but may be the default NaN.
void Emitter::note_normal(VecOp op, const VectorCode& v) {
  bool& normal = xmm_[static_cast<u32>(v.d.getIdx())].normal;
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
    case VecOp::FAbs: normal = xmm_[static_cast<u32>(v.a.getIdx())].normal; break;
    default: break;
  }
}

void Emitter::emit_vector_fp(VecOp op, const VectorCode& v, Label slow) {
  const auto sign = [this] { return constant32(0x80000000); };
  const auto magnitude = [this] { return constant32(0x7fffffff); };
  switch (op) {
    case VecOp::FNeg: return vxorps(v.d, v.a, sign());
    case VecOp::FAbs: return vandps(v.d, v.a, magnitude());
    case VecOp::FAdd:
    case VecOp::FSub:
    case VecOp::FAbd:
      check_operands({v.a, v.b}, k_normal, slow);
      op == VecOp::FAdd ? vaddps(v.d, v.a, v.b) : vsubps(v.d, v.a, v.b);
      check_normal(v.d, slow);
      if (op == VecOp::FAbd) vandps(v.d, v.d, magnitude());
      return;
    case VecOp::FMul:
      check_operands({v.a, v.b}, k_factor, slow);
      vmulps(v.d, v.a, v.b);
      return check_numbers(v.d, slow);
    case VecOp::FMla:
    case VecOp::FMls:
      check_operands({v.a, v.b, v.c}, k_factor, slow);
      vmulps(v.d, v.a, v.b);
      op == VecOp::FMla ? vaddps(v.d, v.c, v.d) : vsubps(v.d, v.c, v.d);
      return check_normal(v.d, slow);
    case VecOp::FFma:
    case VecOp::FFms:
      check_operands({v.a, v.b, v.c}, k_fused_factor, slow);
      vmovaps(v.d, v.c);
      op == VecOp::FFma ? vfmadd231ps(v.d, v.a, v.b) : vfnmadd231ps(v.d, v.a, v.b);
      return check_normal(v.d, slow);
    case VecOp::FMax:
    case VecOp::FMin: return vector_fp_extreme(op == VecOp::FMax, v.d, v.a, v.b, slow);
    case VecOp::FPAdd:
    case VecOp::FPMax:
    case VecOp::FPMin: {
      const Xmm even = take_xmm(), odd = take_xmm();
      vshufps(even, v.a, v.b, 0x88);  // a0 a2 b0 b2: of each only the low half is an operand
      vshufps(odd, v.a, v.b, 0xdd);
      vpshufd(even, even, 0xd8);  // a0 b0
      vpshufd(odd, odd, 0xd8);
      if (op != VecOp::FPAdd) return vector_fp_extreme(op == VecOp::FPMax, v.d, even, odd, slow);
      check_operands({even, odd}, k_normal, slow);
      vaddps(v.d, even, odd);
      return check_normal(v.d, slow);
    }
    case VecOp::FCmpEq:
    case VecOp::FCmpGe:
    case VecOp::FCmpGt:
      check_operands({v.a, v.b}, k_normal, slow);
      return vcmpps(v.d, v.a, v.b, op == VecOp::FCmpEq ? 0x00 : op == VecOp::FCmpGe ? 0x0d : 0x0e);
    case VecOp::FAbsCmpGe:
    case VecOp::FAbsCmpGt:
      check_operands({v.a, v.b}, k_normal, slow);
      vandps(xmm0, v.a, magnitude());
      vandps(xmm1, v.b, magnitude());
      return vcmpps(v.d, xmm0, xmm1, op == VecOp::FAbsCmpGe ? 0x0d : 0x0e);
    case VecOp::FRecps:
    case VecOp::FRsqrts:
      // Neither zero nor infinity, whose product is none here.
      vandps(xmm0, v.a, magnitude());
      vandps(xmm1, v.b, magnitude());
      vpmaxsd(xmm2, xmm0, xmm1);
      vpminsd(xmm0, xmm0, xmm1);
      vpcmpgtd(xmm0, xmm0, constant32(k_factor - 1));
      vpcmpgtd(xmm2, xmm2, constant32(exponent(63)));
      vpandn(xmm0, xmm2, xmm0);
      vmovmskps(eax, xmm0);
      cmp(eax, v.q ? 15 : 3);
      jne(slow, T_NEAR);
      vmulps(xmm0, v.a, v.b);
      vmovaps(xmm1, constant32(op == VecOp::FRecps ? 0x40000000 : 0x40400000));  // 2, 3
      vsubps(v.d, xmm1, xmm0);
      if (op == VecOp::FRsqrts) vmulps(v.d, v.d, constant32(0x3f000000));
      return;
    case VecOp::FToS:
    case VecOp::FToU:
      check_operands({v.a}, k_normal, slow);
      if (v.imm != 0) {
        // Before the host can set flags. Scaling is exact then.
        if (op == VecOp::FToS)
          vandps(xmm0, v.a, magnitude());
        else
          vmovaps(xmm0, v.a);
        vpcmpgtd(xmm1, xmm0, constant32(exponent(31 - v.imm) - 1));
        if (op == VecOp::FToU) vpor(xmm1, xmm1, xmm0);
        vmovmskps(eax, xmm1);
        test(eax, eax);
        jnz(slow, T_NEAR);
        vmulps(xmm0, v.a, constant32(exponent(v.imm)));
        return vcvttps2dq(v.d, xmm0);
      }
      if (op == VecOp::FToU) {  // what the host cannot do, before it sets flags
        vmovdqa(xmm0, v.a);
        vpcmpgtd(xmm0, xmm0, constant32(exponent(31) - 1));
        vpor(xmm0, xmm0, v.a);
      } else {
        vcvttps2dq(v.d, v.a);
        vpcmpeqd(xmm0, v.d, constant32(0x80000000));  // NaN, out of range
      }
      vmovmskps(eax, xmm0);
      test(eax, eax);
      jnz(slow, T_NEAR);
      if (op == VecOp::FToU) vcvttps2dq(v.d, v.a);
      return;
    case VecOp::SToF:
    case VecOp::UToF:
      if (op == VecOp::UToF) {
        vmovmskps(eax, v.a);
        test(eax, eax);
        jnz(slow, T_NEAR);
      }
      vcvtdq2ps(v.d, v.a);
      if (v.imm != 0) vmulps(v.d, v.d, constant32((127 - v.imm) << 23));
      return;
    default: AV_UNREACHABLE();
  }
}

/// The host takes b for zeros of different sign, where the greater is +0.
void Emitter::vector_fp_extreme(bool max, const Xmm& d, const Xmm& a, const Xmm& b, Label slow) {
  check_operands({a, b}, k_normal, slow);
  vcmpunordps(xmm0, a, b);
  vmovmskps(eax, xmm0);
  test(eax, eax);
  jnz(slow, T_NEAR);
  max ? vmaxps(xmm0, a, b) : vminps(xmm0, a, b);
  max ? vmaxps(xmm1, b, a) : vminps(xmm1, b, a);
  max ? vandps(d, xmm0, xmm1) : vorps(d, xmm0, xmm1);
}

}  // namespace armvisor::engine::jit
