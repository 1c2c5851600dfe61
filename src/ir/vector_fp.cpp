// Single-precision operations under StandardFPSCRValue (ARM DDI 0406C A2.7.8).
#include "ir/vector_reference.h"

namespace armvisor::ir::reference {

using arm::FpEnv;

namespace {

/// f(a[i], b[i], c[i], env) on each lane; the flags go to v.fpscr_set.
template <class F>
V128 map_fp(VecArgs& v, F f) {
  FpEnv env = FpEnv::standard(v.fpscr);
  const V128 r = map_lanes<u32>(v, [&](u32 a, u32 b, u32 c) { return f(a, b, c, env); });
  v.fpscr_set |= env.flags;
  return r;
}

template <class F>
V128 pairs_fp(VecArgs& v, F f) {
  FpEnv env = FpEnv::standard(v.fpscr);
  const V128 r = pairs_lanes<u32>(v, [&](u32 x, u32 y) { return f(x, y, env); });
  v.fpscr_set |= env.flags;
  return r;
}

u32 all_if(bool condition) { return condition ? ~0u : 0u; }

}  // namespace

#define FP_OP(name, expression)                                                                  \
  V128 name(VecArgs& v) {                                                                        \
    return map_fp(v, [&]([[maybe_unused]] u32 a, [[maybe_unused]] u32 b, [[maybe_unused]] u32 c, \
                         [[maybe_unused]] FpEnv& env) { return expression; });                   \
  }
FP_OP(FAdd, arm::fp_add(a, b, env))
FP_OP(FSub, arm::fp_sub(a, b, env))
FP_OP(FMul, arm::fp_mul(a, b, env))
FP_OP(FAbd, arm::fp_abs(arm::fp_sub(a, b, env)))
FP_OP(FMax, arm::fp_max(a, b, env))
FP_OP(FMin, arm::fp_min(a, b, env))
FP_OP(FMla, arm::fp_add(c, arm::fp_mul(a, b, env), env))
FP_OP(FMls, arm::fp_add(c, arm::fp_neg(arm::fp_mul(a, b, env)), env))
FP_OP(FFma, arm::fp_mul_add(c, a, b, env))
FP_OP(FFms, arm::fp_mul_add(c, arm::fp_neg(a), b, env))
FP_OP(FCmpEq, all_if(arm::fp_eq(a, b, env)))
FP_OP(FCmpGe, all_if(arm::fp_ge(a, b, env)))
FP_OP(FCmpGt, all_if(arm::fp_gt(a, b, env)))
FP_OP(FAbsCmpGe, all_if(arm::fp_ge(arm::fp_abs(a), arm::fp_abs(b), env)))
FP_OP(FAbsCmpGt, all_if(arm::fp_gt(arm::fp_abs(a), arm::fp_abs(b), env)))
FP_OP(FRecps, arm::fp_recip_step(a, b, env))
FP_OP(FRsqrts, arm::fp_rsqrt_step(a, b, env))
FP_OP(FRecpe, arm::fp_recip_estimate(a, env))
FP_OP(FRsqrte, arm::fp_rsqrt_estimate(a, env))
FP_OP(URecpe, arm::unsigned_recip_estimate(a))
FP_OP(URsqrte, arm::unsigned_rsqrt_estimate(a))
FP_OP(FAbs, arm::fp_abs(a))
FP_OP(FNeg, arm::fp_neg(a))
FP_OP(FToS, static_cast<u32>(arm::fp_to_fixed(a, 32, v.imm, false, arm::Rounding::Zero, env)))
FP_OP(FToU, static_cast<u32>(arm::fp_to_fixed(a, 32, v.imm, true, arm::Rounding::Zero, env)))
FP_OP(SToF, arm::fixed_to_fp<u32>(a, 32, v.imm, false, env))
FP_OP(UToF, arm::fixed_to_fp<u32>(a, 32, v.imm, true, env))

V128 FPAdd(VecArgs& v) { return pairs_fp(v, arm::fp_add<u32>); }
V128 FPMax(VecArgs& v) { return pairs_fp(v, arm::fp_max<u32>); }
V128 FPMin(VecArgs& v) { return pairs_fp(v, arm::fp_min<u32>); }

V128 FNarrow16(VecArgs& v) {
  FpEnv env = FpEnv::standard(v.fpscr);
  const Lanes<u32> a(v.a);
  Lanes<u16> r;
  for (unsigned i = 0; i < 4; ++i) r[i] = arm::fp_single_to_half(a[i], env);
  v.fpscr_set |= env.flags;
  return r;
}

V128 FWiden16(VecArgs& v) {
  FpEnv env = FpEnv::standard(v.fpscr);
  const Lanes<u16> a(v.a);
  Lanes<u32> r;
  for (unsigned i = 0; i < 4; ++i) r[i] = arm::fp_half_to_single(a[i], env);
  v.fpscr_set |= env.flags;
  return r;
}

}  // namespace armvisor::ir::reference
