// Integer arithmetic, shifts, bit fields and 64-bit values.
#include "base/assert.h"
#include "base/bits.h"
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

bool is_commutative(ir::Op op) {
  using ir::Op;
  return op == Op::Add || op == Op::And || op == Op::Or || op == Op::Xor || op == Op::Mul || op == Op::Adc ||
         op == Op::AddF || op == Op::AdcF;
}

}  // namespace

/// d = a op b, leaving the host's flags as the operation sets them. d is where the result is built: the destination's
/// register unless b still needs it.
Emitter::Reg32 Emitter::arithmetic(const Inst& i, Op op) {
  Value a = i.a, b = i.b;
  if (is_commutative(op) && (a.is_imm() || (!i.dst.is_none() && b == i.dst))) std::swap(a, b);
  Reg32 d = i.dst.is_none() ? eax : target(i.dst, eax);
  if (!b.is_imm() && aliases(b, d) && !(a == b)) d = eax;
  const bool with_carry = op == Op::Adc || op == Op::AdcF || op == Op::Sbc || op == Op::SbcF;
  load_to(i, a, d);
  if (with_carry) {
    // CF = C for adc, CF = not C for sbb.
    if (const int source = plan_.flags[index_].at_host; source >= 0) {
      const bool is_carry = flags_kind(block_->insts[static_cast<u32>(source)]) == HostFlags::Add;
      if (is_carry != (op == Op::Adc || op == Op::AdcF)) cmc();
    } else if (op == Op::Adc || op == Op::AdcF) {
      mov(cl, byte[rbp + AV_STATE(c)]);
      add(cl, 0xff);
    } else {
      cmp(byte[rbp + AV_STATE(c)], 1);
    }
  }
  const auto apply = [&](const auto& rhs) {
    switch (op) {
      case Op::Add:
      case Op::AddF: add(d, rhs); break;
      case Op::Sub:
      case Op::SubF: sub(d, rhs); break;
      case Op::And: and_(d, rhs); break;
      case Op::Or: or_(d, rhs); break;
      case Op::Xor: xor_(d, rhs); break;
      case Op::Adc:
      case Op::AdcF: adc(d, rhs); break;
      case Op::Sbc:
      case Op::SbcF: sbb(d, rhs); break;
      default: AV_UNREACHABLE();
    }
  };
  if (b.is_imm())
    apply(static_cast<u32>(i.imm));
  else if (const int r = host_reg(b); r != k_not_pinned)
    apply(Reg32(r));
  else
    apply(dword[rbp + memory_offset(b)]);
  return d;
}

void Emitter::emit_binary(const Inst& i) {
  if (i.dst.is_none()) return;
  if (i.imm_address().moves) return emit_add_address(i);
  const int ra = host_reg(i.a), rb = host_reg(i.b), rd = host_reg(i.dst);
  if (i.op == Op::Add && plan_.registers.is_folded(i.b)) {
    const Inst& shift = block_->insts[index_ - 1];
    const Reg64 a = use(i, i.a, eax).cvt64(), b = use(shift, shift.a, ecx).cvt64();
    const Reg32 d = target(i.dst, eax);
    lea(d, ptr[a + b * (1 << shift.imm)]);
    return finish(i.dst, d);
  }
  if (i.op == Op::Add && rd != k_not_pinned && ra != k_not_pinned && ra != rd) {
    if (i.b.is_imm() || (rb != k_not_pinned && rb != rd)) {
      i.b.is_imm() ? lea(Reg32(rd), ptr[Reg64(ra) + static_cast<s32>(i.imm)])
                   : lea(Reg32(rd), ptr[Reg64(ra) + Reg64(rb)]);
      return finish(i.dst, Reg32(rd));
    }
  }
  if (i.op == Op::AndNot && host_.bmi1 && !i.b.is_imm() && !i.a.is_imm()) {
    const Reg32 d = target(i.dst, eax), b = use(i, i.b, ecx);
    if (host_reg(i.a) != k_not_pinned)
      andn(d, b, Reg32(host_reg(i.a)));
    else
      andn(d, b, dword[rbp + memory_offset(i.a)]);
    return finish(i.dst, d);
  }
  if (i.op == Op::AndNot) {
    load_to(i, i.b, ecx);
    not_(ecx);
    const Reg32 d = target(i.dst, eax);
    if (i.a.is_imm())
      and_(ecx, static_cast<u32>(i.imm));
    else
      and_(ecx, use(i, i.a, eax));
    mov(d, ecx);
    return finish(i.dst, d);
  }
  if (i.op == Op::MulHiS) {
    load_to(i, i.b, ecx);
    load_to(i, i.a, eax);
    imul(ecx);
    return finish(i.dst, edx);
  }
  if (i.op == Op::Mul) {
    Value a = i.a, b = i.b;
    if (a.is_imm() || b == i.dst || host_reg(a) == k_not_pinned) std::swap(a, b);
    Reg32 d = target(i.dst, eax);
    if (b.is_imm() || (aliases(b, d) && a != b)) d = eax;
    load_to(i, a, d);
    if (b.is_imm() || host_reg(b) != k_not_pinned)
      imul(d, use(i, b, ecx));
    else
      imul(d, dword[rbp + memory_offset(b)]);
    return finish(i.dst, d);
  }
  finish(i.dst, arithmetic(i, i.op));
  nz_of_ = i.dst;
}

