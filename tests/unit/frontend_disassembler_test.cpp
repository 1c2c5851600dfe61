// Text of instructions: one word of nearly every table line, and the targets of branches and literals.
#include <gtest/gtest.h>

#include "frontend/disassembler.h"

namespace armvisor::frontend {
namespace {

struct Word {
  Isa isa;
  u32 word;
  const char* text;
};

constexpr Word k_words[] = {
#include "unit/disassembly_words.inc"
};

TEST(Disassembler, SpellsEveryLineAsTheToolsDo) {
  u32 pc = 0;
  for (const Word& w : k_words) EXPECT_EQ(disassemble(w.word, pc, w.isa), w.text) << std::hex << w.word;
}

TEST(Disassembler, ShowsBranchTargets) {
  EXPECT_EQ(disassemble(0xea000002, 0x8000, Isa::A32), "b 0x8010");
  EXPECT_EQ(disassemble(0xebfffffe, 0x8000, Isa::A32), "bl 0x8000");
  EXPECT_EQ(disassemble(0xfb000000, 0x8000, Isa::A32), "blx 0x800a");
  EXPECT_EQ(disassemble(0xe7fe, 0x8000, Isa::T16), "b 0x8000");
}

TEST(Disassembler, NamesWhatNoLineMatches) { EXPECT_EQ(disassemble(0xf0000000, 0, Isa::A32), "udf 0xf0000000"); }

TEST(Disassembler, LeavesNoItemUnformatted) {
  for (const Encoding& e : encodings()) {
    if (e.isa != Isa::A32 || e.simd) continue;
    const u32 word = e.pattern.starts_with("cccc") ? e.value | 0xe0000000 : e.value;
    EXPECT_EQ(disassemble(word, 0, Isa::A32).find('<'), std::string::npos) << e.name;
  }
}

}  // namespace
}  // namespace armvisor::frontend
