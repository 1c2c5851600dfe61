#include "engine/jit/x64/integer_emitter.h"

#include <utility>

#include "base/assert.h"
#include "base/bits.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using ir::Value;

bool is_commutative(Op op) {
  return op == Op::Add || op == Op::And || op == Op::Or || op == Op::Xor || op == Op::Mul || op == Op::Adc ||
         op == Op::AddF || op == Op::AdcF;
}
bool adds_carry(Op op) { return op == Op::Adc || op == Op::AdcF; }
bool has_carry(Op op) { return adds_carry(op) || op == Op::Sbc || op == Op::SbcF; }

}  // namespace

void IntegerEmitter::emit(const Inst& i) {
  switch (i.op) {
    case Op::Mov: return move(i);
    case Op::Not:
    case Op::Rev:
    case Op::Rev16:
    case Op::Revsh: return in_register(i);
    case Op::Clz: return count_zeros(i);
    case Op::Rbit: return reverse_bits(i);
    case Op::SExt8:
    case Op::SExt16:
    case Op::ZExt8:
    case Op::ZExt16: return extend(i);
    case Op::Add:
    case Op::Sub:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Adc:
    case Op::Sbc:
    case Op::AndNot:
    case Op::Mul:
    case Op::MulHiS: return i.dst.is_none() ? void() : binary(i);
    case Op::AddF:
    case Op::SubF:
    case Op::AdcF:
    case Op::SbcF: return with_flags(i);
    case Op::SDiv:
    case Op::UDiv: return divide(i);
    case Op::Select: return select(i);
    case Op::CmpEq:
    case Op::CmpLtU:
    case Op::CmpLtS: return compare(i);
    case Op::Bfi: return insert(i);
    case Op::SBfx:
    case Op::UBfx: return extract(i);
    case Op::Mov64:
    case Op::Pack64:
    case Op::Lo32:
    case Op::Hi32:
    case Op::ZExt64:
    case Op::SExt64: return move64(i);
    case Op::Add64:
    case Op::Sub64:
    case Op::MulU64:
    case Op::MulS64: return arithmetic64(i);
    default: shifts_.emit(i);
  }
}

void IntegerEmitter::move(const Inst& i) {
  if (i.a.is_imm() && operands_.host_reg(i.dst) == k_not_pinned) {
    code_.mov(context32(operands_.memory_offset(i.dst)), static_cast<u32>(i.imm));
    return code_.note_address(i.imm_address());
  }
  const ScratchEax eax(code_.scratch);
  if (const int a = operands_.host_reg(i.a); a != k_not_pinned) return operands_.finish(i.dst, Reg32(a));
  const Reg32 d = operands_.target(i.dst, eax);
  operands_.load_to(i, i.a, d);
  operands_.finish(i.dst, d);
}

// --- arithmetic and logic

void IntegerEmitter::binary(const Inst& i) {
  if (i.op == Op::AndNot) return and_not(i);
  if (i.op == Op::MulHiS) return multiply_high(i);
  if (i.op == Op::Mul) return multiply(i);
  if (i.op == Op::Add && add_by_lea(i)) return;
  const ScratchEax eax(code_.scratch);
  operands_.finish(i.dst, arithmetic(i, eax));
  flags_.note_host_nz(i.dst);
}

