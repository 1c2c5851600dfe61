// Sensitive operations without leaving generated code: exclusives, barriers, the program status register, and system
// registers that are plain storage. Each falls back to its helper where more than the common case happens.
#include "arm/cp15.h"
#include "arm/debug_events.h"
#include "engine/exclusive.h"
#include "engine/jit/side_tables.h"
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/jump_probe.h"
#include "engine/jit/x64/psr_flags.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

using measure::Counter;

#define AV_CONTEXT(member) static_cast<u32>(offsetof(Context, member))

/// Counts the operation at `index`, unless it is on the way to another that stands for the instruction.
void Emitter::count(Counter c, u32 index) {
  if (!options_.count_traps || plan_.flow[index].precedes_trap) return;
  inc(qword[rbp + AV_CONTEXT(counters) + measure::Counters::offset(c)]);
}

/// Emits `i` if there is code for it here; else the caller calls the helper.
bool Emitter::emit_system(const Inst& i) {
  switch (i.op) {
    case Op::LoadEx:
    case Op::LoadEx64:
    case Op::StoreEx:
    case Op::StoreEx64: return options_.inline_exclusives && emit_exclusive(i);
    case Op::ClearEx:
      if (!options_.inline_exclusives) return false;
      mov(qword[rbp + AV_STATE(excl_pa)], -1);
      count(Counter::FastExclusive);
      return true;
    case Op::Fence: return options_.inline_exclusives && emit_fence(i);
    case Op::NoDebugEvent: return emit_no_debug_event(i);
    default: return may_run_in_place(index_, options_.inline_system) && emit_sysreg(i);
  }
}

/// Most instructions are told from debug events by a bit. (Which bit it is, is the same wherever the page stands.)
bool Emitter::emit_no_debug_event(const Inst& i) {
  const Label slow = label(), back = label();
  const u32 bit = arm::filter_bit(static_cast<u32>(i.imm));
  test(byte[rbp + AV_CONTEXT(policy.debug_filter) + bit / 8], 1u << bit % 8);
  jnz(slow, T_NEAR);
  const Reg32 d = target(i.dst, eax);
  mov(d, 1);
  finish(i.dst, d);
  L(back);
  helper_behind(i, slow, back);
  return true;
}

/// Likewise, of what only privileged code may do, or User mode within limits.
bool Emitter::emit_sysreg(const Inst& i) {
  switch (i.op) {
    case Op::ReadCpsr: emit_read_cpsr(i); return true;
    case Op::WriteCpsr: return emit_write_cpsr(i);
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::ReadSpsr:
    case Op::WriteSpsr: return emit_banks(i);
    case Op::ReadSys: {
      const arm::SysReg& r = arm::sysregs()[i.imm];
      if ((r.read_offset < 0 && !r.constant) || r.is64) return false;
      if (frontend::Context::privileged_of(out_->key)) count(Counter::FastSysRead);  // else a program may do it
      const Reg32 d = target(i.dst, eax);
      r.constant ? mov(d, static_cast<u32>(r.constant_value)) : mov(d, dword[rbp + r.read_offset]);
      finish(i.dst, d);
      return true;
    }
    case Op::WriteSys: {
      const arm::SysReg& r = arm::sysregs()[i.imm];
      if (r.write_ignored) {
        count(Counter::FastSysWrite);
        return true;
      }
      if (r.name == "DACR") return emit_write_dacr(i);
      if (r.write_offset < 0 || r.is64 || r.effect != arm::SysEffect::None) return false;
      if (frontend::Context::privileged_of(out_->key)) count(Counter::FastSysWrite);
      load_to(i, i.a, eax);
      if (r.write_mask != ~0u) and_(eax, r.write_mask);
      mov(dword[rbp + r.write_offset], eax);
      return true;
    }
    default: return false;
  }
}