/// Add of an address that moves with the block.
void Emitter::emit_add_address(const Inst& i) {
  const Reg32 d = target(i.dst, eax);
  lea_address(d, use(i, i.a.is_imm() ? i.b : i.a, eax), i.imm_address());
  finish(i.dst, d);
}

void Emitter::emit_divide(const Inst& i) {
  // UDIV, SDIV: x / 0 = 0 and INT_MIN / -1 = INT_MIN; the 64-bit division cannot overflow.
  const Label zero = label(), done = label();
  load_to(i, i.b, ecx);
  load_to(i, i.a, eax);
  test(ecx, ecx);
  jz(zero);
  if (i.op == Op::SDiv) {
    movsxd(rcx, ecx);
    movsxd(rax, eax);
    cqo();
    idiv(rcx);
  } else {
    xor_(edx, edx);
    div(ecx);
  }
  jmp(done);
  L(zero);
  xor_(eax, eax);
  L(done);
  finish(i.dst, eax);
}

void Emitter::emit_shift(const Inst& i) {
  if (!i.b.is_imm()) {
    load_to(i, i.b, ecx);
    load_to(i, i.a, eax);
    switch (i.op) {
      case Op::Shl: shl(eax, cl); break;
      case Op::Shr: shr(eax, cl); break;
      case Op::Sar: sar(eax, cl); break;
      default: ror(eax, cl);
    }
    return finish(i.dst, eax);
  }
  const Reg32 d = target(i.dst, eax);
  const int n = static_cast<int>(i.imm & 31);
  if (i.op == Op::Ror && host_.bmi2) {
    rorx(d, use(i, i.a, d), static_cast<u8>(n));
    return finish(i.dst, d);
  }
  load_to(i, i.a, d);
  switch (i.op) {
    case Op::Shl: shl(d, n); break;
    case Op::Shr: shr(d, n); break;
    case Op::Sar: sar(d, n); break;
    default: ror(d, n);
  }
  finish(i.dst, d);
}

void Emitter::emit_shift_reg(const Inst& i) {
  load_to(i, i.b, ecx);
  load_to(i, i.a, eax);
  movzx(ecx, cl);
  if (i.op == Op::RorReg) {
    ror(eax, cl);
    return finish(i.dst, eax);
  }
  if (i.op == Op::SarReg) {
    mov(edx, 31);
    cmp(ecx, edx);
    cmova(ecx, edx);
    sar(eax, cl);
    return finish(i.dst, eax);
  }
  if (host_.bmi2) {
    // Amounts of 32 to 63 shift everything out of the low half of 64 bits; larger ones are rare.
    const Label large = label(), back = label();
    i.op == Op::ShlReg ? shlx(rax, rax, rcx) : shrx(rax, rax, rcx);
    test(cl, 0xc0);
    jnz(large, T_NEAR);
    L(back);
    add_cold([this, large, back] {
      L(large);
      xor_(eax, eax);
      jmp(back, T_NEAR);
    });
    mov(eax, eax);
    return finish(i.dst, eax);
  }
  // Amounts of 32 and more give 0: the borrow of (amount - 32) makes the mask.
  i.op == Op::ShlReg ? shl(eax, cl) : shr(eax, cl);
  cmp(ecx, 32);
  sbb(edx, edx);
  and_(eax, edx);
  finish(i.dst, eax);
}

