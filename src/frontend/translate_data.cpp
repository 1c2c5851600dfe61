// Data processing that A32 and T32 share (ARM DDI 0406C A5.2, A6.3; operand shifting A8.4).
#include <bit>

#include "base/assert.h"
#include "base/bits.h"
#include "frontend/translator.h"

namespace armvisor::frontend {
namespace {

constexpr u8 k_nzcv = 15;

constexpr u64 field(u32 lsb, u32 width) { return lsb | width << 8; }

/// The plain IR operation; the operand order of the reversed forms is the caller's.
Op plain_op(DataOp op) {
  switch (op) {
    case DataOp::And:
    case DataOp::Tst: return Op::And;
    case DataOp::Eor:
    case DataOp::Teq: return Op::Xor;
    case DataOp::Sub:
    case DataOp::Rsb:
    case DataOp::Cmp: return Op::Sub;
    case DataOp::Add:
    case DataOp::Cmn: return Op::Add;
    case DataOp::Adc: return Op::Adc;
    case DataOp::Sbc:
    case DataOp::Rsc: return Op::Sbc;
    case DataOp::Orr:
    case DataOp::Orn: return Op::Or;
    case DataOp::Mov: return Op::Mov;
    case DataOp::Bic: return Op::AndNot;
    case DataOp::Mvn: return Op::Not;
  }
  AV_UNREACHABLE();
}

Op flag_op(DataOp op) {
  switch (plain_op(op)) {
    case Op::Add: return Op::AddF;
    case Op::Sub: return Op::SubF;
    case Op::Adc: return Op::AdcF;
    default: return Op::SbcF;
  }
}

bool has_no_result(DataOp op) {
  return op == DataOp::Tst || op == DataOp::Teq || op == DataOp::Cmp || op == DataOp::Cmn;
}

}  // namespace

bool Translator::takes_carry(DataOp op) {
  switch (op) {
    case DataOp::Sub:
    case DataOp::Rsb:
    case DataOp::Add:
    case DataOp::Adc:
    case DataOp::Sbc:
    case DataOp::Rsc:
    case DataOp::Cmp:
    case DataOp::Cmn: return false;
    default: return true;
  }
}

void Translator::decode_imm_shift(u32 type, u32 imm5, Shift& shift, u32& amount) {
  shift = static_cast<Shift>(type & 3);
  amount = imm5;
  if (imm5 != 0) return;
  if (shift == Shift::LSR || shift == Shift::ASR) amount = 32;
  if (shift == Shift::ROR) {
    shift = Shift::RRX;
    amount = 1;
  }
}

Translator::ShiftedOperand Translator::shift_imm(Operand v, Shift type, u32 amount, bool want_carry) {
  if (amount == 0) return v;
  const u32 carry_bit = type == Shift::LSL ? 32 - amount : amount - 1;
  ShiftedOperand result;
  if (want_carry) {
    result.has_carry = true;
    result.carry = ir.emit_imm(Op::UBfx, field(carry_bit, 1), v);
  }
  switch (type) {
    case Shift::LSL: result.value = ir.emit(Op::Shl, v, imm(amount)); break;
    case Shift::LSR: result.value = amount == 32 ? imm(0) : Operand(ir.emit(Op::Shr, v, imm(amount))); break;
    case Shift::ASR: result.value = ir.emit(Op::Sar, v, imm(amount == 32 ? 31 : amount)); break;
    case Shift::ROR: result.value = ir.emit(Op::Ror, v, imm(amount)); break;
    case Shift::RRX: result.value = ir.emit(Op::Rrx, v); break;
  }
  return result;
}

Translator::ShiftedOperand Translator::shifted_reg(u32 m, u32 type, u32 imm5, bool want_carry) {
  Shift shift{};
  u32 amount = 0;
  decode_imm_shift(type, imm5, shift, amount);
  return shift_imm(reg(m), shift, amount, want_carry);
}

Translator::ShiftedOperand Translator::shift_reg(Operand v, Shift type, Operand amount, bool want_carry) {
  static constexpr Op k_shift[] = {Op::ShlReg, Op::ShrReg, Op::SarReg, Op::RorReg};
  static constexpr Op k_carry[] = {Op::ShlCarry, Op::ShrCarry, Op::SarCarry, Op::RorCarry};
  const auto index = static_cast<u32>(type);
  ShiftedOperand result;
  if (want_carry) {
    result.has_carry = true;
    result.carry = ir.emit(k_carry[index], v, amount);
  }
  result.value = ir.emit(k_shift[index], v, amount);
  return result;
}

Translator::ShiftedOperand Translator::a32_modified_imm(u32 imm12, bool want_carry) {
  const u32 rotation = bits<11, 8>(imm12) * 2;
  const u32 value = ror32(imm12 & 0xff, rotation);
  if (rotation == 0 || !want_carry) return imm(value);
  return {imm(value), imm(value >> 31)};
}

Translator::ShiftedOperand Translator::t32_modified_imm(u32 imm12, bool want_carry, bool& ok) {
  const u32 byte = imm12 & 0xff;
  ok = true;
  if (bits<11, 10>(imm12) == 0) {
    static constexpr u32 k_repeat[] = {0x00000001, 0x00010001, 0x01000100, 0x01010101};
    const u32 pattern = bits<9, 8>(imm12);
    ok = pattern == 0 || byte != 0;
    return imm(byte * k_repeat[pattern]);
  }
  const u32 value = ror32(0x80 | (imm12 & 0x7f), bits<11, 7>(imm12));
  if (!want_carry) return imm(value);
  return {imm(value), imm(value >> 31)};
}

void Translator::set_reg(u32 n, Operand v) {
  const Value dst = Value::reg(n);
  if (!v.is_constant && v.value == dst) return;
  auto& insts = ir.block().insts;
  if (!v.is_constant && v.value.is_temp() && insts.back().dst == v.value)
    insts.back().dst = dst;
  else
    ir.emit_to(dst, Op::Mov, v);
}

void Translator::move_to(u32 d, Operand v) {
  if (d == 15)
    write_pc_alu(v, !v.is_constant && v.value == Value::reg(14) ? BranchHint::Return : BranchHint::None);
  else
    set_reg(d, v);
}

void Translator::data_processing(DataOp op, bool s, u32 d, u32 n, const ShiftedOperand& m) {
  data_processing(op, s, d, reg(n), m);
}

void Translator::data_processing(DataOp op, bool s, u32 d, Operand n, const ShiftedOperand& m) {
  const bool no_result = has_no_result(op);
  if (no_result || (s && d != 15)) return flag_setting(op, n, m, no_result ? Value{} : Value::reg(d));
  if (s && !context.privileged) return unpredictable();
  if (op == DataOp::Mov) {
    if (s) return exception_return_alu(m.value);
    return move_to(d, m.value);
  }
  Operand a = n, b = m.value;
  if (op == DataOp::Rsb || op == DataOp::Rsc) std::swap(a, b);
  if (op == DataOp::Mvn) {
    a = b;
    b = {};
  }
  if (op == DataOp::Orn)
    b = b.is_constant && !b.moves ? imm(~static_cast<u32>(b.constant)) : Operand(ir.emit(Op::Not, b));
  const Value result = ir.emit_to(d == 15 ? ir.new_temp() : Value::reg(d), plain_op(op), a, b);
  if (d != 15) return;
  if (s) return exception_return_alu(result);
  write_pc_alu(result, op == DataOp::Add ? BranchHint::Table : BranchHint::None);
}

void Translator::exception_return_alu(Operand target_pc) { leave_return(target_pc, ir.emit(Op::ReadSpsr)); }

/// The forms that write flags: into `dst`, which is none for the compares and tests.
void Translator::flag_setting(DataOp op, Operand n, const ShiftedOperand& m, Value dst) {
  Operand a = n, b = m.value;
  if (op == DataOp::Rsb || op == DataOp::Rsc) std::swap(a, b);
  if (!takes_carry(op)) {
    ir.emit_to(dst, flag_op(op), a, b);
    ir.block().insts.back().attr = k_nzcv;
    return;
  }
  if (op == DataOp::Orn)
    b = b.is_constant && !b.moves ? imm(~static_cast<u32>(b.constant)) : Operand(ir.emit(Op::Not, b));
  Operand result = b;
  if (op == DataOp::Mov) {
    set_reg(dst.reg_number(), b);
    if (!b.is_constant) result = dst;
  } else if (op == DataOp::Mvn) {
    result = ir.emit_to(dst, Op::Not, b);
  } else {
    result = ir.emit_to(dst.is_none() ? ir.new_temp() : dst, plain_op(op), a, b);
  }
  set_flags_logical(result, m);
}

void Translator::set_flags_logical(Operand result, const ShiftedOperand& m) {
  ir.emit(Op::SetNZ, result);
  ir.block().insts.back().attr = 12;
  if (!m.has_carry) return;
  ir.emit(Op::SetC, m.carry);
  ir.block().insts.back().attr = 2;
}

void Translator::movt(u32 d, u32 imm16) {
  const Value low = ir.emit(Op::And, reg(d), imm(0xffff));
  ir.emit_to(Value::reg(d), Op::Or, low, imm(imm16 << 16));
}

void Translator::unary(Op op, u32 d, u32 m) { ir.emit_to(Value::reg(d), op, reg(m)); }

void Translator::bfi(u32 d, u32 n, u32 lsb, u32 width) {
  if (n == 15) {
    const u32 mask = static_cast<u32>(low_mask(width)) << lsb;
    ir.emit_to(Value::reg(d), Op::AndNot, reg(d), imm(mask));
  } else {
    ir.emit_imm_to(Value::reg(d), Op::Bfi, field(lsb, width), reg(d), reg(n));
  }
}

void Translator::bfx(bool is_unsigned, u32 d, u32 n, u32 lsb, u32 width) {
  ir.emit_imm_to(Value::reg(d), is_unsigned ? Op::UBfx : Op::SBfx, field(lsb, width), reg(n));
}

void Translator::extend(Extend kind, u32 d, u32 n, u32 m, u32 rotation) {
  const Value dst = Value::reg(d);
  const Operand v = rotation == 0 ? reg(m) : Operand(ir.emit(Op::Ror, reg(m), imm(rotation)));
  if (kind == Extend::Uxtb16 && n == 15) {
    ir.emit_to(dst, Op::And, v, imm(0x00ff00ff));
    return;
  }
  if (kind == Extend::Sxtb16 || kind == Extend::Uxtb16) {
    // Two independent halfword results; carries out of the low half must not reach the high one.
    const Op byte = kind == Extend::Uxtb16 ? Op::UBfx : Op::SBfx;
    Operand low = ir.emit_imm(byte, field(0, 8), v);
    Operand high = ir.emit(Op::Shl, ir.emit_imm(byte, field(16, 8), v), imm(16));
    if (n != 15) {
      low = ir.emit(Op::Add, reg(n), low);
      high = ir.emit(Op::Add, reg(n), high);
    }
    ir.emit_imm_to(dst, Op::Bfi, field(0, 16), high, low);
    return;
  }
  static constexpr Op k_op[] = {Op::Mov, Op::SExt8, Op::SExt16, Op::Mov, Op::ZExt8, Op::ZExt16};
  const Op op = k_op[static_cast<u32>(kind)];
  if (n == 15)
    ir.emit_to(dst, op, v);
  else
    ir.emit_to(dst, Op::Add, reg(n), ir.emit(op, v));
}

void Translator::pkh(bool tb, u32 d, u32 n, u32 m, u32 imm5) {
  const Operand v = shifted_reg(m, tb ? 2 : 0, imm5, false).value;
  if (tb)
    ir.emit_imm_to(Value::reg(d), Op::Bfi, field(0, 16), reg(n), v);
  else
    ir.emit_imm_to(Value::reg(d), Op::Bfi, field(0, 16), v, reg(n));
}

void Translator::sel(u32 d, u32 n, u32 m) { ir.emit_to(Value::reg(d), Op::Sel, reg(n), reg(m)); }

}  // namespace armvisor::frontend
