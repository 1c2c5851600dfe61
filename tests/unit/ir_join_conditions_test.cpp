// The pass that makes one decision of conditional instructions in a row.
#include <gtest/gtest.h>

#include "ir/passes/join_conditions.h"

namespace armvisor::ir {
namespace {

std::string insn(u32 number) {
  const u32 pc = 0x8000 + 4 * number;
  char text[64];
  std::snprintf(text, sizeof text, "  Insn attr=0x4 imm=0x%x\n", pc);
  return text;
}

/// Guest instruction `number`: `body` on `condition`.
std::string on(u32 condition, u32 number, const std::string& body) {
  const std::string label = " imm=" + std::to_string(number);
  return insn(number) + "  SkipUnless attr=" + std::to_string(condition) + label + "\n  " + body + "\n  Label" + label +
         "\n";
}

/// What the pass makes of a block with these; empty if it changed nothing.
std::string after(const std::string& insts) {
  Block block;
  std::string error;
  EXPECT_TRUE(
      parse("block pc=0x8000 bytes=32 insns=8 temps=4 labels=8\n" + insts + "  ExitJump imm=0x8020\n", block, error))
      << error;
  EXPECT_EQ(verify(block), "");
  const auto result = with_joined_conditions(block);
  if (!result) return "";
  EXPECT_EQ(verify(*result), "");
  return print(*result);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(JoinConditions, OneConditionIsOneSkip) {
  const std::string out =
      after(on(0, 0, "r1 = Mov #1") + on(0, 1, "r2 = Load r3 attr=0x4") + on(0, 2, "Store r3, r2 attr=0x4"));
  EXPECT_EQ(count(out, "SkipUnless"), 1u) << out;
  EXPECT_EQ(count(out, "Label"), 1u) << out;
  EXPECT_EQ(count(out, "Insn"), 3u) << out;
}

TEST(JoinConditions, AlternativesAreTwoWays) {
  const std::string out =
      after(on(0, 0, "r1 = Mov #1") + on(1, 1, "r1 = Mov #2") + on(0, 2, "r2 = Mov #3") + on(1, 3, "r2 = Mov #4"));
  // Of the two skips the second is always taken.
  EXPECT_NE(out.find("r1 = Mov #0x1\n  Insn attr=0x4 imm=0x8008\n  r2 = Mov #0x3\n  SkipUnless attr=0xf"), out.npos)
      << out;
  EXPECT_NE(out.find("r1 = Mov #0x2\n  Insn attr=0x4 imm=0x800c\n  r2 = Mov #0x4\n  Label"), out.npos) << out;
  EXPECT_EQ(count(out, "SkipUnless"), 2u) << out;
}

TEST(JoinConditions, WhatStandsBetweenIsOnBothWays) {
  const std::string between = insn(1) + "  t0 = Shl r4, #2\n  r5 = Add r5, t0\n";
  const std::string out = after(on(8, 0, "r1 = Mov #1") + between + on(9, 2, "r1 = Mov #2"));
  EXPECT_EQ(count(out, "Shl"), 2u) << out;
  EXPECT_EQ(count(out, "t0 = "), 1u) << out;  // the other way has its own
  EXPECT_NE(out.find("temps=5"), out.npos) << out;
}

TEST(JoinConditions, OthersStay) {
  EXPECT_EQ(after(on(0, 0, "r1 = Mov #1")), "");
  EXPECT_EQ(after(on(0, 0, "r1 = Mov #1") + on(2, 1, "r1 = Mov #2")), "");
  EXPECT_EQ(after(on(0, 0, "SubF r1, r2 attr=15") + on(0, 1, "r1 = Mov #2")), "");  // other flags
  EXPECT_EQ(after(on(0, 0, "r1 = Mov #1") + insn(1) + "  SubF r1, r2 attr=15\n" + on(0, 2, "r1 = Mov #2")), "");
  EXPECT_EQ(after(on(0, 0, "r1 = Mov #1") + insn(1) + "  r2 = ReadCpsr\n" + on(1, 2, "r1 = Mov #2")), "");
  // A temp that is used behind the row has one place.
  EXPECT_EQ(after(on(0, 0, "r1 = Mov #1") + insn(1) + "  t0 = Mov r4\n" + on(1, 2, "r1 = Mov #2") + insn(3) +
                  "  r5 = Mov t0\n"),
            "");
}

TEST(JoinConditions, WhatComesBeforeAndBehindStays) {
  const std::string out = after(insn(4) + "  r7 = Mov #7\n" + on(0, 0, "r1 = Mov #1") + on(1, 1, "r1 = Mov #2") +
                                insn(5) + "  r8 = Mov #8\n" + on(2, 2, "r2 = Mov #3"));
  EXPECT_LT(out.find("r7 = Mov #0x7"), out.find("SkipUnless")) << out;
  EXPECT_EQ(count(out, "r8 = Mov #0x8"), 1u) << out;
  EXPECT_EQ(count(out, "SkipUnless attr=0x2"), 1u) << out;
}

}  // namespace
}  // namespace armvisor::ir