/// a op b, leaving the host's flags as the operation sets them. Where the result is built: the destination's register
/// unless b still needs it. A compare builds none.
IntegerEmitter::Reg32 IntegerEmitter::arithmetic(const Inst& i, const ScratchEax& eax) {
  AV_ASSERT(!i.imm_address().moves);
  Value a = i.a, b = i.b;
  if (is_commutative(i.op) && (a.is_imm() || (!i.dst.is_none() && b == i.dst))) std::swap(a, b);
  const bool compares = i.op == Op::SubF && i.dst.is_none();
  Reg32 d = operands_.target(i.dst, eax);
  if (compares) {
    d = operands_.use(i, a, eax);
  } else {
    if (!b.is_imm() && operands_.aliases(b, d) && !(a == b)) d = eax;
    operands_.load_to(i, a, d);
  }
  if (has_carry(i.op)) carry_to_host(i);
  const auto apply = [&](const auto& rhs) {
    switch (i.op) {
      case Op::Add:
      case Op::AddF: return code_.add(d, rhs);
      case Op::Sub: return code_.sub(d, rhs);
      case Op::SubF: return compares ? code_.cmp(d, rhs) : code_.sub(d, rhs);
      case Op::And: return code_.and_(d, rhs);
      case Op::Or: return code_.or_(d, rhs);
      case Op::Xor: return code_.xor_(d, rhs);
      case Op::Adc:
      case Op::AdcF: return code_.adc(d, rhs);
      case Op::Sbc:
      case Op::SbcF: return code_.sbb(d, rhs);
      default: AV_UNREACHABLE();
    }
  };
  if (b.is_imm())
    apply(static_cast<u32>(i.imm));
  else if (const int r = operands_.host_reg(b); r != k_not_pinned)
    apply(Reg32(r));
  else
    apply(context32(operands_.memory_offset(b)));
  return d;
}

/// CF = C for adc, CF = not C for sbb.
void IntegerEmitter::carry_to_host(const Inst& i) {
  if (const int source = at_.plan.flags[at_.index].at_host; source >= 0) {
    const bool is_carry = flags_kind(at_.block->insts[static_cast<u32>(source)]) == HostFlags::Add;
    if (is_carry != adds_carry(i.op)) code_.cmc();
  } else if (adds_carry(i.op)) {
    const ScratchEcx ecx(code_.scratch);
    code_.mov(ecx.cvt8(), context8(AV_STATE(c)));
    code_.add(ecx.cvt8(), 0xff);
  } else {
    code_.cmp(context8(AV_STATE(c)), 1);
  }
}

/// An addition in one instruction that leaves its operands, where it is one: of an address that moves with the block,
/// of a shifted register, or of registers to another.
bool IntegerEmitter::add_by_lea(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  const int ra = operands_.host_reg(i.a), rb = operands_.host_reg(i.b), rd = operands_.host_reg(i.dst);
  if (i.imm_address().moves) {
    code_.lea_address(d, operands_.use(i, i.a.is_imm() ? i.b : i.a, eax), i.imm_address());
  } else if (at_.plan.registers.is_folded(i.b)) {
    const Inst& shift = at_.block->insts[at_.index - 1];
    const ScratchEcx ecx(code_.scratch);
    const Reg64 a = operands_.use(i, i.a, eax).cvt64(), b = operands_.use(shift, shift.a, ecx).cvt64();
    code_.lea(d, code_.ptr[a + b * (1 << shift.imm)]);
  } else if (rd == k_not_pinned || ra == k_not_pinned || ra == rd) {
    return false;
  } else if (i.b.is_imm()) {
    code_.lea(d, code_.ptr[Reg64(ra) + static_cast<s32>(i.imm)]);
  } else if (rb != k_not_pinned && rb != rd) {
    code_.lea(d, code_.ptr[Reg64(ra) + Reg64(rb)]);
  } else {
    return false;
  }
  operands_.finish(i.dst, d);
  return true;
}

void IntegerEmitter::and_not(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  if (host_.bmi1 && !i.a.is_imm() && !i.b.is_imm()) {
    const Reg32 b = operands_.use(i, i.b, ecx);
    if (const int a = operands_.host_reg(i.a); a != k_not_pinned)
      code_.andn(d, b, Reg32(a));
    else
      code_.andn(d, b, context32(operands_.memory_offset(i.a)));
    return operands_.finish(i.dst, d);
  }
  operands_.load_to(i, i.b, ecx);
  code_.not_(ecx);
  if (i.a.is_imm())
    code_.and_(ecx, static_cast<u32>(i.imm));
  else
    code_.and_(ecx, operands_.use(i, i.a, eax));
  code_.mov(d, ecx);
  operands_.finish(i.dst, d);
}

