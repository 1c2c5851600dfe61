#include "ir/builder.h"

#include "base/assert.h"
#include "base/bits.h"

namespace armvisor::ir {
namespace {

/// Constant folding of the pure 32-bit operations that front ends meet with two constants (PC-relative arithmetic).
bool fold(Op op, u32 a, u32 b, u32& result) {
  switch (op) {
    case Op::Add: result = a + b; return true;
    case Op::Sub: result = a - b; return true;
    case Op::And: result = a & b; return true;
    case Op::Or: result = a | b; return true;
    case Op::Xor: result = a ^ b; return true;
    case Op::AndNot: result = a & ~b; return true;
    case Op::Shl: result = a << (b & 31); return true;
    case Op::Shr: result = a >> (b & 31); return true;
    case Op::Sar: result = static_cast<u32>(static_cast<s32>(a) >> (b & 31)); return true;
    case Op::Ror: result = ror32(a, b); return true;
    default: return false;
  }
}

bool fold(Op op, u32 a, u32& result) {
  switch (op) {
    case Op::Mov: result = a; return true;
    case Op::Not: result = ~a; return true;
    case Op::SExt8: result = sign_extend(a, 8); return true;
    case Op::SExt16: result = sign_extend(a, 16); return true;
    case Op::ZExt8: result = a & 0xff; return true;
    case Op::ZExt16: result = a & 0xffff; return true;
    case Op::Rev: result = __builtin_bswap32(a); return true;
    default: return false;
  }
}

}  // namespace

Inst& Builder::append(const Inst& inst) {
  block_.insts.push_back(inst);
  return block_.insts.back();
}

Value Builder::emit(Op op, Operand a, Operand b, Operand c) {
  return emit_to(info(op).result == Type::V ? Value{} : new_temp(), op, a, b, c);
}

Value Builder::emit_to(Value dst, Op op, Operand a, Operand b, Operand c) {
  u32 folded = 0;
  const bool unary = b.value.is_none() && c.value.is_none();
  if (a.is_constant && ((unary && fold(op, static_cast<u32>(a.constant), folded)) ||
                        (b.is_constant && c.value.is_none() &&
                         fold(op, static_cast<u32>(a.constant), static_cast<u32>(b.constant), folded)))) {
    append({.op = Op::Mov, .dst = dst, .a = Value::immediate(), .imm = folded});
    return dst;
  }
  Operand* const operands[] = {&a, &b, &c};
  u64 constant = 0;
  bool placed = false;
  for (int k = 2; k >= 0; --k) {
    Operand& o = *operands[k];
    if (!o.is_constant) continue;
    if (!placed) {
      placed = true;
      constant = o.constant;
    } else {
      const bool wide = info(op).operand[k] == Type::I64;
      const Value t = new_temp();
      append({.op = wide ? Op::Mov64 : Op::Mov, .dst = t, .a = Value::immediate(), .imm = o.constant});
      o = t;
    }
  }
  append({.op = op, .dst = dst, .a = a.value, .b = b.value, .c = c.value, .imm = constant});
  return dst;
}

Value Builder::emit_imm(Op op, u64 imm, Operand a, Operand b, Operand c) {
  return emit_imm_to(info(op).result == Type::V ? Value{} : new_temp(), op, imm, a, b, c);
}

Value Builder::emit_imm_to(Value dst, Op op, u64 imm, Operand a, Operand b, Operand c) {
  Operand* const operands[] = {&a, &b, &c};
  for (int k = 0; k < 3; ++k) {
    if (!operands[k]->is_constant) continue;
    const bool wide = info(op).operand[k] == Type::I64;
    *operands[k] = emit(wide ? Op::Mov64 : Op::Mov, *operands[k]);
  }
  append({.op = op, .dst = dst, .a = a.value, .b = b.value, .c = c.value, .imm = imm});
  return dst;
}

Value Builder::load(Value dst, Operand address, u32 disp, u8 attr, u8 attr2) {
  if (dst.is_none()) dst = new_temp();
  append({.op = (attr & MemAttr::size_mask) == 8 ? Op::Load64 : Op::Load,
          .attr = attr,
          .attr2 = attr2,
          .dst = dst,
          .a = address.value,
          .disp = disp,
          .imm = address.constant});
  return dst;
}

void Builder::store(Operand address, u32 disp, Operand value, u8 attr, u8 attr2) {
  if (address.is_constant && value.is_constant) address = emit(Op::Mov, address);
  append({.op = (attr & MemAttr::size_mask) == 8 ? Op::Store64 : Op::Store,
          .attr = attr,
          .attr2 = attr2,
          .a = address.value,
          .b = value.value,
          .disp = disp,
          .imm = address.is_constant ? address.constant : value.constant});
}

void Builder::skip_unless(arm::Cond cond, u32 label) {
  append({.op = Op::SkipUnless, .attr = static_cast<u8>(cond), .imm = label});
}

void Builder::skip_if(Operand a, u32 label) { emit_imm(Op::SkipIf, label, a); }

void Builder::label(u32 label) { append({.op = Op::Label, .imm = label}); }

}  // namespace armvisor::ir