/// A kernel that guards its accesses to user memory writes DACR twice at each; both values have their views at hand.
bool Emitter::emit_write_dacr(const Inst& i) {
  if (!options_.inline_domains || !frontend::Context::privileged_of(out_->key) || i.a.is_imm()) return false;
  const Label slow = label(), same = label(), back = label();
  load_to(i, i.a, eax);
  mov(rdx, ptr[rbp + AV_CONTEXT(dispatch.views)]);
  cmp(rax, ptr[rdx + offsetof(Views, dacr)]);
  je(same, T_NEAR);
  mov(rdx, ptr[rdx + offsetof(Views, other)]);
  cmp(rax, ptr[rdx + offsetof(Views, dacr)]);
  jne(slow, T_NEAR);
  mov(ptr[rbp + AV_CONTEXT(dispatch.views)], rdx);
  mov(dword[rbp + AV_STATE(cp15.dacr)], eax);
  add(rdx, offsetof(Views, view[1]));
  emit_take_view(*this);
  L(same);
  count(Counter::FastDomains);
  L(back);
  helper_behind(i, slow, back);
  return true;
}

/// The helper in code behind the block: label `slow` leads there, label `back` is where it comes back to.
void Emitter::helper_behind(const Inst& i, Label slow, Label back) {
  add_cold([this, &i, slow, back] {
    L(slow);
    emit_helper(i);
    jmp(back, T_NEAR);
  });
}

// LDREX and STREX as GuestMemory::load_exclusive and store_exclusive do it (see exclusive.h). Only memory that may
// be written unseen is handled here, so a store need not look for code on the page.
bool Emitter::emit_exclusive(const Inst& i) {
  const u32 size = i.attr & ir::MemAttr::size_mask;
  if ((i.attr & ir::MemAttr::big) || i.a.is_imm() || !options_.inline_tlb) return false;
  const Label slow = label(), back = label(), unmarked = label();
  const auto at_size = [&](const auto& f8, const auto& f16, const auto& f32, const auto& f64) {
    size == 1 ? f8() : size == 2 ? f16() : size == 4 ? f32() : f64();
  };
  const Reg32 base = use(i, i.a, eax);
  lea(eax, ptr[base.cvt64() + static_cast<s32>(i.disp)]);
  if (size > 1) {
    test(eax, size - 1);
    jnz(slow, T_NEAR);
  }
  probe_tag(offsetof(mmu::TlbEntry, write_tag), size, slow);
  add(rax, rcx);  // the host address
  mov(rdx, ptr[rbp + AV_CONTEXT(policy.host_to_pa)]);
  add(rdx, rax);
  if (i.op == Op::LoadEx || i.op == Op::LoadEx64) {
    mov(qword[rbp + AV_STATE(excl_pa)], rdx);
    shr(edx, 3);
    and_(edx, ExclusiveTable::k_slots - 1);
    mov(rcx, ptr[rbp + AV_CONTEXT(policy.exclusive_slots)]);
    mov(ecx, dword[rcx + rdx * 4]);
    test(cl, ExclusiveTable::k_locked);
    jnz(slow, T_NEAR);
    mov(dword[rbp + AV_STATE(excl_version)], ecx);
    at_size([&] { movzx(ecx, byte[rax]); }, [&] { movzx(ecx, word[rax]); }, [&] { mov(ecx, dword[rax]); },
            [&] { mov(rcx, qword[rax]); });
    mov(qword[rbp + AV_STATE(excl_value)], rcx);
    mov(dword[rbp + AV_STATE(excl_size)], size);
    i.op == Op::LoadEx ? finish(i.dst, ecx) : finish64(i.dst, rcx);
  } else {
    cmp(rdx, qword[rbp + AV_STATE(excl_pa)]);
    jne(unmarked, T_NEAR);
    cmp(dword[rbp + AV_STATE(excl_size)], size);
    jne(unmarked, T_NEAR);
    mov(qword[rbp + AV_CONTEXT(scratch.saved[0])], rax);
    shr(edx, 3);
    and_(edx, ExclusiveTable::k_slots - 1);
    mov(rcx, ptr[rbp + AV_CONTEXT(policy.exclusive_slots)]);
    lea(rdx, ptr[rcx + rdx * 4]);
    mov(eax, dword[rbp + AV_STATE(excl_version)]);
    lea(ecx, ptr[rax + ExclusiveTable::k_locked]);
    lock();
    cmpxchg(dword[rdx], ecx);
    jne(slow, T_NEAR);
    mov(qword[rbp + AV_CONTEXT(scratch.saved[1])], rdx);
    mov(rcx, ptr[rbp + AV_CONTEXT(scratch.saved[0])]);
    mov(rax, qword[rbp + AV_STATE(excl_value)]);
    size == 8 ? load_to64(i, i.b, rdx) : load_to(i, i.b, edx);
    lock();
    at_size([&] { cmpxchg(byte[rcx], dl); }, [&] { cmpxchg(word[rcx], dx); }, [&] { cmpxchg(dword[rcx], edx); },
            [&] { cmpxchg(qword[rcx], rdx); });
    setne(cl);
    movzx(ecx, cl);
    mov(eax, ecx);
    xor_(eax, 1);
    add(eax, eax);
    add(eax, dword[rbp + AV_STATE(excl_version)]);  // two more when it was done
    mov(rdx, ptr[rbp + AV_CONTEXT(scratch.saved[1])]);
    mov(dword[rdx], eax);
    mov(qword[rbp + AV_STATE(excl_pa)], -1);
    finish(i.dst, ecx);
    add_cold([this, &i, unmarked, back] {  // kernels clear the monitor so when they return
      L(unmarked);
      mov(qword[rbp + AV_STATE(excl_pa)], -1);
      count(Counter::FastExclusive);
      mov(ecx, 1);
      finish(i.dst, ecx);
      jmp(back, T_NEAR);
    });
  }
  count(Counter::FastExclusive);
  L(back);
  helper_behind(i, slow, back);
  return true;
}