void IntegerEmitter::multiply(const Inst& i) {
  Value a = i.a, b = i.b;
  if (a.is_imm() || b == i.dst || operands_.host_reg(a) == k_not_pinned) std::swap(a, b);
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  Reg32 d = operands_.target(i.dst, eax);
  if (b.is_imm() || (operands_.aliases(b, d) && a != b)) d = eax;
  operands_.load_to(i, a, d);
  if (b.is_imm() || operands_.host_reg(b) != k_not_pinned)
    code_.imul(d, operands_.use(i, b, ecx));
  else
    code_.imul(d, context32(operands_.memory_offset(b)));
  operands_.finish(i.dst, d);
}

void IntegerEmitter::multiply_high(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  operands_.load_both(i, eax, ecx);
  code_.imul(ecx);
  operands_.finish(i.dst, edx);
}

/// UDIV, SDIV: x / 0 = 0 and INT_MIN / -1 = INT_MIN; the 64-bit division cannot overflow.
void IntegerEmitter::divide(const Inst& i) {
  const Label zero = code_.label(), done = code_.label();
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  operands_.load_both(i, eax, ecx);
  code_.test(ecx, ecx);
  code_.jz(zero);
  if (i.op == Op::SDiv) {
    code_.movsxd(ecx.cvt64(), ecx);
    code_.movsxd(eax.cvt64(), eax);
    code_.cqo();
    code_.idiv(ecx.cvt64());
  } else {
    code_.xor_(edx, edx);
    code_.div(ecx);
  }
  code_.jmp(done);
  code_.L(zero);
  code_.xor_(eax, eax);
  code_.L(done);
  operands_.finish(i.dst, eax);
}

void IntegerEmitter::with_flags(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg32 d = arithmetic(i, eax);
  flags_.store_needed(i);
  operands_.finish(i.dst, d);
}

void IntegerEmitter::select(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  operands_.load_to(i, i.c, ecx);
  operands_.load_to(i, i.b, edx);
  const Reg32 a = operands_.use(i, i.a, eax);
  code_.test(a, a);
  code_.cmovnz(ecx, edx);
  operands_.finish(i.dst, ecx);
}

void IntegerEmitter::compare(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.b, ecx);
  code_.cmp(operands_.use(i, i.a, eax), ecx);
  const Xbyak::Reg8 al = eax.cvt8();
  i.op == Op::CmpEq ? code_.sete(al) : i.op == Op::CmpLtU ? code_.setb(al) : code_.setl(al);
  code_.movzx(eax, al);
  operands_.finish(i.dst, eax);
}

// --- bits and bytes

/// What is done to the operand where the result will be.
void IntegerEmitter::in_register(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  operands_.load_to(i, i.a, d);
  i.op == Op::Not ? code_.not_(d) : code_.bswap(d);
  if (i.op == Op::Rev16) code_.ror(d, 16);
  if (i.op == Op::Revsh) code_.sar(d, 16);
  operands_.finish(i.dst, d);
}

void IntegerEmitter::count_zeros(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg32 a = operands_.use(i, i.a, eax);
  if (host_.lzcnt) {
    const Reg32 d = operands_.target(i.dst, eax);
    code_.lzcnt(d, a);
    return operands_.finish(i.dst, d);
  }
  const ScratchEcx ecx(code_.scratch);
  code_.mov(ecx, 63);
  code_.bsr(eax, a);
  code_.cmovz(eax, ecx);
  code_.xor_(eax, 31);
  operands_.finish(i.dst, eax);
}

