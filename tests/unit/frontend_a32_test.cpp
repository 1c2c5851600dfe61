// A32 instructions to IR: every encoding gives well-formed IR, and the frequent ones give the IR that they should.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "frontend/decoder.h"
#include "frontend/translate.h"

namespace armvisor::frontend {
namespace {

constexpr u32 k_pc = 0x8000;

std::string translate_words(const std::vector<u32>& words, const Context& context = {}, u32 max_insns = 64) {
  ir::Block block;
  std::vector<u8> code(words.size() * 4);
  std::memcpy(code.data(), words.data(), code.size());
  EXPECT_TRUE(translate(context, k_pc, code, {.max_insns = max_insns}, block));
  EXPECT_EQ(ir::verify(block), "") << ir::print(block);
  std::string text = ir::print(block);
  return text.substr(text.find('\n') + 1);
}

/// The IR of one instruction without its Insn marker and without the jump that ends the block.
std::string body(u32 word, const Context& context = {}) {
  std::string text = translate_words({word}, context);
  text = text.substr(text.find('\n') + 1);
  const std::string tail = text.substr(text.rfind('\n', text.size() - 2) + 1);
  if (tail.find("ExitJump") != std::string::npos && tail.find("0x8004") != std::string::npos)
    text.resize(text.size() - tail.size());
  return text;
}

int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(A32, EveryEncodingGivesWellFormedIr) {
  std::mt19937 random(1);
  for (const Encoding& e : encodings()) {
    if (e.isa != Isa::A32 || e.simd) continue;
    for (int k = 0; k < 200; ++k) {
      u32 word = (random() & ~e.mask) | e.value;
      if (e.pattern.starts_with("cccc")) word = (word & 0x0fffffff) | (random() % 15) << 28;
      Context context;
      context.privileged = random() & 1;
      context.big_endian = random() & 1;
      context.align_strict = random() & 1;
      ir::Block block;
      u8 code[4];
      std::memcpy(code, &word, 4);
      ASSERT_TRUE(translate(context, k_pc, code, {}, block));
      ASSERT_EQ(ir::verify(block), "") << e.name << "\n" << ir::print(block);
    }
  }
}

TEST(A32, PlainArithmeticIsOneOperation) {
  EXPECT_EQ(lines(body(0xe2801001)), 1) << body(0xe2801001);  // add r1, r0, #1
  EXPECT_EQ(lines(body(0xe0801002)), 1) << body(0xe0801002);  // add r1, r0, r2
  EXPECT_EQ(lines(body(0xe1a01002)), 1) << body(0xe1a01002);  // mov r1, r2
  EXPECT_EQ(lines(body(0xe1a01182)), 1) << body(0xe1a01182);  // lsl r1, r2, #3
  EXPECT_EQ(lines(body(0xe0801102)), 2) << body(0xe0801102);  // add r1, r0, r2, lsl #2
  EXPECT_EQ(lines(body(0xe3500000)), 1) << body(0xe3500000);  // cmp r0, #0
  EXPECT_EQ(lines(body(0xe2911001)), 1) << body(0xe2911001);  // adds r1, r1, #1
}

TEST(A32, PcRelativeValuesAreConstants) {
  EXPECT_NE(body(0xe28f0004).find("0x800c"), std::string::npos) << body(0xe28f0004);  // adr r0, .+12
  EXPECT_NE(body(0xe59f0010).find("0x8018"), std::string::npos) << body(0xe59f0010);  // ldr r0, [pc, #16]
}

TEST(A32, CompareAndBranchLeavesTheBlockBothWays) {
  const std::string text = translate_words({0xe3500000, 0x0a000002});  // cmp r0, #0; beq .+16
  EXPECT_NE(text.find("SubF"), std::string::npos) << text;
  EXPECT_NE(text.find("SkipUnless"), std::string::npos) << text;
  EXPECT_NE(text.find("0x8014"), std::string::npos) << text;
  EXPECT_NE(text.find("0x8008"), std::string::npos) << text;
}

TEST(A32, LoadMultipleUsesOneBase) {
  const std::string text = body(0xe8bd8010);  // pop {r4, pc}
  EXPECT_EQ(lines(text), 4) << text;          // two loads, writeback, exit
  EXPECT_NE(text.find("ExitInterwork"), std::string::npos) << text;
}

TEST(A32, ConditionalInstructionsAreSkipped) {
  const std::string text = body(0x02800001);  // addeq r0, r0, #1
  EXPECT_EQ(lines(text), 3) << text;
}

TEST(A32, ConditionFieldFifteenIsTheUnconditionalSpace) {
  EXPECT_EQ(decode_a32(0xf57ff05f)->name, "DMB");
  EXPECT_EQ(decode_a32(0xf5d0f000)->name, "PLD_imm");
  EXPECT_EQ(decode_a32(0xfa000000)->name, "BLX_imm");
  EXPECT_EQ(decode_a32(0xf8bd0a00)->name, "RFE");
}

TEST(A32, UserModeMayNotTouchPrivilegedRegisters) {
  Context user;
  user.privileged = false;
  EXPECT_NE(body(0xee010f10, user).find("ExitUndefined"), std::string::npos);  // mcr p15, 0, r0, c1, c0, 0
  EXPECT_EQ(body(0xee1d0f70, user).find("ExitUndefined"), std::string::npos);  // mrc p15, 0, r0, c13, c0, 3
  EXPECT_EQ(body(0xf10c0080, user), "");                                       // cpsid i is a NOP
}

TEST(A32, BlocksEndAtTheLimitAndBeforeAPartialInstruction) {
  ir::Block block;
  const u8 code[10] = {};
  ASSERT_TRUE(translate({}, k_pc, code, {}, block));
  EXPECT_EQ(block.insn_count, 2u);
  EXPECT_EQ(block.guest_bytes, 8u);
  EXPECT_FALSE(translate({}, k_pc, std::span(code, 2), {}, block));
  EXPECT_EQ(block.insn_count, 0u);
  ASSERT_TRUE(translate({}, k_pc, code, {.max_insns = 1}, block));
  EXPECT_EQ(block.insn_count, 1u);
}

TEST(A32, ContextKeysAreDistinct) {
  Context a, b;
  b.privileged = !a.privileged;
  EXPECT_NE(a.key(), b.key());
  b = a;
  b.it = 8;
  EXPECT_NE(a.key(), b.key());
  b = a;
  b.simd_enabled = true;
  EXPECT_NE(a.key(), b.key());
}

}  // namespace
}  // namespace armvisor::frontend