/// Carry-out for an amount in a register: bit 0 of a 64-bit shift one place short, C when the amount is 0.
void Emitter::emit_carry_reg(const Inst& i) {
  load_to(i, i.b, ecx);
  load_to(i, i.a, eax);
  movzx(ecx, cl);
  mov(edx, ecx);
  if (i.op == Op::RorCarry) {
    dec(ecx);
    and_(ecx, 31);
    shr(eax, cl);
  } else {
    if (i.op == Op::SarCarry) movsxd(rax, eax);
    const Label in_range = label();
    cmp(ecx, 63);
    jbe(in_range);
    mov(ecx, 63);
    L(in_range);
    if (i.op == Op::ShlCarry) {
      shl(rax, cl);
      shr(rax, 32);
    } else {
      add(rax, rax);
      i.op == Op::ShrCarry ? shr(rax, cl) : sar(rax, cl);
    }
  }
  and_(eax, 1);
  movzx(ecx, byte[rbp + AV_STATE(c)]);
  test(edx, edx);
  cmovz(eax, ecx);
  finish(i.dst, eax);
}

void Emitter::emit_carry(const Inst& i) {
  if (!i.b.is_imm()) return emit_carry_reg(i);
  const u32 n = static_cast<u32>(i.imm & 0xff);
  const Reg32 d = target(i.dst, eax);
  if (n == 0) {
    movzx(d, byte[rbp + AV_STATE(c)]);
    return finish(i.dst, d);
  }
  if (n > 32 && i.op != Op::SarCarry && i.op != Op::RorCarry) {
    xor_(d, d);
    return finish(i.dst, d);
  }
  u32 position = (n - 1) & 31;
  if (i.op == Op::ShlCarry) position = 32 - n;
  if (i.op == Op::SarCarry && n > 32) position = 31;
  load_to(i, i.a, d);
  if (position != 0) shr(d, static_cast<int>(position));
  if (position != 31) and_(d, 1);
  finish(i.dst, d);
}

void Emitter::emit_unary(const Inst& i) {
  const Reg32 d = target(i.dst, eax);
  switch (i.op) {
    case Op::Mov:
      if (i.a.is_imm() && host_reg(i.dst) == k_not_pinned) {
        mov(dword[rbp + memory_offset(i.dst)], static_cast<u32>(i.imm));
        return note_address(i.imm_address());
      }
      if (host_reg(i.a) != k_not_pinned) return finish(i.dst, Reg32(host_reg(i.a)));
      load_to(i, i.a, d);
      break;
    case Op::Not:
      load_to(i, i.a, d);
      not_(d);
      break;
    case Op::Rrx:
      load_to(i, i.a, eax);
      mov(cl, byte[rbp + AV_STATE(c)]);
      add(cl, 0xff);
      rcr(eax, 1);
      return finish(i.dst, eax);
    case Op::Clz: {
      const Reg32 a = use(i, i.a, eax);
      if (host_.lzcnt) {
        lzcnt(d, a);
      } else {
        mov(ecx, 63);
        bsr(eax, a);
        cmovz(eax, ecx);
        xor_(eax, 31);
        return finish(i.dst, eax);
      }
      break;
    }
    case Op::Rev:
      load_to(i, i.a, d);
      bswap(d);
      break;
    case Op::Rev16:
      load_to(i, i.a, d);
      bswap(d);
      ror(d, 16);
      break;
    case Op::Revsh:
      load_to(i, i.a, d);
      bswap(d);
      sar(d, 16);
      break;
    case Op::Rbit:
      load_to(i, i.a, eax);
      for (const auto& [shift, mask] :
           {std::pair{1, 0x55555555u}, std::pair{2, 0x33333333u}, std::pair{4, 0x0f0f0f0fu}}) {
        mov(ecx, eax);
        shr(eax, shift);
        and_(eax, mask);
        and_(ecx, mask);
        shl(ecx, shift);
        or_(eax, ecx);
      }
      bswap(eax);
      return finish(i.dst, eax);
    case Op::SExt8:
    case Op::SExt16:
    case Op::ZExt8:
    case Op::ZExt16: {
      const bool is_byte = i.op == Op::SExt8 || i.op == Op::ZExt8;
      const auto extend = [&](const auto& a) { i.op == Op::SExt8 || i.op == Op::SExt16 ? movsx(d, a) : movzx(d, a); };
      if (const int a = host_reg(i.a); a == k_not_pinned && !i.a.is_imm()) {
        is_byte ? extend(byte[rbp + memory_offset(i.a)]) : extend(word[rbp + memory_offset(i.a)]);
      } else {
        const Reg32 r = use(i, i.a, eax);
        is_byte ? extend(r.cvt8()) : extend(r.cvt16());
      }
      break;
    }
    default: AV_UNREACHABLE();
  }
  finish(i.dst, d);
}

