// Shifts (ARM DDI 0406C A8.8: VSHL, VRSHL, VQSHL, VQRSHL, VSHR, VSRI, VSLI, VSHRN and relatives).
#include "ir/vector_reference.h"

namespace armvisor::ir::reference {

namespace {

/// Shift by the signed bottom byte of b: left when positive. Saturating forms saturate left shifts only.
template <bool Saturating, class T>
T shift_by(T a, T b, bool rounding, VecArgs& v) {
  const int n = static_cast<s8>(b);
  if (n < 0) return static_cast<T>(shift_right(a, static_cast<unsigned>(-n), rounding));
  constexpr unsigned bits = k_bits<T>;
  if constexpr (Saturating) {
    const unsigned amount = n > static_cast<int>(bits) ? bits : static_cast<unsigned>(n);
    return saturate<T>(static_cast<Wide<T>>(Unsigned<Wide<T>>(a) << amount), v);
  }
  return n >= static_cast<int>(bits) ? T{0} : static_cast<T>(Unsigned<Wide<T>>(a) << n);
}

template <bool IsSigned, bool Saturating>
V128 shift_by_register(VecArgs& v, bool rounding) {
  return map<IsSigned>(v, [&](auto a, auto b, auto) { return shift_by<Saturating>(a, b, rounding, v); });
}

template <bool IsSigned>
V128 shift_right_by_imm(VecArgs& v, bool rounding) {
  return map<IsSigned>(v, [&](auto a, auto, auto) { return shift_right(a, v.imm, rounding); });
}

/// Left shift that saturates to `Out`, signed or unsigned elements of the same size.
template <bool In, bool Out>
V128 saturating_shift_left(VecArgs& v) {
  return map<In>(v, [&](auto a, auto, auto) {
    using T = decltype(a);
    const auto wide = static_cast<Wide<T>>(Unsigned<Wide<T>>(a) << (v.imm & (k_bits<T> - 1)));
    return saturate<Int<k_bits<T>, Out>>(wide, v);
  });
}

template <bool In>
V128 narrowing_shift(VecArgs& v, bool rounding) {
  return narrow<In>(v, [&](auto a, auto) { return shift_right(a, v.imm, rounding); });
}

template <bool In, bool Out>
V128 saturating_narrowing_shift(VecArgs& v, bool rounding) {
  return narrow<In>(
      v, [&](auto a, auto) { return saturate<Int<k_bits<decltype(a)> / 2, Out>>(shift_right(a, v.imm, rounding), v); });
}

}  // namespace

V128 ShlRegS(VecArgs& v) { return shift_by_register<true, false>(v, false); }
V128 ShlRegU(VecArgs& v) { return shift_by_register<false, false>(v, false); }
V128 RShlRegS(VecArgs& v) { return shift_by_register<true, false>(v, true); }
V128 RShlRegU(VecArgs& v) { return shift_by_register<false, false>(v, true); }
V128 QShlRegS(VecArgs& v) { return shift_by_register<true, true>(v, false); }
V128 QShlRegU(VecArgs& v) { return shift_by_register<false, true>(v, false); }
V128 QRShlRegS(VecArgs& v) { return shift_by_register<true, true>(v, true); }
V128 QRShlRegU(VecArgs& v) { return shift_by_register<false, true>(v, true); }

V128 ShlImm(VecArgs& v) {
  return map<false>(v, [&](auto a, auto, auto) { return u64{a} << (v.imm & 63); });
}
V128 ShrImmS(VecArgs& v) { return shift_right_by_imm<true>(v, false); }
V128 ShrImmU(VecArgs& v) { return shift_right_by_imm<false>(v, false); }
V128 RShrImmS(VecArgs& v) { return shift_right_by_imm<true>(v, true); }
V128 RShrImmU(VecArgs& v) { return shift_right_by_imm<false>(v, true); }

V128 Sri(VecArgs& v) {
  return map<false>(v, [&](auto a, auto, auto c) {
    using T = decltype(a);
    const auto mask = shift_right(T(~T{0}), v.imm, false);
    return (c & ~mask) | (shift_right(a, v.imm, false) & mask);
  });
}
V128 Sli(VecArgs& v) {
  return map<false>(v, [&](auto a, auto, auto c) {
    const u64 mask = ~u64{0} << (v.imm & 63);
    return (c & ~mask) | (u64{a} << (v.imm & 63));
  });
}

V128 QShlImmS(VecArgs& v) { return saturating_shift_left<true, true>(v); }
V128 QShlImmU(VecArgs& v) { return saturating_shift_left<false, false>(v); }
V128 QShlImmSU(VecArgs& v) { return saturating_shift_left<true, false>(v); }

V128 ShrN(VecArgs& v) { return narrowing_shift<false>(v, false); }
V128 RShrN(VecArgs& v) { return narrowing_shift<false>(v, true); }
V128 QShrNS(VecArgs& v) { return saturating_narrowing_shift<true, true>(v, false); }
V128 QShrNU(VecArgs& v) { return saturating_narrowing_shift<false, false>(v, false); }
V128 QShrUN(VecArgs& v) { return saturating_narrowing_shift<true, false>(v, false); }
V128 QRShrNS(VecArgs& v) { return saturating_narrowing_shift<true, true>(v, true); }
V128 QRShrNU(VecArgs& v) { return saturating_narrowing_shift<false, false>(v, true); }
V128 QRShrUN(VecArgs& v) { return saturating_narrowing_shift<true, false>(v, true); }

}  // namespace armvisor::ir::reference
