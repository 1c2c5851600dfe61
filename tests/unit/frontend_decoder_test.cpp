// The decode tables and their lookup: what the fast lookup finds is what a search of all lines finds.
#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <set>
#include <string>

#include "frontend/decoder.h"

namespace armvisor::frontend {
namespace {

bool unconditional(const Encoding& e) { return (e.mask >> 28) == 15 && (e.value >> 28) == 15; }

/// Most fixed bits among the matching lines, or -1.
int best_match(u32 word, Isa isa) {
  int best = -1;
  for (const Encoding& e : encodings()) {
    if (e.isa != isa || (word & e.mask) != e.value) continue;
    if (isa == Isa::A32 && unconditional(e) != (word >> 28 == 15)) continue;
    best = std::max(best, std::popcount(e.mask));
  }
  return best;
}

int fixed_bits(const Encoding* e) { return e == nullptr ? -1 : std::popcount(e->mask); }

TEST(Decoder, TablesAreWellFormed) {
  std::set<std::string> names;
  for (const Encoding& e : encodings()) {
    EXPECT_EQ(&encodings()[e.index], &e);
    EXPECT_EQ(e.value & ~e.mask, 0u) << e.name;
    EXPECT_NE(e.handler, nullptr) << e.name;
    EXPECT_FALSE(e.syntax.empty()) << e.name;
    const std::string set = e.simd ? "simd" : std::to_string(static_cast<int>(e.isa));
    EXPECT_TRUE(names.insert(set + std::string(e.name)).second) << e.name;
  }
}

TEST(Decoder, EveryLineCanBeReached) {
  std::mt19937 random(1);
  for (const Encoding& e : encodings()) {
    bool reached = false;
    for (int k = 0; k < 4000 && !reached; ++k) {
      u32 word = (random() & ~e.mask) | e.value;
      if (e.isa == Isa::A32 && !unconditional(e)) word = (word & 0x0fffffff) | (random() % 15) << 28;
      u32 form = word;
      const Encoding* found = e.isa == Isa::A32   ? decode_a32(word)
                              : e.isa == Isa::T32 ? decode_t32(word, form)
                                                  : decode_t16(static_cast<u16>(word));
      reached = found == &e;
    }
    EXPECT_TRUE(reached) << e.name;
  }
}

TEST(Decoder, LookupAgreesWithASearchOfAllLines) {
  std::mt19937 random(2);
  for (int k = 0; k < 30000; ++k) {
    const u32 word = random();
    EXPECT_EQ(fixed_bits(decode_a32(word)), best_match(word, Isa::A32)) << std::hex << word;
    const u16 half = static_cast<u16>(word);
    if (!is_t32(half)) {
      EXPECT_EQ(fixed_bits(decode_t16(half)), best_match(half, Isa::T16)) << std::hex << half;
    }
  }
}

// simd.inc relies on the order: VEXT takes the size 3 of the scalar lines.
TEST(Decoder, NoTwoCoreLinesOfEqualWeightMatchOneWord) {
  for (const Encoding& e : encodings()) {
    for (const Encoding& o : encodings()) {
      if (&o <= &e || o.isa != e.isa || (e.simd && o.simd) || std::popcount(o.mask) != std::popcount(e.mask)) continue;
      if (e.isa == Isa::A32 && unconditional(e) != unconditional(o)) continue;
      EXPECT_NE((e.value ^ o.value) & e.mask & o.mask, 0u) << e.name << " and " << o.name;
    }
  }
}

TEST(Decoder, FieldsInPiecesAreJoined) {
  Inst i;
  i.encoding = decode_a32(0xe3012345);  // movw r2, #0x1345
  i.raw = 0xe3012345;
  EXPECT_EQ(i('i'), 0x1345u);
  EXPECT_EQ(i('d'), 2u);
  EXPECT_EQ(i('z'), 0u);
}

TEST(Decoder, ThumbVectorInstructionsUseTheA32Lines) {
  u32 form = 0;
  const Encoding* e = decode_t32(0xef220844, form);  // vadd.i32 q0, q1, q2
  ASSERT_NE(e, nullptr);
  EXPECT_TRUE(e->simd);
  EXPECT_EQ(form, 0xf2220844u);
  EXPECT_EQ(e, decode_a32(0xf2220844));
  e = decode_t32(0xf9600a0f, form);  // vld1.8 {d16}, [r0]... element space
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(form >> 24, 0xf4u);
}

}  // namespace
}  // namespace armvisor::frontend