void Emitter::emit_field(const Inst& i) {
  const u32 lsb = i.imm & 31, width = (i.imm >> 8) & 63;
  const u32 mask = static_cast<u32>(low_mask(width));
  if (i.op == Op::Bfi) {
    load_to(i, i.b, ecx);
    load_to(i, i.a, eax);
    and_(ecx, mask);
    if (lsb) shl(ecx, static_cast<int>(lsb));
    and_(eax, ~(mask << lsb));
    or_(eax, ecx);
    return finish(i.dst, eax);
  }
  const Reg32 d = target(i.dst, eax);
  load_to(i, i.a, d);
  if (i.op == Op::UBfx) {
    if (lsb) shr(d, static_cast<int>(lsb));
    if (lsb + width < 32) and_(d, mask);
  } else {
    if (lsb + width < 32) shl(d, static_cast<int>(32 - lsb - width));
    if (width < 32) sar(d, static_cast<int>(32 - width));
  }
  finish(i.dst, d);
}

void Emitter::emit_move64(const Inst& i) {
  switch (i.op) {
    case Op::Mov64: {
      const Reg64 d = target64(i.dst, rax);
      load_to64(i, i.a, d);
      return finish64(i.dst, d);
    }
    case Op::Pack64:
      load_to(i, i.b, ecx);
      load_to(i, i.a, eax);
      shl(rcx, 32);
      or_(rax, rcx);
      return finish64(i.dst, rax);
    case Op::Lo32: load_to64(i, i.a, rax); return finish(i.dst, eax);
    case Op::Hi32:
      load_to64(i, i.a, rax);
      shr(rax, 32);
      return finish(i.dst, eax);
    case Op::ZExt64: load_to(i, i.a, eax); return finish64(i.dst, rax);
    default:
      load_to(i, i.a, eax);
      movsxd(rax, eax);
      return finish64(i.dst, rax);
  }
}

void Emitter::emit_arith64(const Inst& i) {
  switch (i.op) {
    case Op::Add64:
    case Op::Sub64:
      load_to64(i, i.b, rcx);
      load_to64(i, i.a, rax);
      i.op == Op::Add64 ? add(rax, rcx) : sub(rax, rcx);
      break;
    case Op::MulU64:
      load_to(i, i.b, ecx);
      load_to(i, i.a, eax);
      imul(rax, rcx);
      break;
    case Op::MulS64:
      load_to(i, i.b, ecx);
      load_to(i, i.a, eax);
      movsxd(rcx, ecx);
      movsxd(rax, eax);
      imul(rax, rcx);
      break;
    default:
      load_to(i, i.b, ecx);
      load_to64(i, i.a, rax);
      if (i.op == Op::Shl64)
        shl(rax, cl);
      else if (i.op == Op::Shr64)
        shr(rax, cl);
      else
        sar(rax, cl);
  }
  finish64(i.dst, rax);
}

}  // namespace armvisor::engine::jit
