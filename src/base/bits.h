#pragma once
// Bit fields in the manual's notation: bits<msb, lsb>(x), sign extension, rotation.
#include <array>
#include <bit>

#include "base/types.h"

namespace armvisor {

template <unsigned Msb, unsigned Lsb = Msb, class T>
constexpr T bits(T x) {
  static_assert(Msb >= Lsb && Msb < sizeof(T) * 8);
  constexpr unsigned width = Msb - Lsb + 1;
  if constexpr (width == sizeof(T) * 8)
    return x;
  else
    return static_cast<T>((x >> Lsb) & ((T{1} << width) - 1));
}

template <unsigned N, class T>
constexpr bool bit(T x) {
  return ((x >> N) & 1) != 0;
}

/// The low `width` bits set; width 0..64.
constexpr u64 low_mask(unsigned width) { return width >= 64 ? ~u64{0} : (u64{1} << width) - 1; }

/// Sign-extends the low `width` bits (1..32) of `x`.
constexpr u32 sign_extend(u32 x, unsigned width) {
  const u32 sign = 1u << (width - 1);
  const u32 low = static_cast<u32>(x & low_mask(width));
  return (low ^ sign) - sign;
}

constexpr u32 ror32(u32 x, unsigned n) { return std::rotr(x, static_cast<int>(n & 31)); }

/// f(k) for each bit k that is set, bit 0 of the first word being 0.
template <std::size_t N, class F>
void for_each_bit(const std::array<u64, N>& words, F f) {
  for (u32 k = 0; k < N; ++k)
    for (u64 left = words[k]; left != 0; left &= left - 1) f(k * 64 + static_cast<u32>(std::countr_zero(left)));
}

template <class T>
constexpr T align_down(T x, T a) {
  return x & ~(a - 1);
}
template <class T>
constexpr T align_up(T x, T a) {
  return (x + a - 1) & ~(a - 1);
}

}  // namespace armvisor
