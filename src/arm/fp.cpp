// Arithmetic and comparison (ARM DDI 0406C A2.7.7).
#include "arm/fp.h"

#include <initializer_list>
#include <utility>

#include "arm/fp_format.h"

namespace armvisor::arm {

namespace fp {
namespace {

/// Sum of two finite numbers, halved when `scale` is -1 (FPHalvedSub), rounded once.
template <class T>
T add_finite(Unpacked a, Unpacked b, int scale, FpEnv& env) {
  if (a.exp < b.exp || (a.exp == b.exp && a.mant < b.mant)) std::swap(a, b);
  const u64 big = a.mant >> 1;  // room for the carry; at least 10 bits stay below the last place
  const u64 small = shift_right_sticky(b.mant >> 1, static_cast<unsigned>(a.exp - b.exp));
  const u64 sum = a.sign == b.sign ? big + small : big - small;
  if (sum == 0) return zero<T>(env.rounding == Rounding::MinusInf);
  const int lead = std::countl_zero(sum);
  return round<T>(a.sign, a.exp + 1 - lead + scale, sum << lead, env);
}

template <class T>
T add(T a, T b, bool negate_b, int scale, FpEnv& env) {
  const Unpacked ua = unpack(a, env);
  Unpacked ub = unpack(b, env);
  if (ua.kind == Kind::Finite && ub.kind == Kind::Finite) [[likely]] {
    ub.sign ^= negate_b;
    return add_finite<T>(ua, ub, scale, env);
  }
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return process_nans(a, b, env);
  ub.sign ^= negate_b;
  if (ua.kind == Kind::Inf) {
    if (ub.kind == Kind::Inf && ua.sign != ub.sign) return invalid<T>(env);
    return infinity<T>(ua.sign);
  }
  if (ub.kind == Kind::Inf) return infinity<T>(ub.sign);
  if (ua.kind == Kind::Zero && ub.kind == Kind::Zero)
    return zero<T>(ua.sign == ub.sign ? ua.sign : env.rounding == Rounding::MinusInf);
  const Unpacked& other = ua.kind == Kind::Zero ? ub : ua;
  return round<T>(other.sign, other.exp + scale, other.mant, env);
}

/// High 64 bits of the product, normalised, with a sticky bit.
template <class T>
T mul_finite(const Unpacked& a, const Unpacked& b, FpEnv& env) {
  const u128 product = static_cast<u128>(a.mant) * b.mant;
  u64 high = static_cast<u64>(product >> 64);
  u64 low = static_cast<u64>(product);
  int exp = a.exp + b.exp + 1;
  if (!(high >> 63)) {
    high = high << 1 | low >> 63;
    low <<= 1;
    --exp;
  }
  return round<T>(a.sign != b.sign, exp, high | (low != 0), env);
}

template <class T>
T div_finite(const Unpacked& a, const Unpacked& b, FpEnv& env) {
  u64 quotient, remainder;
  if constexpr (sizeof(T) == 4) {
    const u64 n = a.mant >> 40 << 39, d = b.mant >> 40;  // 24-bit significands; quotient of 39 or 40 bits
    quotient = n / d << 24;
    remainder = n % d;
  } else {
    const u128 n = static_cast<u128>(a.mant >> 1) << 64;  // quotient of 63 or 64 bits
    quotient = static_cast<u64>(n / b.mant);
    remainder = static_cast<u64>(n % b.mant);
  }
  const int lead = std::countl_zero(quotient);
  return round<T>(a.sign != b.sign, a.exp - b.exp - lead, quotient << lead | (remainder != 0), env);
}

/// Square root of mant (in [1, 4) with `frac` fraction bits) digit by digit: frac + 2 result bits and a sticky bit.
u64 root(u64 mant, int frac) {
  u64 result = 0, partial = 0;
  mant <<= 1;
  for (u64 digit = u64{1} << (frac + 1); digit != 0; digit >>= 1) {
    const u64 trial = partial + digit;
    if (trial <= mant) {
      partial = trial + digit;
      mant -= trial;
      result += digit;
    }
    mant <<= 1;
  }
  return result << 1 | (mant != 0);
}

/// The exact sum of a product and an addend, both finite, in 128 bits; the product of two 53-bit significands has at
/// least 20 zero bits below it there, so a sticky bit decides every rounding.
template <class T>
T mul_add_finite(const Unpacked& a, const Unpacked& n, const Unpacked& m, FpEnv& env) {
  u128 product = static_cast<u128>(n.mant) * m.mant;
  int product_exp = n.exp + m.exp;  // product = mantissa * 2^(product_exp - 126)
  if (product >> 127) {
    product >>= 1;
    ++product_exp;
  }
  const bool product_sign = n.sign != m.sign;
  u128 big = product, small = static_cast<u128>(a.mant) << 63;
  int exp = product_exp, other = a.exp;
  bool sign = product_sign;
  if (other > exp || (other == exp && small > big)) {
    std::swap(big, small);
    std::swap(exp, other);
    sign = a.sign;
  }
  small = shift_right_sticky(small, static_cast<unsigned>(exp - other));
  const u128 sum = product_sign == a.sign ? big + small : big - small;
  if (sum == 0) return zero<T>(env.rounding == Rounding::MinusInf);
  const u64 high = static_cast<u64>(sum >> 64);
  const int lead = high ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<u64>(sum));
  const u128 normal = sum << lead;
  return round<T>(sign, exp + 1 - lead, static_cast<u64>(normal >> 64) | (static_cast<u64>(normal) != 0), env);
}

/// FPProcessNaNs3: the addend comes first.
template <class T>
T process_nans3(T a, T n, T m, FpEnv& env) {
  for (T x : {a, n, m})
    if (is_snan(x)) return process_nan(x, env);
  for (T x : {a, n, m})
    if (is_nan(x)) return process_nan(x, env);
  return a;
}

template <class T>
T mul_add_special(T a, T n, T m, const Unpacked& ua, const Unpacked& un, const Unpacked& um, FpEnv& env) {
  const bool inf_times_zero =
      (un.kind == Kind::Inf && um.kind == Kind::Zero) || (un.kind == Kind::Zero && um.kind == Kind::Inf);
  if (inf_times_zero && !is_snan(a)) return invalid<T>(env);  // even when the addend is a quiet NaN
  if (ua.kind == Kind::Nan || un.kind == Kind::Nan || um.kind == Kind::Nan) return process_nans3(a, n, m, env);
  const bool product_sign = un.sign != um.sign;
  const bool product_inf = un.kind == Kind::Inf || um.kind == Kind::Inf;
  if (ua.kind == Kind::Inf && product_inf && ua.sign != product_sign) return invalid<T>(env);
  if (ua.kind == Kind::Inf) return infinity<T>(ua.sign);
  if (product_inf) return infinity<T>(product_sign);
  const bool product_zero = un.kind == Kind::Zero || um.kind == Kind::Zero;
  if (!product_zero) return mul_finite<T>(un, um, env);  // the addend is zero
  if (ua.kind == Kind::Finite) return round<T>(ua.sign, ua.exp, ua.mant, env);
  return zero<T>(ua.sign == product_sign ? ua.sign : env.rounding == Rounding::MinusInf);
}

/// Maps finite numbers, infinities and both zeros to integers in their order.
template <class T>
s64 order(T a, const Unpacked& u) {
  if (u.kind == Kind::Zero) return 0;
  const s64 magnitude = static_cast<s64>(static_cast<T>(a & ~Format<T>::sign_bit));
  return u.sign ? -magnitude : magnitude;
}

enum class Relation : u8 { Less, Equal, Greater, Unordered };

template <class T>
Relation relation(T a, T b, bool signal_all_nans, FpEnv& env) {
  const Unpacked ua = unpack(a, env), ub = unpack(b, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) {
    if (signal_all_nans || is_snan(a) || is_snan(b)) env.flags |= k_fpscr_ioc;
    return Relation::Unordered;
  }
  const s64 x = order(a, ua), y = order(b, ub);
  return x < y ? Relation::Less : x == y ? Relation::Equal : Relation::Greater;
}

template <class T>
T max_min(T a, T b, bool max, FpEnv& env) {
  const Unpacked ua = unpack(a, env), ub = unpack(b, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return process_nans(a, b, env);
  const s64 x = order(a, ua), y = order(b, ub);
  if (x == y && ua.kind == Kind::Zero) return zero<T>(max ? ua.sign && ub.sign : ua.sign || ub.sign);
  const bool first = max ? x > y : x < y;
  const Unpacked& u = first ? ua : ub;
  return u.kind == Kind::Zero ? zero<T>(u.sign) : first ? a : b;
}

}  // namespace
}  // namespace fp

using fp::Format;
using fp::Kind;
using fp::Unpacked;

template <class T>
T fp_add(T a, T b, FpEnv& env) {
  return fp::add(a, b, false, 0, env);
}

template <class T>
T fp_sub(T a, T b, FpEnv& env) {
  return fp::add(a, b, true, 0, env);
}

template <class T>
T fp_mul(T a, T b, FpEnv& env) {
  const Unpacked ua = fp::unpack(a, env), ub = fp::unpack(b, env);
  if (ua.kind == Kind::Finite && ub.kind == Kind::Finite) [[likely]]
    return fp::mul_finite<T>(ua, ub, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return fp::process_nans(a, b, env);
  const bool sign = ua.sign != ub.sign, any_zero = ua.kind == Kind::Zero || ub.kind == Kind::Zero;
  if (ua.kind == Kind::Inf || ub.kind == Kind::Inf) return any_zero ? fp::invalid<T>(env) : fp::infinity<T>(sign);
  return fp::zero<T>(sign);
}

template <class T>
T fp_div(T a, T b, FpEnv& env) {
  const Unpacked ua = fp::unpack(a, env), ub = fp::unpack(b, env);
  if (ua.kind == Kind::Finite && ub.kind == Kind::Finite) [[likely]]
    return fp::div_finite<T>(ua, ub, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return fp::process_nans(a, b, env);
  if (ua.kind == ub.kind) return fp::invalid<T>(env);  // inf / inf, 0 / 0
  const bool sign = ua.sign != ub.sign;
  if (ua.kind == Kind::Inf) return fp::infinity<T>(sign);
  if (ub.kind == Kind::Inf || ua.kind == Kind::Zero) return fp::zero<T>(sign);
  env.flags |= k_fpscr_dzc;
  return fp::infinity<T>(sign);
}

template <class T>
T fp_sqrt(T a, FpEnv& env) {
  const Unpacked u = fp::unpack(a, env);
  if (u.kind == Kind::Nan) return fp::process_nan(a, env);
  if (u.kind == Kind::Zero) return fp::zero<T>(u.sign);
  if (u.sign) return fp::invalid<T>(env);
  if (u.kind == Kind::Inf) return a;
  constexpr int frac = Format<T>::fraction;
  const u64 radicand = (u.mant >> (63 - frac)) << (u.exp & 1);
  const u64 result = fp::root(radicand, frac);  // frac + 3 bits, the lowest sticky
  return fp::round<T>(false, u.exp >> 1, result << (61 - frac), env);
}

template <class T>
T fp_mul_add(T a, T n, T m, FpEnv& env) {
  const Unpacked ua = fp::unpack(a, env), un = fp::unpack(n, env), um = fp::unpack(m, env);
  if (ua.kind == Kind::Finite && un.kind == Kind::Finite && um.kind == Kind::Finite) [[likely]]
    return fp::mul_add_finite<T>(ua, un, um, env);
  return fp::mul_add_special(a, n, m, ua, un, um, env);
}

template <class T>
T fp_max(T a, T b, FpEnv& env) {
  return fp::max_min(a, b, true, env);
}

template <class T>
T fp_min(T a, T b, FpEnv& env) {
  return fp::max_min(a, b, false, env);
}

template <class T>
u32 fp_compare(T a, T b, bool signal_all_nans, FpEnv& env) {
  constexpr u32 nzcv[] = {8u << 28, 6u << 28, 2u << 28, 3u << 28};
  return nzcv[static_cast<u8>(fp::relation(a, b, signal_all_nans, env))];
}

template <class T>
bool fp_eq(T a, T b, FpEnv& env) {
  return fp::relation(a, b, false, env) == fp::Relation::Equal;
}

template <class T>
bool fp_ge(T a, T b, FpEnv& env) {
  const auto r = fp::relation(a, b, true, env);
  return r == fp::Relation::Equal || r == fp::Relation::Greater;
}

template <class T>
bool fp_gt(T a, T b, FpEnv& env) {
  return fp::relation(a, b, true, env) == fp::Relation::Greater;
}

template <class T>
T fp_neg(T a) {
  return a ^ Format<T>::sign_bit;
}

template <class T>
T fp_abs(T a) {
  return a & ~Format<T>::sign_bit;
}

#define AV_INSTANTIATE(T)                         \
  template T fp_add<T>(T, T, FpEnv&);             \
  template T fp_sub<T>(T, T, FpEnv&);             \
  template T fp_mul<T>(T, T, FpEnv&);             \
  template T fp_div<T>(T, T, FpEnv&);             \
  template T fp_sqrt<T>(T, FpEnv&);               \
  template T fp_mul_add<T>(T, T, T, FpEnv&);      \
  template T fp_max<T>(T, T, FpEnv&);             \
  template T fp_min<T>(T, T, FpEnv&);             \
  template u32 fp_compare<T>(T, T, bool, FpEnv&); \
  template bool fp_eq<T>(T, T, FpEnv&);           \
  template bool fp_ge<T>(T, T, FpEnv&);           \
  template bool fp_gt<T>(T, T, FpEnv&);           \
  template T fp_neg<T>(T);                        \
  template T fp_abs<T>(T);
AV_INSTANTIATE(u32)
AV_INSTANTIATE(u64)
#undef AV_INSTANTIATE

/// VRSQRTS: (3 - a * b) / 2, the product rounded before (FPRSqrtStep with FPHalvedSub).
u32 fp_rsqrt_step(u32 a, u32 b, FpEnv& env) {
  constexpr u32 three = 0x40400000;
  const Unpacked ua = fp::unpack(a, env), ub = fp::unpack(b, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return fp::process_nans(a, b, env);
  const bool inf_times_zero =
      (ua.kind == Kind::Inf && ub.kind == Kind::Zero) || (ua.kind == Kind::Zero && ub.kind == Kind::Inf);
  return fp::add(three, inf_times_zero ? 0u : fp_mul(a, b, env), true, -1, env);
}

/// VRECPS: 2 - a * b, the product rounded before (FPRecipStep).
u32 fp_recip_step(u32 a, u32 b, FpEnv& env) {
  constexpr u32 two = 0x40000000;
  const Unpacked ua = fp::unpack(a, env), ub = fp::unpack(b, env);
  if (ua.kind == Kind::Nan || ub.kind == Kind::Nan) return fp::process_nans(a, b, env);
  const bool inf_times_zero =
      (ua.kind == Kind::Inf && ub.kind == Kind::Zero) || (ua.kind == Kind::Zero && ub.kind == Kind::Inf);
  return fp_sub(two, inf_times_zero ? 0u : fp_mul(a, b, env), env);
}

}  // namespace armvisor::arm
