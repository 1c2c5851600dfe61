#pragma once
// Inside of arm/fp: unpacking, NaN selection and rounding (ARM DDI 0406C A2.7.7: FPUnpack, FPProcessNaN, FPRound).
// Finite values are kept normalised as (-1)^sign * mant * 2^(exp - 63) with bit 63 of mant set, so every format has at
// least 11 bits below its last place; what is shifted out below them is kept as a sticky bit 0.
#include <bit>

#include "arm/fp.h"

namespace armvisor::arm::fp {

template <class T>
struct Format {
  static constexpr int bits = sizeof(T) * 8;
  static constexpr int fraction = bits == 16 ? 10 : bits == 32 ? 23 : 52;
  static constexpr int exponent = bits - 1 - fraction;
  static constexpr u32 exp_max = (1u << exponent) - 1;  ///< encoding of infinities and NaNs
  static constexpr int bias = (1 << (exponent - 1)) - 1;
  static constexpr T fraction_mask = static_cast<T>((T{1} << fraction) - 1);
  static constexpr T sign_bit = static_cast<T>(T{1} << (bits - 1));
  static constexpr T quiet_bit = static_cast<T>(T{1} << (fraction - 1));
  static constexpr T inf_bits = static_cast<T>(T{exp_max} << fraction);
  static constexpr T default_nan = static_cast<T>(inf_bits | quiet_bit);
};

template <class T>
constexpr T zero(bool sign) {
  return sign ? Format<T>::sign_bit : T{0};
}
template <class T>
constexpr T infinity(bool sign) {
  return static_cast<T>(zero<T>(sign) | Format<T>::inf_bits);
}
template <class T>
constexpr bool is_nan(T a) {
  return static_cast<T>(a & ~Format<T>::sign_bit) > Format<T>::inf_bits;
}
template <class T>
constexpr bool is_snan(T a) {
  return is_nan(a) && !(a & Format<T>::quiet_bit);
}

enum class Kind : u8 { Finite, Zero, Inf, Nan };

struct Unpacked {
  Kind kind;
  bool sign;
  int exp;
  u64 mant;
};

/// FPUnpack. FZ does not apply to half precision; AHP gives its largest exponent to numbers.
template <class T>
inline Unpacked unpack(T a, FpEnv& env) {
  using F = Format<T>;
  const bool sign = (a & F::sign_bit) != 0;
  const u32 e = static_cast<u32>(a >> F::fraction) & F::exp_max;
  const u64 frac = a & F::fraction_mask;
  const bool special = F::bits == 16 ? e == F::exp_max && !env.ahp : e == F::exp_max;
  if (e != 0 && !special) [[likely]]
    return {Kind::Finite, sign, static_cast<int>(e) - F::bias, u64{1} << 63 | frac << (63 - F::fraction)};
  if (special) return {frac ? Kind::Nan : Kind::Inf, sign, 0, 0};
  if (frac == 0) return {Kind::Zero, sign, 0, 0};
  if (F::bits != 16 && env.fz) {
    env.flags |= k_fpscr_idc;
    return {Kind::Zero, sign, 0, 0};
  }
  const int lead = std::countl_zero(frac);
  return {Kind::Finite, sign, (63 - lead) - F::fraction + 1 - F::bias, frac << lead};
}

/// `x` shifted right, what falls out ORed into bit 0.
template <class U>
constexpr U shift_right_sticky(U x, unsigned n) {
  if (n == 0) return x;
  if (n >= sizeof(U) * 8) return x != 0;
  return (x >> n) | U((x << (sizeof(U) * 8 - n)) != 0);
}

/// Whether the magnitude rounds up; `rem` of `half` * 2 is the error, `odd` the last bit kept.
constexpr bool rounds_up(Rounding rounding, bool sign, bool odd, u64 rem, u64 half) {
  switch (rounding) {
    case Rounding::Nearest: return rem > half || (rem == half && odd);
    case Rounding::PlusInf: return !sign && rem != 0;
    case Rounding::MinusInf: return sign && rem != 0;
    case Rounding::Zero: return false;
    case Rounding::TieAway: return rem >= half;
  }
  return false;
}

/// What becomes of a magnitude too large for the format.
template <class T>
T overflow(bool sign, FpEnv& env) {
  using F = Format<T>;
  if (F::bits == 16 && env.ahp) {
    env.flags |= k_fpscr_ioc;
    return static_cast<T>(zero<T>(sign) | static_cast<T>(~F::sign_bit));
  }
  env.flags |= k_fpscr_ofc | k_fpscr_ixc;
  const bool to_inf = env.rounding == Rounding::Nearest || env.rounding == Rounding::TieAway ||
                      env.rounding == (sign ? Rounding::MinusInf : Rounding::PlusInf);
  return to_inf ? infinity<T>(sign) : static_cast<T>(infinity<T>(sign) - 1);
}

/// FPRound of (-1)^sign * mant * 2^(exp - 63), bit 63 of mant set. Tininess is detected before rounding.
template <class T>
inline T round(bool sign, int exp, u64 mant, FpEnv& env) {
  using F = Format<T>;
  constexpr unsigned shift = 63 - F::fraction;
  constexpr u64 mask = (u64{1} << shift) - 1, half = u64{1} << (shift - 1);
  int biased = exp + F::bias;
  if (biased <= 0) [[unlikely]] {
    if (F::bits != 16 && env.fz) {
      env.flags |= k_fpscr_ufc;
      return zero<T>(sign);
    }
    mant = shift_right_sticky(mant, static_cast<unsigned>(1 - biased));
    biased = 0;
    if (mant & mask) env.flags |= k_fpscr_ufc;
  }
  const u64 rem = mant & mask;
  u64 kept = mant >> shift;
  if (rem != 0) kept += rounds_up(env.rounding, sign, kept & 1, rem, half);
  // A normal number's leading bit adds 1 to the exponent field, as does the carry out of a rounding.
  const u64 magnitude = (biased > 0 ? static_cast<u64>(biased - 1) << F::fraction : 0) + kept;
  const u64 limit = F::bits == 16 && env.ahp ? u64{1} << (F::bits - 1) : u64{F::inf_bits};
  if (magnitude >= limit || biased > static_cast<int>(F::exp_max)) [[unlikely]]
    return overflow<T>(sign, env);
  if (rem != 0) env.flags |= k_fpscr_ixc;
  return static_cast<T>(zero<T>(sign) | static_cast<T>(magnitude));
}

template <class T>
T invalid(FpEnv& env) {
  env.flags |= k_fpscr_ioc;
  return Format<T>::default_nan;
}

/// FPProcessNaN.
template <class T>
T process_nan(T a, FpEnv& env) {
  if (is_snan(a)) env.flags |= k_fpscr_ioc;
  return env.dn ? Format<T>::default_nan : static_cast<T>(a | Format<T>::quiet_bit);
}

/// FPProcessNaNs, for when one of them is a NaN: signalling before quiet, first before second.
template <class T>
T process_nans(T a, T b, FpEnv& env) {
  if (is_snan(a)) return process_nan(a, env);
  if (is_snan(b)) return process_nan(b, env);
  return process_nan(is_nan(a) ? a : b, env);
}

}  // namespace armvisor::arm::fp