void IntegerEmitter::reverse_bits(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.a, eax);
  for (const auto& [shift, mask] : {std::pair{1, 0x55555555u}, std::pair{2, 0x33333333u}, std::pair{4, 0x0f0f0f0fu}}) {
    code_.mov(ecx, eax);
    code_.shr(eax, shift);
    code_.and_(eax, mask);
    code_.and_(ecx, mask);
    code_.shl(ecx, shift);
    code_.or_(eax, ecx);
  }
  code_.bswap(eax);
  operands_.finish(i.dst, eax);
}

void IntegerEmitter::extend(const Inst& i) {
  const bool is_byte = i.op == Op::SExt8 || i.op == Op::ZExt8, is_signed = i.op == Op::SExt8 || i.op == Op::SExt16;
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  const auto from = [&](const Xbyak::Operand& a) { is_signed ? code_.movsx(d, a) : code_.movzx(d, a); };
  if (operands_.host_reg(i.a) == k_not_pinned && !i.a.is_imm()) {
    const u32 a = operands_.memory_offset(i.a);
    from(is_byte ? context8(a) : context16(a));
  } else {
    const Reg32 a = operands_.use(i, i.a, eax);
    is_byte ? from(a.cvt8()) : from(a.cvt16());
  }
  operands_.finish(i.dst, d);
}

void IntegerEmitter::insert(const Inst& i) {
  const u32 lsb = i.imm & 31, mask = static_cast<u32>(low_mask((i.imm >> 8) & 63));
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_both(i, eax, ecx);
  code_.and_(ecx, mask);
  if (lsb) code_.shl(ecx, static_cast<int>(lsb));
  code_.and_(eax, ~(mask << lsb));
  code_.or_(eax, ecx);
  operands_.finish(i.dst, eax);
}

void IntegerEmitter::extract(const Inst& i) {
  const u32 lsb = i.imm & 31, width = (i.imm >> 8) & 63;
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  operands_.load_to(i, i.a, d);
  if (i.op == Op::UBfx) {
    if (lsb) code_.shr(d, static_cast<int>(lsb));
    if (lsb + width < 32) code_.and_(d, static_cast<u32>(low_mask(width)));
  } else {
    if (lsb + width < 32) code_.shl(d, static_cast<int>(32 - lsb - width));
    if (width < 32) code_.sar(d, static_cast<int>(32 - width));
  }
  operands_.finish(i.dst, d);
}

// --- 64 bits

void IntegerEmitter::move64(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg64 rax = eax.cvt64();
  switch (i.op) {
    case Op::Mov64: {
      const Reg64 d = operands_.target64(i.dst, rax);
      operands_.load_to64(i, i.a, d);
      return operands_.finish64(i.dst, d);
    }
    case Op::Pack64: {
      const ScratchEcx ecx(code_.scratch);
      operands_.load_both(i, eax, ecx);
      code_.shl(ecx.cvt64(), 32);
      code_.or_(rax, ecx.cvt64());
      return operands_.finish64(i.dst, rax);
    }
    case Op::Lo32:
    case Op::Hi32:
      operands_.load_to64(i, i.a, rax);
      if (i.op == Op::Hi32) code_.shr(rax, 32);
      return operands_.finish(i.dst, eax);
    default:
      operands_.load_to(i, i.a, eax);
      if (i.op == Op::SExt64) code_.movsxd(rax, eax);
      return operands_.finish64(i.dst, rax);
  }
}

void IntegerEmitter::arithmetic64(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const Reg64 rax = eax.cvt64(), rcx = ecx.cvt64();
  if (i.op == Op::Add64 || i.op == Op::Sub64) {
    operands_.load_to64(i, i.b, rcx);
    operands_.load_to64(i, i.a, rax);
    i.op == Op::Add64 ? code_.add(rax, rcx) : code_.sub(rax, rcx);
  } else {
    operands_.load_both(i, eax, ecx);
    if (i.op == Op::MulS64) code_.movsxd(rcx, ecx), code_.movsxd(rax, eax);
    code_.imul(rax, rcx);
  }
  operands_.finish64(i.dst, rax);
}

}  // namespace armvisor::engine::jit
