// Conversions between formats and to and from fixed point (ARM DDI 0406C A2.7.7).
#include "arm/fp.h"
#include "arm/fp_format.h"
#include "base/bits.h"

namespace armvisor::arm {

using fp::Format;
using fp::Kind;
using fp::Unpacked;

namespace {

/// Clamps sign * magnitude to `width` bits (SatQ), as a sign- or zero-extended 64-bit value. True: it did not fit.
bool saturate(bool sign, u128 magnitude, unsigned width, bool is_unsigned, u64& out) {
  const u128 max = is_unsigned ? low_mask(width) : low_mask(width - 1);
  const u128 limit = sign ? (is_unsigned ? u128{0} : max + 1) : max;
  const bool over = magnitude > limit;
  const u64 m = static_cast<u64>(over ? limit : magnitude);
  out = sign ? u64{0} - m : m;
  return over;
}

/// NaN operands of the conversions among formats: sign and the top of the fraction are kept.
template <class To, class From>
To convert_nan(From a, FpEnv& env) {
  using F = Format<From>;
  using G = Format<To>;
  if (fp::is_snan(a)) env.flags |= k_fpscr_ioc;
  if (env.dn) return G::default_nan;
  const u64 frac = a & F::fraction_mask;
  const u64 kept = G::fraction >= F::fraction ? frac << ((G::fraction - F::fraction) & 63)
                                              : frac >> ((F::fraction - G::fraction) & 63);
  return static_cast<To>(fp::zero<To>((a & F::sign_bit) != 0) | G::default_nan | static_cast<To>(kept));
}

template <class To, class From>
To convert(From a, FpEnv& env) {
  const Unpacked u = fp::unpack(a, env);
  switch (u.kind) {
    case Kind::Finite: return fp::round<To>(u.sign, u.exp, u.mant, env);
    case Kind::Zero: return fp::zero<To>(u.sign);
    case Kind::Inf: return fp::infinity<To>(u.sign);
    case Kind::Nan: break;
  }
  return convert_nan<To>(a, env);
}

}  // namespace

template <class T>
u64 fp_to_fixed(T a, unsigned width, unsigned fraction_bits, bool is_unsigned, Rounding rounding, FpEnv& env) {
  const Unpacked u = fp::unpack(a, env);
  u64 out = 0;
  if (u.kind == Kind::Zero) return 0;
  if (u.kind == Kind::Nan) {
    env.flags |= k_fpscr_ioc;
    return 0;
  }
  const int exp = u.kind == Kind::Inf ? 64 : u.exp + static_cast<int>(fraction_bits);
  if (exp >= 64) {
    saturate(u.sign, ~u128{0}, width, is_unsigned, out);
    env.flags |= k_fpscr_ioc;
    return out;
  }
  // Integer part in the high word, fraction in the low one (63 bits and a sticky bit are enough).
  const u128 fixed = fp::shift_right_sticky(static_cast<u128>(u.mant) << 64, static_cast<unsigned>(63 - exp));
  const u64 rem = static_cast<u64>(fixed);
  u128 magnitude = fixed >> 64;
  if (rem != 0) magnitude += fp::rounds_up(rounding, u.sign, magnitude & 1, rem, u64{1} << 63);
  if (saturate(u.sign, magnitude, width, is_unsigned, out))
    env.flags |= k_fpscr_ioc;
  else if (rem != 0)
    env.flags |= k_fpscr_ixc;
  return out;
}

template <class T>
T fixed_to_fp(u64 a, unsigned width, unsigned fraction_bits, bool is_unsigned, FpEnv& env) {
  a &= low_mask(width);
  const bool sign = !is_unsigned && (a >> (width - 1)) != 0;
  const u64 magnitude = sign ? (u64{0} - a) & low_mask(width) : a;
  if (magnitude == 0) return 0;
  const int lead = std::countl_zero(magnitude);
  return fp::round<T>(sign, 63 - lead - static_cast<int>(fraction_bits), magnitude << lead, env);
}

u64 fp_single_to_double(u32 a, FpEnv& env) { return convert<u64>(a, env); }
u32 fp_double_to_single(u64 a, FpEnv& env) { return convert<u32>(a, env); }
u32 fp_half_to_single(u16 a, FpEnv& env) { return convert<u32>(a, env); }

u16 fp_single_to_half(u32 a, FpEnv& env) {
  if (env.ahp && (a & ~Format<u32>::sign_bit) >= Format<u32>::inf_bits) {
    // The alternative format has neither: a NaN becomes zero, an infinity the largest number.
    env.flags |= k_fpscr_ioc;
    const u16 sign = fp::zero<u16>((a & Format<u32>::sign_bit) != 0);
    return fp::is_nan(a) ? sign : sign | 0x7fff;
  }
  return convert<u16>(a, env);
}

#define AV_INSTANTIATE(T)                                                     \
  template u64 fp_to_fixed<T>(T, unsigned, unsigned, bool, Rounding, FpEnv&); \
  template T fixed_to_fp<T>(u64, unsigned, unsigned, bool, FpEnv&);
AV_INSTANTIATE(u32)
AV_INSTANTIATE(u64)
#undef AV_INSTANTIATE

}  // namespace armvisor::arm