bool Emitter::emit_fence(const Inst& i) {
  const Label slow = label(), back = label();
  if (frontend::Context::privileged_of(out_->key)) {
    sub(dword[rbp + AV_CONTEXT(policy.barriers_left)], 1);
    js(slow, T_NEAR);
  } else {
    cmp(byte[rbp + AV_CONTEXT(policy.has_tickets)], 0);
    jne(slow, T_NEAR);
  }
  lock();
  or_(dword[rsp], 0);
  count(Counter::FastBarrier);
  L(back);
  helper_behind(i, slow, back);
  return true;
}

/// As MRS shows it: N Z C V Q GE E A I F M.
void Emitter::emit_read_cpsr(const Inst& i) {
  count(Counter::FastPsrRead);
  mov(eax, dword[rbp + AV_STATE(n)]);
  emit_flags_to_psr(*this, eax);
  movzx(ecx, byte[rbp + AV_STATE(q)]);
  shl(ecx, 27);
  or_(eax, ecx);
  movzx(ecx, byte[rbp + AV_STATE(ge)]);
  shl(ecx, 16);
  or_(eax, ecx);
  mov(ecx, dword[rbp + AV_STATE(psr)]);
  and_(ecx, arm::k_psr_e | arm::k_psr_a | arm::k_psr_i | arm::k_psr_f | arm::k_psr_mode);
  or_(eax, ecx);
  finish(i.dst, eax);
}

/// MSR and CPS that change nothing but CPSR.I. When interrupts may come now, the dispatcher is to look.
bool Emitter::emit_write_cpsr(const Inst& i) {
  constexpr u32 k_control_byte = 1;
  if (i.imm != k_control_byte || i.a.is_imm() || !frontend::Context::privileged_of(out_->key)) return false;
  const bool linked = write_cpsr_links(*block_, index_) && may_link_;
  const Label slow = label(), back = label();
  load_to(i, i.a, eax);
  xor_(eax, dword[rbp + AV_STATE(psr)]);
  test(eax, arm::k_psr_f | arm::k_psr_mode);
  jnz(slow, T_NEAR);
  and_(eax, arm::k_psr_i);
  xor_(dword[rbp + AV_STATE(psr)], eax);
  count(Counter::FastPsrWrite);
  if (linked) {
    const Label interruptible = label();
    const ir::Address next = block_->insts[index_ + 1].imm_address();
    test(dword[rbp + AV_STATE(psr)], arm::k_psr_i);
    jz(interruptible, T_NEAR);
    const Label go = label();
    L(go);
    exit_direct(out_->links[next_link_], next.value);
    add_cold([this, interruptible, go, next] {
      L(interruptible);
      cmp(dword[rbp + AV_CONTEXT(dispatch.lines)], 0);
      je(go, T_NEAR);
      emit_sync_exit(next);
    });
  }
  L(back);  // to ExitSync, when that is what follows
  helper_behind(i, slow, back);
  return true;
}

}  // namespace armvisor::engine::jit
