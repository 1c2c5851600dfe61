#pragma once
// The object that instruction handlers work on: builder, context, and the emitters that A32 and T32 share. A handler
// (one per encoding line, named after the manual) decodes operands and calls an emitter; semantics stand once.
#include "arm/psr.h"
#include "frontend/decoder.h"
#include "frontend/translate.h"
#include "ir/builder.h"

namespace armvisor::frontend {

using arm::Cond;
using ir::Operand;
using ir::Value;

enum class DataOp : u8 { And, Eor, Sub, Rsb, Add, Adc, Sbc, Rsc, Tst, Teq, Cmp, Cmn, Orr, Mov, Bic, Mvn, Orn };
enum class Shift : u8 { LSL, LSR, ASR, ROR, RRX };

class Translator {
 public:
  Translator(const Context& context, ir::Block& block);

  ir::Builder ir;
  Context context;
  u32 pc = 0;         ///< of the instruction being translated
  u8 bytes = 4;       ///< its length
  bool done = false;  ///< the block has been ended

  // --- operands
  u32 next_pc() const { return pc + bytes; }
  u32 pc_value() const { return pc + (context.thumb ? 4 : 8); }  ///< what reading PC gives
  Operand reg(u32 n) { return n == 15 ? Operand::imm(pc_value()) : Operand(Value::reg(n)); }
  /// Writes Rn, n in 0..14.
  void set_reg(u32 n, Operand v);
  bool in_it() const { return (context.it & 15) != 0; }
  bool last_in_it() const { return (context.it & 15) == 8; }
  u8 memory_attr(u8 extra = 0) const;  ///< endianness and strict alignment of the context

  // --- conditions. The driver (translate.cpp) opens the condition of an A32 cond field or IT block around a handler.
  /// For handlers: leaves the rest of the block to what follows when the instruction was conditional.
  // --- outcomes
  void undefined();                      ///< Undefined Instruction exception here
  void unpredictable() { undefined(); }  ///< the choice of this CPU, see docs/architecture.md
  void end_block();                      ///< after an emitted exit

  // --- emitters: branches (translate_branch.cpp)
  void branch(u32 target, ir::BranchHint hint = ir::BranchHint::None);  ///< same instruction set
  void branch_switch(u32 target, bool link);                            ///< BLX immediate: the other one
  void bx(Operand target, ir::BranchHint hint);                         ///< BXWritePC
  void write_pc_alu(Operand value);                                     ///< ALUWritePC: interworks in A32, plain in T32
  void write_pc_load(Operand value, ir::BranchHint hint);               ///< LoadWritePC
  void sync_exit(u32 target);                                           ///< ExitSync

  // --- emitters: data processing (translate_data.cpp)
  struct ShiftedOperand {
    Operand value;
    Operand carry;
    bool has_carry = false;
  };
  ShiftedOperand shift_imm(Operand v, Shift type, u32 amount, bool want_carry);  ///< DecodeImmShift already applied
  ShiftedOperand shift_reg(Operand v, Shift type, Operand amount, bool want_carry);
  ShiftedOperand a32_modified_imm(u32 imm12, bool want_carry);            ///< ARMExpandImm_C
  ShiftedOperand t32_modified_imm(u32 imm12, bool want_carry, bool& ok);  ///< ThumbExpandImm_C
  static void decode_imm_shift(u32 type, u32 imm5, Shift& shift, u32& amount);
  /// d == 15 writes PC; with s set that is an exception return (SUBS PC, LR and related).
  void data_processing(DataOp op, bool s, u32 d, u32 n, const ShiftedOperand& m);
  void move_to(u32 d, Operand v);  ///< Rd = v, PC by ALUWritePC

  // --- emitters: memory (translate_memory.cpp)
  struct Address {
    Operand base;
    u32 disp = 0;
    Value writeback;
    u32 writeback_reg = 15;
  };
};

}  // namespace armvisor::frontend
