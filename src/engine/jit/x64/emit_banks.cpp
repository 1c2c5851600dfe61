// Registers of modes other than the current one, and SPSR (ARM DDI 0406C B1.3). Each falls back to its helper where the
// current mode is FIQ, or where the register is one that the current mode sees.
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {

using measure::Counter;

namespace {

/// ReadModeReg and WriteModeReg: imm.
u32 mode_of(const ir::Inst& i) { return static_cast<u32>(i.imm >> 8) & arm::k_psr_mode; }
u32 number_of(const ir::Inst& i) { return static_cast<u32>(i.imm) & 0xff; }

bool is_simple(const ir::Inst& i) { return mode_of(i) != arm::k_mode_fiq && number_of(i) >= 8 && number_of(i) <= 14; }

/// R13 or R14 of the bank of `i`.
u32 bank_slot(const ir::Inst& i) {
  const u32 bank = 4 * static_cast<u32>(arm::bank_of(mode_of(i)));
  return (number_of(i) == 13 ? AV_STATE(bank_r13) : AV_STATE(bank_r14)) + bank;
}

}  // namespace

bool Emitter::emit_banks(const Inst& i) {
  if (!may_run_in_place(index_, options_.inline_banks) || plan_.region.is_region()) return false;
  switch (i.op) {
    case Op::ReadModeReg: return emit_read_mode_reg(i);
    case Op::WriteModeReg: return emit_write_mode_regs();
    case Op::ReadSpsr:
    case Op::WriteSpsr: emit_spsr(i); return true;
    default: return false;
  }
}

/// ecx = the current mode's bank.
void Emitter::current_bank(Label slow) {
  mov(ecx, dword[rbp + AV_STATE(psr)]);
  and_(ecx, arm::k_psr_mode);
  movzx(ecx, byte[rbp + rcx + offsetof(Context, policy.simple_bank)]);
  test(ecx, k_no_simple_bank);
  jnz(slow, T_NEAR);
}

bool Emitter::emit_read_mode_reg(const Inst& i) {
  if (!is_simple(i)) return false;
  const Label slow = label(), back = label();
  current_bank(slow);
  if (number_of(i) < 13) {  // the current one
    load_to(i, Value::reg(number_of(i)), eax);
  } else {
    cmp(ecx, static_cast<u32>(arm::bank_of(mode_of(i))));
    je(slow, T_NEAR);
    mov(eax, dword[rbp + bank_slot(i)]);
  }
  finish(i.dst, eax);
  count(Counter::FastBanked);
  L(back);
  helper_behind(i, slow, back);
  return true;
}

/// The WriteModeReg at index_ and those that follow at once, with one look at the mode.
bool Emitter::emit_write_mode_regs() {
  const auto& insts = block_->insts;
  u32 end = index_;
  while (end < insts.size() && insts[end].op == Op::WriteModeReg && is_simple(insts[end]) &&
         may_run_in_place(end, options_.inline_banks) && mode_of(insts[end]) == mode_of(insts[index_]))
    ++end;
  if (end == index_) return false;
  const Label slow = label(), back = label();
  current_bank(slow);
  cmp(ecx, static_cast<u32>(arm::bank_of(mode_of(insts[index_]))));
  je(slow, T_NEAR);
  for (u32 k = index_; k < end; ++k) {
    const Inst& i = insts[k];
    load_to(i, i.a, eax);
    if (number_of(i) < 13)
      finish(Value::reg(number_of(i)), eax);
    else
      mov(dword[rbp + bank_slot(i)], eax);
  }
  emitted_until_ = end;
  count(Counter::FastBanked, end - 1);
  L(back);
  add_cold([this, slow, back, first = index_, end] {
    L(slow);
    for (index_ = first; index_ < end; ++index_) emit_helper(block_->insts[index_]);
    jmp(back, T_NEAR);
  });
  return true;
}

void Emitter::emit_spsr(const Inst& i) {
  const Label slow = label(), back = label();
  current_bank(slow);
  static_assert(static_cast<u32>(arm::Bank::Usr) == 0);
  test(ecx, ecx);  // System mode has none
  jz(slow, T_NEAR);
  const Address spsr = dword[rbp + rcx * 4 + AV_STATE(bank_spsr)];
  if (i.op == Op::ReadSpsr) {
    mov(eax, spsr);
    finish(i.dst, eax);
  } else {
    constexpr u32 k_reserved = 0x00f00000;  // as arm::write_spsr_by_instr
    u32 mask = 0;
    for (u32 k = 0; k < 4; ++k)
      if (i.imm >> k & 1) mask |= 0xffu << (8 * k);
    mask &= ~k_reserved;
    load_to(i, i.a, eax);
    and_(eax, mask);
    mov(edx, spsr);
    and_(edx, ~mask);
    or_(eax, edx);
    mov(spsr, eax);
  }
  count(i.op == Op::ReadSpsr ? Counter::FastPsrRead : Counter::FastPsrWrite);
  L(back);
  helper_behind(i, slow, back);
}

}  // namespace armvisor::engine::jit
