// Permutations and table look-up (ARM DDI 0406C A8.8: VTRN, VUZP, VZIP, VEXT, VTBL, VTBX).
#include <algorithm>

#include "ir/vector_reference.h"

namespace armvisor::ir::reference {

namespace {

/// result[i] = element `where(i, n)` of a followed by b, n elements each.
template <class F>
V128 permute(const VecArgs& v, F where) {
  return by_size<false>(v, [&](auto t) {
    using T = decltype(t);
    const Lanes<T> a(v.a), b(v.b);
    Lanes<T> r;
    const unsigned n = lane_count<T>(v);
    for (unsigned i = 0; i < n; ++i) {
      const unsigned k = where(i, n);
      r[i] = k < n ? a[k] : b[k - n];
    }
    return V128(r);
  });
}

}  // namespace

V128 Trn1(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned n) { return (i & ~1u) + (i & 1) * n; });
}
V128 Trn2(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned n) { return (i | 1) + (i & 1) * n; });
}
V128 Uzp1(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned) { return 2 * i; });
}
V128 Uzp2(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned) { return 2 * i + 1; });
}
V128 Zip1(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned n) { return i / 2 + (i & 1) * n; });
}
V128 Zip2(VecArgs& v) {
  return permute(v, [](unsigned i, unsigned n) { return n / 2 + i / 2 + (i & 1) * n; });
}

V128 Ext(VecArgs& v) {
  const Lanes<u8> a(v.a), b(v.b);
  Lanes<u8> r;
  const unsigned n = lane_count<u8>(v);
  for (unsigned i = 0; i < n; ++i) {
    const unsigned k = (i + v.imm) & (2 * n - 1);
    r[i] = k < n ? a[k] : b[k - n];
  }
  return r;
}

V128 Tbl(VecArgs& v) {
  const unsigned length = std::min(v.imm & 0xff, 4u) * 8;
  const bool tbx = (v.imm >> 8) & 1;
  const Lanes<u8> low(v.a), high(v.b), c(v.c);
  Lanes<u8> r;
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned k = c[i];
    r[i] = k >= length ? (tbx ? c[8 + i] : u8{0}) : k < 16 ? low[k] : high[k - 16];
  }
  return r;
}

}  // namespace armvisor::ir::reference
