#include "engine/jit/x64/bank_emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using measure::Counter;

/// ReadModeReg and WriteModeReg: imm.
u32 mode_of(const ir::Inst& i) { return static_cast<u32>(i.imm >> 8) & arm::k_psr_mode; }
u32 number_of(const ir::Inst& i) { return static_cast<u32>(i.imm) & 0xff; }
u32 bank_of(const ir::Inst& i) { return static_cast<u32>(arm::bank_of(mode_of(i))); }

bool is_simple(const ir::Inst& i) { return mode_of(i) != arm::k_mode_fiq && number_of(i) >= 8 && number_of(i) <= 14; }
/// All modes but FIQ see the same one.
bool is_shared(const ir::Inst& i) { return number_of(i) < 13; }

/// R13 or R14 of the bank of `i`.
Xbyak::Address banked(const ir::Inst& i) {
  return context32((number_of(i) == 13 ? AV_STATE(bank_r13) : AV_STATE(bank_r14)) + 4 * bank_of(i));
}

}  // namespace

bool BankEmitter::emit(const ir::Inst& i) {
  const bool option = options_.inline_system && options_.inline_banks;
  if (!traps_.may_do_in_place(at_.index, option) || at_.in_region()) return false;
  switch (i.op) {
    case Op::ReadModeReg: return read(i);
    case Op::WriteModeReg: return write(i);
    default: spsr(i); return true;
  }
}

/// ecx = the current mode's bank.
void BankEmitter::load_bank(const ScratchEcx& ecx, Label slow) {
  code_.mov(ecx, context32(AV_STATE(psr)));
  code_.and_(ecx, arm::k_psr_mode);
  code_.movzx(ecx, code_.byte[code_.rbp + ecx.cvt64() + AV_CONTEXT(policy.simple_bank)]);
  code_.test(ecx, k_no_simple_bank);
  code_.jnz(slow, Code::T_NEAR);
}

bool BankEmitter::read(const ir::Inst& i) {
  if (!is_simple(i)) return false;
  const Label slow = code_.label(), back = code_.label();
  {
    const ScratchEax eax(code_.scratch);
    const ScratchEcx ecx(code_.scratch);
    load_bank(ecx, slow);
    if (is_shared(i)) {
      operands_.load_to(i, ir::Value::reg(number_of(i)), eax);
    } else {
      code_.cmp(ecx, bank_of(i));
      code_.je(slow, Code::T_NEAR);
      code_.mov(eax, banked(i));
    }
    operands_.finish(i.dst, eax);
  }
  traps_.count(Counter::FastBanked);
  code_.L(back);
  traps_.emit_behind(i, slow, back);
  return true;
}

bool BankEmitter::write(const ir::Inst& first) {
  const auto& insts = at_.block->insts;
  u32 end = at_.index;
  while (end < insts.size() && insts[end].op == Op::WriteModeReg && is_simple(insts[end]) &&
         traps_.may_do_in_place(end, options_.inline_banks) && mode_of(insts[end]) == mode_of(first))
    ++end;
  if (end == at_.index) return false;
  const Label slow = code_.label(), back = code_.label();
  {
    const ScratchEax eax(code_.scratch);
    const ScratchEcx ecx(code_.scratch);
    load_bank(ecx, slow);
    code_.cmp(ecx, bank_of(first));
    code_.je(slow, Code::T_NEAR);
    for (u32 k = at_.index; k < end; ++k) {
      const ir::Inst& i = insts[k];
      operands_.load_to(i, i.a, eax);
      if (is_shared(i))
        operands_.finish(ir::Value::reg(number_of(i)), eax);
      else
        code_.mov(banked(i), eax);
    }
  }
  traps_.count(Counter::FastBanked, end - 1);
  code_.L(back);
  cold_.add([this, slow, back, end] {
    code_.L(slow);
    for (; at_.index < end; ++at_.index) traps_.emit(at_.block->insts[at_.index]);
    code_.jmp(back, Code::T_NEAR);
  });
  at_.index = end - 1;
  return true;
}

void BankEmitter::spsr(const ir::Inst& i) {
  const bool reads = i.op == Op::ReadSpsr;
  const Label slow = code_.label(), back = code_.label();
  {
    const ScratchEax eax(code_.scratch);
    const ScratchEcx ecx(code_.scratch);
    load_bank(ecx, slow);
    static_assert(static_cast<u32>(arm::Bank::Usr) == 0);
    code_.test(ecx, ecx);  // System mode has none
    code_.jz(slow, Code::T_NEAR);
    const Xbyak::Address spsr = code_.dword[code_.rbp + ecx.cvt64() * 4 + AV_STATE(bank_spsr)];
    if (reads) {
      code_.mov(eax, spsr);
      operands_.finish(i.dst, eax);
    } else {
      constexpr u32 k_reserved = 0x00f00000;  // as arm::write_spsr_by_instr
      u32 mask = 0;
      for (u32 k = 0; k < 4; ++k)
        if (i.imm >> k & 1) mask |= 0xffu << (8 * k);
      mask &= ~k_reserved;
      const ScratchEdx edx(code_.scratch);
      operands_.load_to(i, i.a, eax);
      code_.and_(eax, mask);
      code_.mov(edx, spsr);
      code_.and_(edx, ~mask);
      code_.or_(eax, edx);
      code_.mov(spsr, eax);
    }
  }
  traps_.count(reads ? Counter::FastPsrRead : Counter::FastPsrWrite);
  code_.L(back);
  traps_.emit_behind(i, slow, back);
}

}  // namespace armvisor::engine::jit
