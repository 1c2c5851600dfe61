#include "frontend/decoder.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "base/bits.h"
#include "frontend/handlers.h"

namespace armvisor::frontend {
namespace {

/// Calls a handler with the fields of its line.
template <FieldLayout Layout, void (*Function)(Translator&, const Fields<Layout>&)>
void call(Translator& t, const Inst& i) {
  Function(t, Fields<Layout>(i));
}

/// Parses one table line. Evaluated at compile time: a malformed pattern does not compile.
consteval Encoding make(std::string_view name, std::string_view syntax, std::string_view pattern, Isa isa, bool simd,
                        Handler handler) {
  Encoding e{};
  e.name = name;
  e.syntax = syntax;
  e.pattern = pattern;
  e.isa = isa;
  e.simd = simd;
  e.handler = handler;
  const unsigned width = isa == Isa::T16 ? 16 : 32;
  if (pattern.size() != width) throw "a pattern has 32 characters (T16: 16)";
  for (unsigned k = 0; k < width; ++k) {
    const char ch = pattern[k];
    const unsigned lsb = width - 1 - k;
    if (ch == '0' || ch == '1') {
      e.mask |= 1u << lsb;
      e.value |= static_cast<u32>(ch - '0') << lsb;
    } else if (ch != '-') {
      if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z'))) throw "a field is named by a letter";
      if (k > 0 && pattern[k - 1] == ch) {
        auto& piece = e.pieces[e.piece_count - 1u];
        piece.lsb = static_cast<u8>(lsb);
        ++piece.width;
      } else {
        if (e.piece_count == e.pieces.size()) throw "a pattern has too many fields";
        e.pieces[e.piece_count++] = {static_cast<u8>(ch), static_cast<u8>(lsb), 1};
      }
    }
  }
  return e;
}

consteval auto with_indices(auto table) {
  u16 index = 0;
  for (auto& e : table) e.index = index++;
  return table;
}

constexpr auto k_encodings = with_indices(std::to_array<Encoding>({
#define INST(name, syntax, pattern) \
  make(#name, syntax, pattern, Isa::A32, false, call<FieldLayout(pattern), a32::name>),
#include "frontend/a32.inc"
#undef INST
#define INST(name, syntax, pattern) \
  make(#name, syntax, pattern, Isa::A32, true, call<FieldLayout(pattern), simd::name>),
#include "frontend/simd.inc"
#undef INST
#define INST(name, syntax, pattern) \
  make(#name, syntax, pattern, Isa::T32, false, call<FieldLayout(pattern), t32::name>),
#include "frontend/t32.inc"
#undef INST
#define INST(name, syntax, pattern) \
  make(#name, syntax, pattern, Isa::T16, false, call<FieldLayout(pattern), t16::name>),
#include "frontend/t16.inc"
#undef INST
}));

/// Encodings grouped by the value of some bits of the word; in each group those with more fixed bits come first.
class Buckets {
 public:
  /// `spread(bucket)` gives a word with the bucket's index bits in place; `index_mask` has those bits set.
  template <class Filter, class Spread>
  Buckets(u32 count, u32 index_mask, Filter filter, Spread spread) : starts_(count + 1) {
    std::vector<const Encoding*> sorted;
    for (const auto& e : k_encodings)
      if (filter(e)) sorted.push_back(&e);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Encoding* a, const Encoding* b) {
      return std::popcount(a->mask) > std::popcount(b->mask);
    });
    for (u32 k = 0; k < count; ++k) {
      starts_[k] = static_cast<u32>(members_.size());
      for (const Encoding* e : sorted)
        if (((spread(k) ^ e->value) & e->mask & index_mask) == 0) members_.push_back(e);
    }
    starts_[count] = static_cast<u32>(members_.size());
  }

  const Encoding* find(u32 bucket, u32 word, bool simd_only = false) const {
    for (u32 k = starts_[bucket]; k < starts_[bucket + 1]; ++k) {
      const Encoding* e = members_[k];
      if ((word & e->mask) == e->value && (!simd_only || e->simd)) return e;
    }
    return nullptr;
  }

 private:
  std::vector<u32> starts_;
  std::vector<const Encoding*> members_;
};

bool is_unconditional(const Encoding& e) { return (e.mask >> 28) == 15 && (e.value >> 28) == 15; }

constexpr u32 k_a32_index_mask = 0x0ff000f0;
u32 a32_bucket(u32 word) { return bits<27, 20>(word) << 4 | bits<7, 4>(word); }
u32 a32_spread(u32 bucket) { return (bucket >> 4) << 20 | (bucket & 15) << 4; }

const Encoding* find_a32(u32 word, bool simd_only) {
  static const Buckets conditional(
      4096, k_a32_index_mask, [](const Encoding& e) { return e.isa == Isa::A32 && !is_unconditional(e); }, a32_spread);
  static const Buckets unconditional(
      4096, k_a32_index_mask, [](const Encoding& e) { return e.isa == Isa::A32 && is_unconditional(e); }, a32_spread);
  return (word >> 28 == 15 ? unconditional : conditional).find(a32_bucket(word), word, simd_only);
}

constexpr u32 k_t32_index_mask = 0x1ff080f0;
u32 t32_bucket(u32 word) { return bits<28, 20>(word) << 5 | bits<15, 15>(word) << 4 | bits<7, 4>(word); }
u32 t32_spread(u32 bucket) { return (bucket >> 5) << 20 | ((bucket >> 4) & 1) << 15 | (bucket & 15) << 4; }

/// The A32 form of a T32 word in the spaces that simd.inc covers (A7.4, A7.7); false elsewhere.
bool simd_a32_form(u32 word, u32& form) {
  if ((word & 0xef000000) == 0xef000000) {  // Advanced SIMD data processing: U moves from bit 28 to 24
    form = 0xf2000000 | ((word >> 28) & 1) << 24 | (word & 0x00ffffff);
    return true;
  }
  if ((word & 0xff100000) == 0xf9000000) {  // element and structure loads and stores
    form = 0xf4000000 | (word & 0x00ffffff);
    return true;
  }
  form = word;  // coprocessor space: cond AL in A32
  return (word & 0xfc000000) == 0xec000000 && (word & 0x03000000) != 0x03000000;
}

}  // namespace

std::span<const Encoding> encodings() { return k_encodings; }

const Encoding* decode_a32(u32 word) { return find_a32(word, false); }

const Encoding* decode_t16(u16 half) {
  static const Buckets buckets(
      1024, 0xffc0, [](const Encoding& e) { return e.isa == Isa::T16; }, [](u32 bucket) { return bucket << 6; });
  return buckets.find(half >> 6u, half);
}

const Encoding* decode_t32(u32 word, u32& a32_form) {
  u32 form = 0;
  if (simd_a32_form(word, form)) {
    if (const Encoding* e = find_a32(form, true)) {
      a32_form = form;
      return e;
    }
  }
  static const Buckets buckets(
      1u << 14, k_t32_index_mask, [](const Encoding& e) { return e.isa == Isa::T32; }, t32_spread);
  return buckets.find(t32_bucket(word), word);
}

}  // namespace armvisor::frontend
