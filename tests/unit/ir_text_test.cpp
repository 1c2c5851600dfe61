// Text form and verifier.
#include <gtest/gtest.h>

#include "ir/ir.h"

namespace armvisor::ir {
namespace {

Block parsed(const std::string& text) {
  Block block;
  std::string error;
  EXPECT_TRUE(parse(text, block, error)) << error;
  return block;
}

std::string with_header(const std::string& insts, u32 temps = 4, u32 labels = 2) {
  return "block pc=0x8000 bytes=4 insns=1 temps=" + std::to_string(temps) + " labels=" + std::to_string(labels) +
         "\n  Insn attr=0x4 imm=0x8000\n" + insts;
}

constexpr const char* k_exit = "  ExitJump imm=0x8004\n";

TEST(IrText, PrintedTextParsesToTheSame) {
  const std::string text = with_header(
      "  t0 = AddF r1, #0x5 attr=0xf\n  AddF t0, r2 attr=0xf\n  r0 = Load t0 attr=0x4 disp=0x10\n"
      "  t1 = Pack64 r0, r1\n  Store64 r3, t1 attr=0x48 attr2=0x10\n  SkipUnless attr=0x1 imm=0x1\n"
      "  t2 = Select r0, r1, r2\n  Label imm=0x1\n  ExitJump imm=0x8004\n");
  const Block block = parsed(text);
  EXPECT_EQ(verify(block), "");
  const std::string printed = print(block);
  EXPECT_EQ(print(parsed(printed)), printed);
  EXPECT_NE(printed.find("t0 = AddF r1, #0x5 attr=0xf"), std::string::npos);
}

TEST(IrText, AddressesThatMoveAreMarked) {
  const std::string text = with_header(
      "  r14 = Mov @0x8004\n  r0 = Load r1 attr=0x1 disp=@0x8008\n  r3 = Add r3, @0x800c\n"
      "  Store r3, @0x0 attr=0x4 disp=0x4\n  ExitCall disp=@0x8004 imm=@0x0\n");
  const Block block = parsed(text);
  EXPECT_EQ(verify(block), "");
  EXPECT_EQ(print(block), text);
  EXPECT_EQ(block.insts[1].moves, Moves::imm);
  EXPECT_EQ(block.insts[2].moves, Moves::disp);
  EXPECT_EQ(block.insts[5].moves, Moves::imm | Moves::disp);
}

TEST(IrText, EveryOpcodeNameParses) {
  for (u16 k = 0; k < static_cast<u16>(Op::Count); ++k) {
    const std::string text = "block pc=0\n" + std::string(info(static_cast<Op>(k)).name) + "\n";
    EXPECT_EQ(parsed(text).insts.at(0).op, static_cast<Op>(k));
  }
}

TEST(IrText, ErrorsNameTheLineAndWhatWasExpected) {
  Block block;
  std::string error;
  EXPECT_FALSE(parse("block pc=0\n\n  r0 = Frob r1\n", block, error));
  EXPECT_EQ(error, "line 3: expected an opcode, found 'Frob'");
  EXPECT_FALSE(parse("  r0 = Mov r1\n", block, error));
  EXPECT_EQ(error, "line 1: expected 'block pc=...'");
  EXPECT_FALSE(parse("block pc=0\n r0 = Mov r15\n", block, error));
  EXPECT_FALSE(parse("block pc=0\n r0 = Mov r1, r2, r3, r4\n", block, error));
  EXPECT_FALSE(parse("block pc=0\n #1 = Mov r1\n", block, error));
  EXPECT_FALSE(parse("block pc=0\n r0 = Mov @r1\n", block, error));
  EXPECT_FALSE(parse("block pc=0\n ExitJump attr=@1\n", block, error));
  EXPECT_FALSE(parse("block pc=0\n ExitJump disp=@0x100000000\n", block, error));
  EXPECT_FALSE(parse("", block, error));
}

TEST(IrVerifier, SaysWhatIsWrong) {
  const struct {
    const char* insts;
    const char* problem;
  } cases[] = {
      {"t0 = Mov t1\nExitJump\n", "read before it is written"},
      {"r0 = Mov\nExitJump\n", "operand missing"},
      {"r0 = Mov r1, r2\nExitJump\n", "too many operands"},
      {"r0 = Add #1, #1\nExitJump\n", "more than one immediate"},
      {"r0 = Mov #0x100000000\nExitJump\n", "does not fit"},
      {"r0 = UBfx #1\nExitJump\n", "immediate operand where"},
      {"r0 = Mov64 #1\nExitJump\n", "not I32"},
      {"t0 = Mov64 #1\nr0 = Mov t0\nExitJump\n", "another type"},
      {"t0 = Mov #1\nt0 = Mov #2\nExitJump\n", "written twice"},
      {"t9 = Mov #1\nExitJump\n", "out of range"},
      {"Add r0, r1\nExitJump\n", "result missing"},
      {"r0 = SetNZ r1\nExitJump\n", "result of an op that has none"},
      {"r0 = Load r1 attr=3\nExitJump\n", "size is not"},
      {"r0 = Shl r1, #32\nExitJump\n", "shift amount"},
      {"SkipUnless attr=16 imm=0\nLabel imm=0\nExitJump\n", "condition"},
      {"Label imm=0\nSkipIf r0 imm=0\nExitJump\n", "backwards"},
      {"SkipIf r0 imm=1\nExitJump\n", "not defined"},
      {"SkipIf r0 imm=7\nExitJump\n", "label number"},
      {"ExitJump\nr0 = Mov r1\nExitJump\n", "not reachable"},
      {"r0 = Mov r1\n", "falls out"},
      {"r0 = Sub r1, @0x8000\nExitJump\n", "an address where none may be"},
      {"r0 = Add r1, r2 disp=@0x8000\nExitJump\n", "an address where none may be"},
      {"SkipIf r0 imm=@0\nLabel imm=0\nExitJump\n", "an address where none may be"},
      {"r0 = Mov r1 imm=@0x8000\nExitJump\n", "no operand"},
      {"Store64 r0, @0x8000 attr=8\nExitJump\n", "64-bit operand"},
      {"r0 = Load @0x8000 attr=4 disp=@0x8000\nExitJump\n", "sum of two addresses"},
      {"SkipIf r0 imm=0\nt0 = Mov #1\nLabel imm=0\nr0 = Mov t0\nExitJump\n", "on some path"},
  };
  for (const auto& c : cases) {
    const std::string found = verify(parsed(with_header(c.insts)));
    EXPECT_NE(found.find(c.problem), std::string::npos) << c.insts << "gave: " << found;
  }
}

TEST(IrVerifier, AcceptsATempWrittenOnBothPaths) {
  EXPECT_EQ(verify(parsed(with_header("SkipIf r0 imm=0\nt0 = Mov #1\nSkipUnless attr=14 imm=1\n"
                                      "Label imm=0\nt1 = Mov #2\nLabel imm=1\nr0 = Mov r1\nExitJump\n"))),
            "");
  EXPECT_EQ(verify(parsed(with_header(std::string("SkipIf r0 imm=0\n") + k_exit + "Label imm=0\n" + k_exit))), "");
}

TEST(IrVerifier, NothingMayRaiseBeforeTheFirstInsn) {
  EXPECT_NE(verify(parsed("block pc=0\nr0 = Load r1 attr=4\nExitJump\n")), "");
}

}  // namespace
}  // namespace armvisor::ir
