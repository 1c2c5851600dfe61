#pragma once
// Floating point as the architecture defines it (ARM DDI 0406C A2.7): bit patterns in, bit patterns out, exact in
// results and cumulative flags. No host floating point. T is u16 (half, conversions only), u32 (single) or u64
// (double).
#include "base/types.h"

namespace armvisor::arm {

inline constexpr u32 k_fpscr_ioc = 1u << 0, k_fpscr_dzc = 1u << 1, k_fpscr_ofc = 1u << 2, k_fpscr_ufc = 1u << 3,
                     k_fpscr_ixc = 1u << 4, k_fpscr_idc = 1u << 7, k_fpscr_len = 7u << 16, k_fpscr_stride = 3u << 20,
                     k_fpscr_rmode = 3u << 22, k_fpscr_fz = 1u << 24, k_fpscr_dn = 1u << 25, k_fpscr_ahp = 1u << 26,
                     k_fpscr_qc = 1u << 27;
inline constexpr u32 k_fpscr_cumulative = 0x9f;

enum class Rounding : u8 { Nearest = 0, PlusInf = 1, MinusInf = 2, Zero = 3, TieAway = 4 };

/// Control in, cumulative flags out. `standard()` is StandardFPSCRValue (A2.7.8), which Advanced SIMD uses.
struct FpEnv {
  Rounding rounding = Rounding::Nearest;
  bool fz = false, dn = false, ahp = false;
  u32 flags = 0;  ///< ORed into FPSCR by the caller (bits of k_fpscr_cumulative)

  static FpEnv from_fpscr(u32 fpscr) {
    return {static_cast<Rounding>((fpscr >> 22) & 3), (fpscr & k_fpscr_fz) != 0, (fpscr & k_fpscr_dn) != 0,
            (fpscr & k_fpscr_ahp) != 0, 0};
  }
  static FpEnv standard(u32 fpscr) { return {Rounding::Nearest, true, true, (fpscr & k_fpscr_ahp) != 0, 0}; }
};

template <class T>
T fp_add(T a, T b, FpEnv& env);
template <class T>
T fp_sub(T a, T b, FpEnv& env);
template <class T>
T fp_mul(T a, T b, FpEnv& env);
template <class T>
T fp_div(T a, T b, FpEnv& env);
template <class T>
T fp_sqrt(T a, FpEnv& env);
/// a + n * m, rounded once (FPMulAdd). Callers negate operands for VFMS, VFNMA, VFNMS.
template <class T>
T fp_mul_add(T a, T n, T m, FpEnv& env);
template <class T>
T fp_max(T a, T b, FpEnv& env);
template <class T>
T fp_min(T a, T b, FpEnv& env);
/// FPCompare: NZCV in bits [31:28]. `signal_all_nans` for VCMPE.
template <class T>
u32 fp_compare(T a, T b, bool signal_all_nans, FpEnv& env);
template <class T>
bool fp_eq(T a, T b, FpEnv& env);  ///< FPCompareEQ: only signalling NaNs raise Invalid
template <class T>
bool fp_ge(T a, T b, FpEnv& env);
template <class T>
bool fp_gt(T a, T b, FpEnv& env);
template <class T>
T fp_neg(T a);
template <class T>
T fp_abs(T a);
/// FPToFixed: to a `width`-bit (16, 32 or 64) integer with `fraction_bits`, saturating; rounding as given. The result
/// is sign-extended (zero-extended when `is_unsigned`) to 64 bits.
template <class T>
u64 fp_to_fixed(T a, unsigned width, unsigned fraction_bits, bool is_unsigned, Rounding rounding, FpEnv& env);
/// FixedToFP of a `width`-bit integer.
template <class T>
T fixed_to_fp(u64 a, unsigned width, unsigned fraction_bits, bool is_unsigned, FpEnv& env);
u64 fp_single_to_double(u32 a, FpEnv& env);
u32 fp_double_to_single(u64 a, FpEnv& env);
u32 fp_half_to_single(u16 a, FpEnv& env);
u16 fp_single_to_half(u32 a, FpEnv& env);
// Advanced SIMD estimates and steps (A2.7.7: VRECPE, VRSQRTE, VRECPS, VRSQRTS).
u32 fp_recip_estimate(u32 a, FpEnv& env);
u32 fp_rsqrt_estimate(u32 a, FpEnv& env);
u32 fp_recip_step(u32 a, u32 b, FpEnv& env);
u32 fp_rsqrt_step(u32 a, u32 b, FpEnv& env);
u32 unsigned_recip_estimate(u32 a);
u32 unsigned_rsqrt_estimate(u32 a);

}  // namespace armvisor::arm
