#pragma once
// Appends IR to a block. Constants are folded where it is free (both operands known), so front ends need not care. Of
// addresses that move with the block only what is again such an address, or no address at all, is folded: the rest is
// computed when the block runs.
#include "arm/psr.h"
#include "ir/ir.h"

namespace armvisor::ir {

/// An operand while building: a Value, or a constant that is not yet placed.
struct Operand {
  Value value;
  u64 constant = 0;
  bool is_constant = false;
  bool moves = false;  ///< the constant is an address that moves with the block

  Operand() = default;
  Operand(Value v) : value(v) {}
  Operand(Address a) : value(Value::immediate()), constant(a.value), is_constant(true), moves(a.moves) {}
  static Operand imm(u64 c) {
    Operand o;
    o.value = Value::immediate();
    o.constant = c;
    o.is_constant = true;
    return o;
  }
  /// Of a 32-bit constant.
  Address address() const { return Address(static_cast<u32>(constant), moves); }
};

class Builder {
 public:
  explicit Builder(Block& block) : block_(block) {}

  Value new_temp() { return Value::temp(block_.temp_count++); }
  u32 new_label() { return block_.label_count++; }

  /// Appends `op` and returns its result: `dst` if given, else a new temp (none for ops of type V). Two constant
  /// operands: all but the last are moved to temps, and so is an address where the opcode can have none. `imm` is for
  /// ops whose Inst::imm is an attribute, which then may have no constant operand.
  Value emit(Op op, Operand a = {}, Operand b = {}, Operand c = {});
  Value emit_to(Value dst, Op op, Operand a = {}, Operand b = {}, Operand c = {});
  /// Ops whose imm is an attribute (see opcodes.inc).
  Value emit_imm(Op op, u64 imm, Operand a = {}, Operand b = {}, Operand c = {});
  Value emit_imm_to(Value dst, Op op, u64 imm, Operand a = {}, Operand b = {}, Operand c = {});
  /// The raw form, for ops with attr, attr2 or disp.
  Inst& append(const Inst& inst);

  /// `attr` has the size: 1, 2, 4 give an I32, 8 an I64. `dst` none: a new temp.
  Value load(Value dst, Operand address, Address disp, u8 attr, u8 attr2);
  void store(Operand address, u32 disp, Operand value, u8 attr, u8 attr2);
  void skip_unless(arm::Cond cond, u32 label);
  void skip_if(Operand a, u32 label);
  void label(u32 label);

  Block& block() { return block_; }

 private:
  Block& block_;
};

}  // namespace armvisor::ir
