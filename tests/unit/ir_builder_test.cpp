// What the builder makes of constants, and of addresses that move with the block.
#include <gtest/gtest.h>

#include "ir/builder.h"

namespace armvisor::ir {
namespace {

const Operand k_pc = Address::of_pc(0x8008);

/// The instructions for `op` of two operands into r0, on one line.
std::string built(Op op, Operand a, Operand b = {}) {
  Block block;
  block.pc = 0x8000;
  Builder builder(block);
  builder.append({.op = Op::Insn, .attr = 4, .imm = 0x8000});
  builder.emit_to(Value::reg(0), op, a, b);
  builder.append({.op = Op::ExitJump, .imm = 0x8004});
  EXPECT_EQ(verify(block), "");
  std::string text = print(block), line;
  text = text.substr(text.find("imm=0x8000\n") + 13);
  text = text.substr(0, text.find("\n  ExitJump"));
  for (const char c : text)
    if (c != '\n') line += c;
  return line;
}

TEST(IrBuilder, ConstantsAreFolded) {
  EXPECT_EQ(built(Op::Shl, Operand::imm(3), Operand::imm(4)), "r0 = Mov #0x30");
  EXPECT_EQ(built(Op::Not, Operand::imm(3)), "r0 = Mov #0xfffffffc");
}

TEST(IrBuilder, WhatStaysAnAddressIsFolded) {
  EXPECT_EQ(built(Op::Mov, k_pc), "r0 = Mov @0x8008");
  EXPECT_EQ(built(Op::Add, k_pc, Operand::imm(0x10)), "r0 = Mov @0x8018");
  EXPECT_EQ(built(Op::Add, Operand::imm(0x10), k_pc), "r0 = Mov @0x8018");
  EXPECT_EQ(built(Op::Sub, k_pc, Operand::imm(9)), "r0 = Mov @0x7fff");
  EXPECT_EQ(built(Op::And, k_pc, Operand::imm(~u32{3})), "r0 = Mov @0x8008");
  EXPECT_EQ(built(Op::AndNot, k_pc, Operand::imm(8)), "r0 = Mov @0x8000");
  EXPECT_EQ(built(Op::Or, Operand::imm(1), k_pc), "r0 = Mov @0x8009");
  EXPECT_EQ(built(Op::Xor, k_pc, Operand::imm(0xfff)), "r0 = Mov @0x8ff7");
}

TEST(IrBuilder, ADistanceBetweenAddressesIsAConstant) {
  EXPECT_EQ(built(Op::Sub, k_pc, Address::of_pc(0x8000)), "r0 = Mov #0x8");
}

TEST(IrBuilder, WhatIsNoAddressAnyMoreIsComputed) {
  EXPECT_EQ(built(Op::Not, k_pc), "t0 = Mov @0x8008  r0 = Not t0");
  EXPECT_EQ(built(Op::Shl, k_pc, Operand::imm(2)), "t0 = Mov @0x8008  r0 = Shl t0, #0x2");
  EXPECT_EQ(built(Op::Sub, Operand::imm(4), k_pc), "t0 = Mov @0x8008  r0 = Sub #0x4, t0");
  EXPECT_EQ(built(Op::And, k_pc, Operand::imm(0xffff)), "t0 = Mov @0x8008  r0 = And t0, #0xffff");
  EXPECT_EQ(built(Op::Or, k_pc, Operand::imm(0x1000)), "t0 = Mov @0x8008  r0 = Or t0, #0x1000");
  EXPECT_EQ(built(Op::Add, k_pc, k_pc), "t0 = Mov @0x8008  r0 = Add t0, @0x8008");
  EXPECT_EQ(built(Op::AddF, Value::reg(1), k_pc), "t0 = Mov @0x8008  r0 = AddF r1, t0");
}

TEST(IrBuilder, AnAddressIsAnOperandOfAdd) {
  EXPECT_EQ(built(Op::Add, Value::reg(1), k_pc), "r0 = Add r1, @0x8008");
  EXPECT_EQ(built(Op::Add, k_pc, Value::reg(1)), "r0 = Add @0x8008, r1");
  EXPECT_EQ(built(Op::Sub, k_pc, Value::reg(1)), "t0 = Mov @0x8008  r0 = Sub t0, r1");
}

}  // namespace
}  // namespace armvisor::ir
