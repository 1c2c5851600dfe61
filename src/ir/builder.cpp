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

/// As fold() of a constant and an address that moves, by whole pages, or of two such addresses: whether the result
/// moves in the same way. False: it is neither an address nor a constant.
bool folds_moving(Op op, const Operand& a, const Operand& b, bool& result_moves) {
  constexpr u32 k_in_page = 0xfff;
  const u64 other = a.moves ? b.constant : a.constant;
  result_moves = a.moves != b.moves;
  switch (op) {
    case Op::Add: return result_moves;
    case Op::Sub: return a.moves;
    case Op::And: return result_moves && (other | k_in_page) == ~u32{0};
    case Op::Or:
    case Op::Xor: return result_moves && other <= k_in_page;
    case Op::AndNot: return a.moves && !b.moves && other <= k_in_page;
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

/// All operands are constants, and so is the result.
bool fold_operands(Op op, const Operand& a, const Operand& b, const Operand& c, Address& result) {
  if (!a.is_constant || !c.value.is_none()) return false;
  result.moves = false;
  if (b.value.is_none()) {
    result.moves = a.moves;
    return (!a.moves || op == Op::Mov) && fold(op, static_cast<u32>(a.constant), result.value);
  }
  if (!b.is_constant || ((a.moves || b.moves) && !folds_moving(op, a, b, result.moves))) return false;
  return fold(op, static_cast<u32>(a.constant), static_cast<u32>(b.constant), result.value);
}

u8 mark(Address a) { return a.moves ? Moves::imm : u8{0}; }

}  // namespace

Inst& Builder::append(const Inst& inst) {
  block_.insts.push_back(inst);
  return block_.insts.back();
}

Value Builder::emit(Op op, Operand a, Operand b, Operand c) {
  return emit_to(info(op).result == Type::V ? Value{} : new_temp(), op, a, b, c);
}

Value Builder::emit_to(Value dst, Op op, Operand a, Operand b, Operand c) {
  Address folded;
  if (fold_operands(op, a, b, c, folded)) {
    append({.op = Op::Mov, .moves = mark(folded), .dst = dst, .a = Value::immediate(), .imm = folded.value});
    return dst;
  }
  Operand* const operands[] = {&a, &b, &c};
  u64 constant = 0;
  u8 moves = 0;
  bool placed = false;
  for (int k = 2; k >= 0; --k) {
    Operand& o = *operands[k];
    if (!o.is_constant) continue;
    if (!placed && (!o.moves || imm_may_move(op))) {
      placed = true;
      constant = o.constant;
      moves = mark(o.address());
    } else {
      const bool wide = info(op).operand[k] == Type::I64;
      const Value t = new_temp();
      AV_ASSERT(!wide || !o.moves);
      append({.op = wide ? Op::Mov64 : Op::Mov,
              .moves = mark(o.address()),
              .dst = t,
              .a = Value::immediate(),
              .imm = o.constant});
      o = t;
    }
  }
  append({.op = op, .moves = moves, .dst = dst, .a = a.value, .b = b.value, .c = c.value, .imm = constant});
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

Value Builder::load(Value dst, Operand address, Address disp, u8 attr, u8 attr2) {
  if (dst.is_none()) dst = new_temp();
  append({.op = (attr & MemAttr::size_mask) == 8 ? Op::Load64 : Op::Load,
          .attr = attr,
          .attr2 = attr2,
          .moves = static_cast<u8>((address.moves ? Moves::imm : 0) | (disp.moves ? Moves::disp : 0)),
          .dst = dst,
          .a = address.value,
          .disp = disp.value,
          .imm = address.constant});
  return dst;
}

void Builder::store(Operand address, u32 disp, Operand value, u8 attr, u8 attr2) {
  if (address.is_constant && value.is_constant) address = emit(Op::Mov, address);
  append({.op = (attr & MemAttr::size_mask) == 8 ? Op::Store64 : Op::Store,
          .attr = attr,
          .attr2 = attr2,
          .moves = mark(address.is_constant ? address.address() : value.address()),
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
