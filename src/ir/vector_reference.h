#pragma once
// Inside of the vector reference functions: lanes, and one template per shape of operation (element-wise, pairwise,
// widening, narrowing). A function on elements gets them as T, the signed or unsigned type of the element size.
#include <bit>
#include <type_traits>

#include "base/types.h"
#include "ir/vector.h"

namespace armvisor::ir::reference {

#define VEC(name, fp, qc) V128 name(VecArgs& v);
#include "ir/vector_ops.inc"
#undef VEC

template <class T>
struct Lanes {
  static constexpr unsigned count = 16 / sizeof(T);
  T e[count] = {};
  Lanes() = default;
  explicit Lanes(const V128& v) : Lanes(std::bit_cast<Lanes>(v)) {}
  T& operator[](unsigned i) { return e[i]; }
  const T& operator[](unsigned i) const { return e[i]; }
  operator V128() const { return std::bit_cast<V128>(*this); }
};

template <class T>
inline constexpr unsigned k_bits = sizeof(T) * 8;

namespace detail {
template <unsigned Bits, bool Signed>
struct IntOf;
template <>
struct IntOf<8, false> {
  using type = u8;
};
template <>
struct IntOf<16, false> {
  using type = u16;
};
template <>
struct IntOf<32, false> {
  using type = u32;
};
template <>
struct IntOf<64, false> {
  using type = u64;
};
template <>
struct IntOf<128, false> {
  using type = u128;
};
template <>
struct IntOf<8, true> {
  using type = s8;
};
template <>
struct IntOf<16, true> {
  using type = s16;
};
template <>
struct IntOf<32, true> {
  using type = s32;
};
template <>
struct IntOf<64, true> {
  using type = s64;
};
template <>
struct IntOf<128, true> {
  using type = s128;
};
}  // namespace detail
template <unsigned Bits, bool Signed>
using Int = typename detail::IntOf<Bits, Signed>::type;

template <class T>
inline constexpr bool k_signed = T(-1) < T(0);
template <class T>
using Unsigned = Int<k_bits<T>, false>;
template <class T>
using Signed = Int<k_bits<T>, true>;
template <class T>
using Twice = Int<2 * k_bits<T>, k_signed<T>>;
template <class T>
using Half = Int<k_bits<T> / 2, k_signed<T>>;
/// Holds every sum, difference, rounding and left shift by up to the element size of T.
template <class T>
using Wide = Int<(k_bits<T> < 64 ? 64 : 128), k_signed<T>>;
template <class T>
using WideSigned = Int<(k_bits<T> < 64 ? 64 : 128), true>;

/// Calls f(T{}) with T the element type of `esize_log2`; sizes above Max are the callers' fault and count as Max.
template <bool IsSigned, unsigned Max = 64, class F>
V128 by_size(const VecArgs& v, F f) {
  if (v.esize_log2 <= 3) return f(Int<8, IsSigned>{});
  if (v.esize_log2 == 4 || Max == 16) return f(Int<16, IsSigned>{});
  if constexpr (Max >= 32) {
    if (v.esize_log2 == 5 || Max == 32) return f(Int<32, IsSigned>{});
  }
  if constexpr (Max >= 64) return f(Int<64, IsSigned>{});
  return {};
}

/// Number of lanes of T that count.
template <class T>
unsigned lane_count(const VecArgs& v) {
  return (v.q ? 16u : 8u) / static_cast<unsigned>(sizeof(T));
}

/// result[i] = f(a[i], b[i], c[i]), lanes of type T.
template <class T, class F>
V128 map_lanes(const VecArgs& v, F f) {
  const Lanes<T> a(v.a), b(v.b), c(v.c);
  Lanes<T> r;
  for (unsigned i = 0; i < lane_count<T>(v); ++i) r[i] = static_cast<T>(f(a[i], b[i], c[i]));
  return r;
}

/// The same for the element size of `v`.
template <bool IsSigned, class F>
V128 map(const VecArgs& v, F f) {
  return by_size<IsSigned>(v, [&](auto t) { return map_lanes<decltype(t)>(v, f); });
}

/// Neighbours of a give the low half of the result, neighbours of b the high half.
template <class T, class F>
V128 pairs_lanes(const VecArgs& v, F f) {
  const Lanes<T> a(v.a), b(v.b);
  Lanes<T> r;
  const unsigned half = lane_count<T>(v) / 2;
  for (unsigned i = 0; i < half; ++i) {
    r[i] = static_cast<T>(f(a[2 * i], a[2 * i + 1]));
    r[half + i] = static_cast<T>(f(b[2 * i], b[2 * i + 1]));
  }
  return r;
}

template <bool IsSigned, class F>
V128 pairs(const VecArgs& v, F f) {
  return by_size<IsSigned>(v, [&](auto t) { return pairs_lanes<decltype(t)>(v, f); });
}

/// Q result of twice the element size: f(a[i], b[i]) on the extended low halves of a and b.
template <bool IsSigned, class F>
V128 widen(const VecArgs& v, F f) {
  return by_size<IsSigned, 32>(v, [&](auto t) {
    using T = decltype(t);
    using W = Twice<T>;
    const Lanes<T> a(v.a), b(v.b);
    Lanes<W> r;
    for (unsigned i = 0; i < Lanes<W>::count; ++i) r[i] = static_cast<W>(f(W(a[i]), W(b[i])));
    return V128(r);
  });
}

/// The same with a already wide.
template <bool IsSigned, class F>
V128 widen_second(const VecArgs& v, F f) {
  return by_size<IsSigned, 32>(v, [&](auto t) {
    using T = decltype(t);
    using W = Twice<T>;
    const Lanes<W> a(v.a);
    const Lanes<T> b(v.b);
    Lanes<W> r;
    for (unsigned i = 0; i < Lanes<W>::count; ++i) r[i] = static_cast<W>(f(a[i], W(b[i])));
    return V128(r);
  });
}

/// Low half of the result from Q vectors of esize 16, 32 or 64: f(a[i], b[i]) gives the narrow element.
template <bool IsSigned, class F>
V128 narrow(const VecArgs& v, F f) {
  return by_size<IsSigned>(v, [&](auto t) {
    using T = decltype(t);
    if constexpr (sizeof(T) == 1) {
      return V128{};
    } else {
      using N = Int<k_bits<T> / 2, false>;
      const Lanes<T> a(v.a), b(v.b);
      Lanes<N> r;
      for (unsigned i = 0; i < Lanes<T>::count; ++i) r[i] = static_cast<N>(f(a[i], b[i]));
      return V128(r);
    }
  });
}

/// Clamps x to the range of T; sets QC when it was outside.
template <class T, class W>
T saturate(W x, VecArgs& v) {
  constexpr T max = k_signed<T> ? T(Unsigned<T>(~Unsigned<T>{0}) >> 1) : T(~Unsigned<T>{0});
  constexpr T min = k_signed<T> ? T(-max - 1) : T(0);
  if (x > W(max)) {
    v.fpscr_set |= arm::k_fpscr_qc;
    return max;
  }
  if (k_signed<W> && x < W(min)) {
    v.fpscr_set |= arm::k_fpscr_qc;
    return min;
  }
  return static_cast<T>(x);
}

/// x >> n with the manual's rounding constant when `rounding`; exact in Wide<T>.
template <class T>
Wide<T> shift_right(T x, unsigned n, bool rounding) {
  if (n > k_bits<T>) n = k_bits<T> + 1;
  if (n == 0) return x;
  const Wide<T> w = x;
  return (w + (rounding ? Wide<T>(1) << (n - 1) : Wide<T>(0))) >> n;
}

}  // namespace armvisor::ir::reference
