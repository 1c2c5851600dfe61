#include "engine/jit/x64/exclusive_emitter.h"

#include "engine/exclusive.h"
#include "engine/jit/x64/tlb_probe.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using measure::Counter;
using Xbyak::Reg64;

u32 size_of(const ir::Inst& i) { return i.attr & ir::MemAttr::size_mask; }

}  // namespace

bool ExclusiveEmitter::emit(const ir::Inst& i) {
  if (!options_.inline_exclusives) return false;
  switch (i.op) {
    case Op::ClearEx:
      forget_mark();
      traps_.count(Counter::FastExclusive);
      return true;
    case Op::Fence: fence(i); return true;
    default: return access(i);
  }
}

bool ExclusiveEmitter::access(const ir::Inst& i) {
  if ((i.attr & ir::MemAttr::big) || i.a.is_imm() || !options_.inline_tlb) return false;
  const bool is_load = i.op == Op::LoadEx || i.op == Op::LoadEx64;
  const Label slow = code_.label(), back = code_.label();
  {
    const Registers r{ScratchEax(code_.scratch), ScratchEcx(code_.scratch), ScratchEdx(code_.scratch)};
    find(i, r, slow);
    is_load ? load(i, r, slow) : store(i, r, slow, back);
  }
  traps_.count(Counter::FastExclusive);
  code_.L(back);
  traps_.emit_behind(i, slow, back);
  return true;
}

void ExclusiveEmitter::find(const ir::Inst& i, const Registers& r, Label slow) {
  const u32 size = size_of(i);
  const Xbyak::Reg32 base = operands_.use(i, i.a, r.eax);
  code_.lea(r.eax, code_.ptr[base.cvt64() + static_cast<s32>(i.disp)]);
  if (size > 1) {
    code_.test(r.eax, size - 1);
    code_.jnz(slow, Code::T_NEAR);
  }
  emit_tlb_probe(code_, r.eax, r.ecx, offsetof(mmu::TlbEntry, write_tag), size, slow, host_.bmi2);
  code_.add(r.eax.cvt64(), r.ecx.cvt64());
  code_.mov(r.edx.cvt64(), context64(AV_CONTEXT(policy.host_to_pa)));
  code_.add(r.edx.cvt64(), r.eax.cvt64());
}

/// rcx = ExclusiveTable's slots, rdx = the number of the one for the physical address.
void ExclusiveEmitter::load_slots(const Registers& r) {
  code_.shr(r.edx, 3);
  code_.and_(r.edx, ExclusiveTable::k_slots - 1);
  code_.mov(r.ecx.cvt64(), context64(AV_CONTEXT(policy.exclusive_slots)));
}

void ExclusiveEmitter::load(const ir::Inst& i, const Registers& r, Label slow) {
  const Reg64 rax = r.eax.cvt64(), rcx = r.ecx.cvt64(), rdx = r.edx.cvt64();
  code_.mov(context64(AV_STATE(excl_pa)), rdx);
  load_slots(r);
  code_.mov(r.ecx, code_.dword[rcx + rdx * 4]);
  code_.test(r.ecx.cvt8(), ExclusiveTable::k_locked);
  code_.jnz(slow, Code::T_NEAR);
  code_.mov(context32(AV_STATE(excl_version)), r.ecx);
  switch (size_of(i)) {
    case 1: code_.movzx(r.ecx, code_.byte[rax]); break;
    case 2: code_.movzx(r.ecx, code_.word[rax]); break;
    case 4: code_.mov(r.ecx, code_.dword[rax]); break;
    default: code_.mov(rcx, code_.qword[rax]);
  }
  code_.mov(context64(AV_STATE(excl_value)), rcx);
  code_.mov(context32(AV_STATE(excl_size)), size_of(i));
  i.op == Op::LoadEx ? operands_.finish(i.dst, r.ecx) : operands_.finish64(i.dst, rcx);
}

/// The slot is locked by its version, and the value exchanged if it still is what was loaded.
void ExclusiveEmitter::store(const ir::Inst& i, const Registers& r, Label slow, Label back) {
  const u32 size = size_of(i);
  const Reg64 rax = r.eax.cvt64(), rcx = r.ecx.cvt64(), rdx = r.edx.cvt64();
  const Xbyak::Address address = context64(AV_CONTEXT(scratch.saved[0])),
                       slot = context64(AV_CONTEXT(scratch.saved[1]));
  const Label unmarked = code_.label();
  code_.cmp(rdx, context64(AV_STATE(excl_pa)));
  code_.jne(unmarked, Code::T_NEAR);
  code_.cmp(context32(AV_STATE(excl_size)), size);
  code_.jne(unmarked, Code::T_NEAR);
  code_.mov(address, rax);
  load_slots(r);
  code_.lea(rdx, code_.ptr[rcx + rdx * 4]);
  code_.mov(r.eax, context32(AV_STATE(excl_version)));
  code_.lea(r.ecx, code_.ptr[rax + ExclusiveTable::k_locked]);
  code_.lock();
  code_.cmpxchg(code_.dword[rdx], r.ecx);
  code_.jne(slow, Code::T_NEAR);
  code_.mov(slot, rdx);
  code_.mov(rcx, address);
  code_.mov(rax, context64(AV_STATE(excl_value)));
  size == 8 ? operands_.load_to64(i, i.b, rdx) : operands_.load_to(i, i.b, r.edx);
  code_.lock();
  switch (size) {
    case 1: code_.cmpxchg(code_.byte[rcx], r.edx.cvt8()); break;
    case 2: code_.cmpxchg(code_.word[rcx], r.edx.cvt16()); break;
    case 4: code_.cmpxchg(code_.dword[rcx], r.edx); break;
    default: code_.cmpxchg(code_.qword[rcx], rdx);
  }
  code_.setne(r.ecx.cvt8());
  code_.movzx(r.ecx, r.ecx.cvt8());
  code_.mov(r.eax, r.ecx);
  code_.xor_(r.eax, 1);
  code_.add(r.eax, r.eax);
  code_.add(r.eax, context32(AV_STATE(excl_version)));  // two more when it was done
  code_.mov(rdx, slot);
  code_.mov(code_.dword[rdx], r.eax);
  forget_mark();
  operands_.finish(i.dst, r.ecx);
  cold_.add([this, &i, unmarked, back] {  // kernels clear the monitor so when they return
    code_.L(unmarked);
    forget_mark();
    traps_.count(Counter::FastExclusive);
    const ScratchEcx result(code_.scratch);
    code_.mov(result, 1);
    operands_.finish(i.dst, result);
    code_.jmp(back, Code::T_NEAR);
  });
}

void ExclusiveEmitter::forget_mark() { code_.mov(context64(AV_STATE(excl_pa)), -1); }

void ExclusiveEmitter::fence(const ir::Inst& i) {
  const Label slow = code_.label(), back = code_.label();
  if (frontend::Context::privileged_of(at_.key)) {
    code_.sub(context32(AV_CONTEXT(policy.barriers_left)), 1);
    code_.js(slow, Code::T_NEAR);
  } else {
    code_.cmp(context8(AV_CONTEXT(policy.has_tickets)), 0);
    code_.jne(slow, Code::T_NEAR);
  }
  code_.lock();
  code_.or_(code_.dword[code_.rsp], 0);
  traps_.count(Counter::FastBarrier);
  code_.L(back);
  traps_.emit_behind(i, slow, back);
}

}  // namespace armvisor::engine::jit
