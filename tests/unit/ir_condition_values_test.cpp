// The pass that makes a condition's value of two conditional moves.
#include "ir/passes/condition_values.h"

#include <gtest/gtest.h>

namespace armvisor::ir {
namespace {

/// The block's instructions from the first one of text on, after the pass; empty if it changed nothing.
std::string after(const std::string& insts) {
  Block block;
  std::string error;
  EXPECT_TRUE(parse("block pc=0x8000 bytes=8 insns=2 temps=1 labels=4\n  Insn attr=0x4 imm=0x8000\n" + insts +
                        "  ExitJump imm=0x8008\n",
                    block, error))
      << error;
  EXPECT_EQ(verify(block), "");
  const auto result = with_condition_values(block);
  if (!result) return "";
  EXPECT_EQ(verify(*result), "");
  return print(*result);
}

/// r12 becomes `a` on condition `first`, `rd` becomes `b` on condition `second`.
std::string moves(u32 first, u32 second, const char* rd, u32 a, u32 b, u32 label = 0) {
  const std::string one = " imm=" + std::to_string(label), two = " imm=" + std::to_string(label + 1);
  return "  SkipUnless attr=" + std::to_string(first) + one + "\n  r12 = Mov #" + std::to_string(a) + "\n  Label" + one +
         "\n  Insn attr=0x4 imm=0x8004\n  SkipUnless attr=" + std::to_string(second) + two + "\n  " + rd + " = Mov #" +
         std::to_string(b) + "\n  Label" + two + "\n";
}

TEST(ConditionValues, APairBecomesOneValue) {
  const std::string carry_set = after(moves(2, 3, "r12", 1, 0)), carry_clear = after(moves(2, 3, "r12", 0, 1));
  EXPECT_NE(carry_set.find("r12 = CondValue imm=0x2\n  Insn attr=0x4 imm=0x8004\n  ExitJump"), std::string::npos)
      << carry_set;
  EXPECT_NE(carry_clear.find("r12 = CondValue imm=0x3\n"), std::string::npos) << carry_clear;
}

TEST(ConditionValues, TwoPairsInARow) {
  const std::string text = "  t0 = Add r1, #1\n" + moves(0, 1, "r12", 1, 0);
  const std::string two = after(text + "  Insn attr=0x4 imm=0x8004\n" + moves(10, 11, "r12", 0, 1, 2));
  EXPECT_NE(two.find("t0 = Add"), std::string::npos);
  EXPECT_NE(two.find("CondValue\n"), std::string::npos) << two;
  EXPECT_NE(two.find("CondValue imm=0xb"), std::string::npos) << two;
  EXPECT_EQ(two.find("SkipUnless"), std::string::npos);
}

TEST(ConditionValues, OtherPairsStay) {
  EXPECT_EQ(after(moves(2, 2, "r12", 1, 0)), "");
  EXPECT_EQ(after(moves(2, 4, "r12", 1, 0)), "");
  EXPECT_EQ(after(moves(2, 3, "r11", 1, 0)), "");
  EXPECT_EQ(after(moves(2, 3, "r12", 1, 1)), "");
  EXPECT_EQ(after(moves(2, 3, "r12", 2, 3)), "");
  std::string address = moves(2, 3, "r12", 1, 0);
  address.replace(address.find('#'), 1, "@");
  EXPECT_EQ(after(address), "");
}

}  // namespace
}  // namespace armvisor::ir
