// Integer operations that keep, widen or narrow the element size (ARM DDI 0406C A8.8, by instruction).
#include "ir/vector_reference.h"

namespace armvisor::ir::reference {

namespace {

template <class T>
T polynomial_product(T a, T b) {
  T r = 0;
  for (unsigned i = 0; i < k_bits<T>; ++i)
    if ((b >> i) & 1) r = static_cast<T>(r ^ (a << i));
  return r;
}

/// Doubling product of two elements, exact.
template <class T>
auto doubled(T a, T b) {
  return Int<(k_bits<T> < 32 ? 64 : 128), true>(a) * b * 2;
}

template <class T>
T absolute_difference(T a, T b) {
  return static_cast<T>(a > b ? Unsigned<T>(a) - Unsigned<T>(b) : Unsigned<T>(b) - Unsigned<T>(a));
}

template <class T>
T magnitude(T a) {
  return static_cast<T>(a < 0 ? Unsigned<T>(0) - Unsigned<T>(a) : Unsigned<T>(a));
}

/// Reverses the elements of type T within containers of `container` bytes.
V128 reverse_in(const VecArgs& v, unsigned container) {
  return by_size<false>(v, [&](auto t) {
    using T = decltype(t);
    const unsigned last = container / static_cast<unsigned>(sizeof(T)) - 1;
    const Lanes<T> a(v.a);
    Lanes<T> r;
    if (container < sizeof(T)) return V128(a);
    for (unsigned i = 0; i < lane_count<T>(v); ++i) r[i] = a[i ^ last];
    return V128(r);
  });
}

template <bool IsSigned>
V128 pairwise_add_long(const VecArgs& v) {
  return by_size<IsSigned, 32>(v, [&](auto t) {
    using T = decltype(t);
    const Lanes<T> a(v.a);
    Lanes<Twice<T>> r;
    for (unsigned i = 0; i < lane_count<Twice<T>>(v); ++i)
      r[i] = static_cast<Twice<T>>(Twice<T>(a[2 * i]) + Twice<T>(a[2 * i + 1]));
    return V128(r);
  });
}

/// High half of a sum or difference (VADDHN, VSUBHN and their rounding forms).
V128 high_half(const VecArgs& v, bool subtract, bool rounding) {
  return narrow<false>(v, [=](auto a, auto b) {
    using T = decltype(a);
    const Wide<T> sum = subtract ? Wide<T>(a) - b : Wide<T>(a) + b;
    return static_cast<T>(sum + (Wide<T>(rounding) << (k_bits<T> / 2 - 1))) >> (k_bits<T> / 2);
  });
}

template <class T>
using Mask = Unsigned<T>;
template <class T>
T all_if(bool condition) {
  return static_cast<T>(condition ? ~Mask<T>{0} : Mask<T>{0});
}

}  // namespace

#define LANE_OP(name, is_signed, expression)                                                                  \
  V128 name(VecArgs& v) {                                                                                     \
    return map<is_signed>(v, [&]([[maybe_unused]] auto a, [[maybe_unused]] auto b, [[maybe_unused]] auto c) { \
      using T [[maybe_unused]] = decltype(a);                                                                 \
      using W [[maybe_unused]] = WideSigned<T>;                                                               \
      return expression;                                                                                      \
    });                                                                                                       \
  }

// Bitwise: on 64-bit lanes whatever the element size.
#define BIT_OP(name, expression)                                                                                \
  V128 name(VecArgs& v) {                                                                                       \
    return map_lanes<u64>(v, [](u64 a, [[maybe_unused]] u64 b, [[maybe_unused]] u64 c) { return expression; }); \
  }
BIT_OP(And, a& b)
BIT_OP(Or, a | b)
BIT_OP(Xor, a ^ b)
BIT_OP(AndNot, a & ~b)
BIT_OP(OrNot, a | ~b)
BIT_OP(Not, ~a)
BIT_OP(Bsl, (a & c) | (b & ~c))
BIT_OP(Bit, (a & b) | (c & ~b))
BIT_OP(Bif, (c & b) | (a & ~b))

LANE_OP(Add, false, T(a + b))
LANE_OP(Sub, false, T(a - b))
LANE_OP(Mul, false, T(u64{a} * b))
LANE_OP(MulPoly, false, polynomial_product(a, b))
LANE_OP(Mla, false, T(c + u64{a} * b))
LANE_OP(Mls, false, T(c - u64{a} * b))
LANE_OP(HAddS, true, T((W(a) + W(b)) >> 1))
LANE_OP(HAddU, false, T((W(a) + W(b)) >> 1))
LANE_OP(RHAddS, true, T((W(a) + W(b) + 1) >> 1))
LANE_OP(RHAddU, false, T((W(a) + W(b) + 1) >> 1))
LANE_OP(HSubS, true, T((W(a) - W(b)) >> 1))
LANE_OP(HSubU, false, T((W(a) - W(b)) >> 1))
LANE_OP(QAddS, true, saturate<T>(W(a) + W(b), v))
LANE_OP(QAddU, false, saturate<T>(W(a) + W(b), v))
LANE_OP(QSubS, true, saturate<T>(W(a) - W(b), v))
LANE_OP(QSubU, false, saturate<T>(W(a) - W(b), v))
LANE_OP(CmpEq, false, all_if<T>(a == b))
LANE_OP(CmpGtS, true, all_if<T>(a > b))
LANE_OP(CmpGtU, false, all_if<T>(a > b))
LANE_OP(CmpGeS, true, all_if<T>(a >= b))
LANE_OP(CmpGeU, false, all_if<T>(a >= b))
LANE_OP(Tst, false, all_if<T>((a & b) != 0))
LANE_OP(MaxS, true, a > b ? a : b)
LANE_OP(MaxU, false, a > b ? a : b)
LANE_OP(MinS, true, a < b ? a : b)
LANE_OP(MinU, false, a < b ? a : b)
LANE_OP(AbdS, true, absolute_difference(a, b))
LANE_OP(AbdU, false, absolute_difference(a, b))
LANE_OP(QDMulH, true, saturate<T>(doubled(a, b) >> k_bits<T>, v))
LANE_OP(QRDMulH, true, saturate<T>((doubled(a, b) + (W(1) << (k_bits<T> - 1))) >> k_bits<T>, v))
LANE_OP(Abs, true, magnitude(a))
LANE_OP(Neg, false, T(0 - a))
LANE_OP(QAbs, true, saturate<T>(a < 0 ? -W(a) : W(a), v))
LANE_OP(QNeg, true, saturate<T>(-W(a), v))
LANE_OP(Cls, true, T(std::countl_zero(Unsigned<T>((a ^ (a >> 1)) << 1 | 1))))
LANE_OP(Clz, false, T(std::countl_zero(a)))
LANE_OP(Cnt, false, T(std::popcount(a)))

V128 Rev16(VecArgs& v) { return reverse_in(v, 2); }
V128 Rev32(VecArgs& v) { return reverse_in(v, 4); }
V128 Rev64(VecArgs& v) { return reverse_in(v, 8); }

V128 PAddLS(VecArgs& v) { return pairwise_add_long<true>(v); }
V128 PAddLU(VecArgs& v) { return pairwise_add_long<false>(v); }

V128 PAdd(VecArgs& v) {
  return pairs<false>(v, [](auto x, auto y) { return x + y; });
}
V128 PMaxS(VecArgs& v) {
  return pairs<true>(v, [](auto x, auto y) { return x > y ? x : y; });
}
V128 PMaxU(VecArgs& v) {
  return pairs<false>(v, [](auto x, auto y) { return x > y ? x : y; });
}
V128 PMinS(VecArgs& v) {
  return pairs<true>(v, [](auto x, auto y) { return x < y ? x : y; });
}
V128 PMinU(VecArgs& v) {
  return pairs<false>(v, [](auto x, auto y) { return x < y ? x : y; });
}

#define WIDEN_OP(name, shape, is_signed, expression)                                   \
  V128 name(VecArgs& v) {                                                              \
    return shape<is_signed>(v, [&]([[maybe_unused]] auto a, [[maybe_unused]] auto b) { \
      using T [[maybe_unused]] = decltype(a); /* the wide type */                      \
      using U [[maybe_unused]] = Unsigned<T>; /* wraps */                              \
      return expression;                                                               \
    });                                                                                \
  }
WIDEN_OP(MovLS, widen, true, a)
WIDEN_OP(MovLU, widen, false, a)
WIDEN_OP(ShlLS, widen, true, U(a) << (v.imm & (k_bits<T> - 1)))
WIDEN_OP(ShlLU, widen, false, U(a) << (v.imm & (k_bits<T> - 1)))
WIDEN_OP(AddLS, widen, true, a + b)
WIDEN_OP(AddLU, widen, false, a + b)
WIDEN_OP(SubLS, widen, true, a - b)
WIDEN_OP(SubLU, widen, false, a - b)
WIDEN_OP(AddWS, widen_second, true, U(a) + U(b))
WIDEN_OP(AddWU, widen_second, false, a + b)
WIDEN_OP(SubWS, widen_second, true, U(a) - U(b))
WIDEN_OP(SubWU, widen_second, false, a - b)
WIDEN_OP(AbdLS, widen, true, absolute_difference(a, b))
WIDEN_OP(AbdLU, widen, false, absolute_difference(a, b))
WIDEN_OP(MulLS, widen, true, a* b)
WIDEN_OP(MulLU, widen, false, u64(a) * b)
WIDEN_OP(MulLPoly, widen, false, polynomial_product(a, b))
WIDEN_OP(QDMulL, widen, true, saturate<T>(WideSigned<T>(a) * b * 2, v))

#define NARROW_OP(name, is_signed, expression)            \
  V128 name(VecArgs& v) {                                 \
    return narrow<is_signed>(v, [&](auto a, auto) {       \
      using N [[maybe_unused]] = Half<decltype(a)>;       \
      using W [[maybe_unused]] = WideSigned<decltype(a)>; \
      return expression;                                  \
    });                                                   \
  }
NARROW_OP(MovN, false, a)
NARROW_OP(QMovNS, true, saturate<N>(a, v))
NARROW_OP(QMovNU, false, saturate<N>(a, v))
NARROW_OP(QMovUN, true, saturate<Unsigned<N>>(a, v))

V128 AddHN(VecArgs& v) { return high_half(v, false, false); }
V128 RAddHN(VecArgs& v) { return high_half(v, false, true); }
V128 SubHN(VecArgs& v) { return high_half(v, true, false); }
V128 RSubHN(VecArgs& v) { return high_half(v, true, true); }

}  // namespace armvisor::ir::reference
