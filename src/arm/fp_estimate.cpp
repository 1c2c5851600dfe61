// Reciprocal and reciprocal square root estimates (ARM DDI 0406C A2.7.7, "recip_estimate" and "recip_sqrt_estimate").
// The manual states them in real arithmetic; here the same 8-bit results come from integers, tabulated at compile time.
#include <array>

#include "arm/fp.h"
#include "arm/fp_format.h"

namespace armvisor::arm {

using fp::Kind;
using fp::Unpacked;

namespace {

/// [q - 256]: round(256 * 512 / (q + 0.5)) for q = 256..511, the 9 leading bits of an operand in [0.5, 1).
constexpr std::array<u16, 256> k_recip = [] {
  std::array<u16, 256> t{};
  for (u32 q = 256; q < 512; ++q) {
    const u32 d = 2 * q + 1;
    t[q - 256] = static_cast<u16>((2u * 256 * 1024 + d) / (2 * d));
  }
  return t;
}();

constexpr u32 integer_root(u32 x) {
  u32 r = 0;
  for (u32 b = 1u << 15; b != 0; b >>= 1)
    if ((r + b) * (r + b) <= x) r += b;
  return r;
}

/// [q - 128]: operands in [0.25, 0.5) by 9 bits; [128 + q - 128]: operands in [0.5, 1) by 8 bits.
constexpr std::array<u16, 256> k_rsqrt = [] {
  std::array<u16, 256> t{};
  for (u32 q = 128; q < 256; ++q) {
    t[q - 128] = static_cast<u16>((integer_root((1u << 28) / (2 * q + 1)) + 1) / 2);
    t[q] = static_cast<u16>((integer_root((1u << 27) / (2 * q + 1)) + 1) / 2);
  }
  return t;
}();

}  // namespace

u32 fp_recip_estimate(u32 a, FpEnv& env) {
  const Unpacked u = fp::unpack(a, env);
  if (u.kind == Kind::Nan) return fp::process_nan(a, env);
  if (u.kind == Kind::Inf) return fp::zero<u32>(u.sign);
  if (u.kind == Kind::Zero) {
    env.flags |= k_fpscr_dzc;
    return fp::infinity<u32>(u.sign);
  }
  if (u.exp >= 126) {
    env.flags |= k_fpscr_ufc;
    return fp::zero<u32>(u.sign);
  }
  const u32 s = k_recip[(u.mant >> 55) - 256];
  return fp::zero<u32>(u.sign) | static_cast<u32>(126 - u.exp) << 23 | (s & 0xff) << 15;
}

u32 fp_rsqrt_estimate(u32 a, FpEnv& env) {
  const Unpacked u = fp::unpack(a, env);
  if (u.kind == Kind::Nan) return fp::process_nan(a, env);
  if (u.kind == Kind::Zero) {
    env.flags |= k_fpscr_dzc;
    return fp::infinity<u32>(u.sign);
  }
  if (u.sign) return fp::invalid<u32>(env);
  if (u.kind == Kind::Inf) return 0;
  // An odd unbiased exponent (even encoding) scales to [0.5, 1), an even one to [0.25, 0.5).
  const bool high = (u.exp & 1) != 0;
  const u32 s = high ? k_rsqrt[u.mant >> 56] : k_rsqrt[(u.mant >> 56) - 128];
  return static_cast<u32>(380 - (u.exp + 127)) / 2 << 23 | (s & 0xff) << 15;
}

u32 unsigned_recip_estimate(u32 a) { return a >> 31 ? u32{k_recip[(a >> 23) - 256]} << 23 : ~0u; }

u32 unsigned_rsqrt_estimate(u32 a) {
  if (a >> 30 == 0) return ~0u;
  return u32{a >> 31 ? k_rsqrt[a >> 24] : k_rsqrt[(a >> 23) - 128]} << 23;
}

}  // namespace armvisor::arm
