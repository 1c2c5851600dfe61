#include "engine/jit/x64/shift_emitter.h"

#include "base/assert.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;

/// `by`: a number, or cl.
void emit_shift(Code& code, Op op, const Xbyak::Reg& d, const auto& by) {
  switch (op) {
    case Op::Shl:
    case Op::ShlReg:
    case Op::Shl64: return code.shl(d, by);
    case Op::Shr:
    case Op::ShrReg:
    case Op::Shr64: return code.shr(d, by);
    case Op::Sar:
    case Op::SarReg:
    case Op::Sar64: return code.sar(d, by);
    default: code.ror(d, by);
  }
}

}  // namespace

void ShiftEmitter::emit(const Inst& i) {
  switch (i.op) {
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Ror: return plain(i);
    case Op::ShlReg:
    case Op::ShrReg:
    case Op::SarReg:
    case Op::RorReg: return by_register(i);
    case Op::Rrx: return rotate_through_carry(i);
    case Op::ShlCarry:
    case Op::ShrCarry:
    case Op::SarCarry:
    case Op::RorCarry: return i.b.is_imm() ? carry(i) : carry_by_register(i);
    case Op::Shl64:
    case Op::Shr64:
    case Op::Sar64: return of_64_bits(i);
    default: AV_UNREACHABLE();
  }
}

void ShiftEmitter::plain(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  if (!i.b.is_imm()) {
    const ScratchEcx ecx(code_.scratch);
    operands_.load_both(i, eax, ecx);
    emit_shift(code_, i.op, eax, ecx.cvt8());
    return operands_.finish(i.dst, eax);
  }
  const Reg32 d = operands_.target(i.dst, eax);
  const int n = static_cast<int>(i.imm & 31);
  if (i.op == Op::Ror && host_.bmi2) {
    code_.rorx(d, operands_.use(i, i.a, d), static_cast<u8>(n));
  } else {
    operands_.load_to(i, i.a, d);
    emit_shift(code_, i.op, d, n);
  }
  operands_.finish(i.dst, d);
}

void ShiftEmitter::by_register(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_both(i, eax, ecx);
  code_.movzx(ecx, ecx.cvt8());
  if (i.op == Op::ShlReg || i.op == Op::ShrReg) {
    large_to_zero(i, eax, ecx);
  } else {
    if (i.op == Op::SarReg) {
      const ScratchEdx edx(code_.scratch);
      code_.mov(edx, 31);
      code_.cmp(ecx, edx);
      code_.cmova(ecx, edx);
    }
    emit_shift(code_, i.op, eax, ecx.cvt8());
  }
  operands_.finish(i.dst, eax);
}

/// Amounts of 32 and more give 0.
void ShiftEmitter::large_to_zero(const Inst& i, const ScratchEax& eax, const ScratchEcx& ecx) {
  if (!host_.bmi2) {
    const ScratchEdx mask(code_.scratch);
    emit_shift(code_, i.op, eax, ecx.cvt8());
    code_.cmp(ecx, 32);
    code_.sbb(mask, mask);  // the borrow of (amount - 32)
    return code_.and_(eax, mask);
  }
  // Amounts of 32 to 63 shift everything out of the low half of 64 bits; larger ones are rare.
  const Label large = code_.label(), back = code_.label();
  const Reg64 rax = eax.cvt64(), rcx = ecx.cvt64();
  i.op == Op::ShlReg ? code_.shlx(rax, rax, rcx) : code_.shrx(rax, rax, rcx);
  code_.test(ecx.cvt8(), 0xc0);
  code_.jnz(large, Code::T_NEAR);
  code_.L(back);
  cold_.add([this, large, back] {
    const ScratchEax result(code_.scratch);
    code_.L(large);
    code_.xor_(result, result);
    code_.jmp(back, Code::T_NEAR);
  });
  code_.mov(eax, eax);
}

void ShiftEmitter::rotate_through_carry(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.a, eax);
  code_.mov(ecx.cvt8(), context8(AV_STATE(c)));
  code_.add(ecx.cvt8(), 0xff);
  code_.rcr(eax, 1);
  operands_.finish(i.dst, eax);
}

void ShiftEmitter::of_64_bits(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.b, ecx);
  operands_.load_to64(i, i.a, eax.cvt64());
  emit_shift(code_, i.op, eax.cvt64(), ecx.cvt8());
  operands_.finish64(i.dst, eax.cvt64());
}

/// Carry-out of a shift by a constant: a bit of the operand, or C when the amount is 0.
void ShiftEmitter::carry(const Inst& i) {
  const u32 n = static_cast<u32>(i.imm & 0xff);
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  if (n == 0) {
    code_.movzx(d, context8(AV_STATE(c)));
  } else if (n > 32 && i.op != Op::SarCarry && i.op != Op::RorCarry) {
    code_.xor_(d, d);
  } else {
    u32 position = (n - 1) & 31;
    if (i.op == Op::ShlCarry) position = 32 - n;
    if (i.op == Op::SarCarry && n > 32) position = 31;
    operands_.load_to(i, i.a, d);
    if (position != 0) code_.shr(d, static_cast<int>(position));
    if (position != 31) code_.and_(d, 1);
  }
  operands_.finish(i.dst, d);
}

/// Likewise by a register: bit 0 of a 64-bit shift one place short, C when the amount is 0.
void ShiftEmitter::carry_by_register(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx amount(code_.scratch);
  const Reg64 rax = eax.cvt64();
  const Xbyak::Reg8 cl = ecx.cvt8();
  operands_.load_both(i, eax, ecx);
  code_.movzx(ecx, cl);
  code_.mov(amount, ecx);
  if (i.op == Op::RorCarry) {
    code_.dec(ecx);
    code_.and_(ecx, 31);
    code_.shr(eax, cl);
  } else {
    if (i.op == Op::SarCarry) code_.movsxd(rax, eax);
    const Label in_range = code_.label();
    code_.cmp(ecx, 63);
    code_.jbe(in_range);
    code_.mov(ecx, 63);
    code_.L(in_range);
    if (i.op == Op::ShlCarry) {
      code_.shl(rax, cl);
      code_.shr(rax, 32);
    } else {
      code_.add(rax, rax);
      i.op == Op::ShrCarry ? code_.shr(rax, cl) : code_.sar(rax, cl);
    }
  }
  code_.and_(eax, 1);
  code_.movzx(ecx, context8(AV_STATE(c)));
  code_.test(amount, amount);
  code_.cmovz(eax, ecx);
  operands_.finish(i.dst, eax);
}

}  // namespace armvisor::engine::jit
