#include "engine/jit/x64/system_emitter.h"

#include "arm/cp15.h"
#include "arm/debug_events.h"
#include "engine/jit/side_tables.h"
#include "engine/jit/x64/jump_probe.h"
#include "engine/jit/x64/psr_flags.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using measure::Counter;
using Xbyak::Reg32;
using Xbyak::Reg64;

}  // namespace

bool SystemEmitter::is_privileged() const { return frontend::Context::privileged_of(at_.key); }

bool SystemEmitter::emit(const Inst& i) {
  const bool may = traps_.may_do_in_place(at_.index, options_.inline_system);
  switch (i.op) {
    case Op::NoDebugEvent: no_debug_event(i); return true;
    case Op::ReadFpexc: return may && read_fpexc(i);
    case Op::ReadCpsr: return may && read_cpsr(i);
    case Op::WriteCpsr: return may && write_cpsr(i);
    case Op::ReadSys: return may && read_sys(i);
    case Op::WriteSys: return may && write_sys(i);
    default: return false;
  }
}

// --- system registers

/// Those that a program may use are no traps.
bool SystemEmitter::read_sys(const Inst& i) {
  const arm::SysReg& r = arm::sysregs()[i.imm];
  if ((r.read_offset < 0 && !r.constant) || r.is64) return false;
  if (is_privileged()) traps_.count(Counter::FastSysRead);
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  if (r.constant)
    code_.mov(d, static_cast<u32>(r.constant_value));
  else
    code_.mov(d, context32(static_cast<u32>(r.read_offset)));
  operands_.finish(i.dst, d);
  return true;
}

bool SystemEmitter::write_sys(const Inst& i) {
  const arm::SysReg& r = arm::sysregs()[i.imm];
  if (r.write_ignored) {
    traps_.count(Counter::FastSysWrite);
    return true;
  }
  if (r.name == "DACR") return write_dacr(i);
  if (r.write_offset < 0 || r.is64 || r.effect != arm::SysEffect::None) return false;
  if (is_privileged()) traps_.count(Counter::FastSysWrite);
  const ScratchEax eax(code_.scratch);
  operands_.load_to(i, i.a, eax);
  if (r.write_mask != ~0u) code_.and_(eax, r.write_mask);
  code_.mov(context32(static_cast<u32>(r.write_offset)), eax);
  return true;
}

/// A kernel that guards its accesses to user memory writes DACR twice at each; both values have their views at hand.
bool SystemEmitter::write_dacr(const Inst& i) {
  if (!options_.inline_domains || !is_privileged() || i.a.is_imm()) return false;
  const Label slow = code_.label(), same = code_.label(), back = code_.label();
  {
    const ScratchEax eax(code_.scratch);
    const ScratchEcx ecx(code_.scratch);  // emit_take_view() changes it, and xmm0
    const ScratchEdx edx(code_.scratch);
    const ScratchXmm0 xmm0(code_.scratch);
    const Reg64 dacr = eax.cvt64(), views = edx.cvt64();
    operands_.load_to(i, i.a, eax);
    code_.mov(views, context64(AV_CONTEXT(dispatch.views)));
    code_.cmp(dacr, code_.ptr[views + offsetof(Views, dacr)]);
    code_.je(same, Code::T_NEAR);
    code_.mov(views, code_.ptr[views + offsetof(Views, other)]);
    code_.cmp(dacr, code_.ptr[views + offsetof(Views, dacr)]);
    code_.jne(slow, Code::T_NEAR);
    code_.mov(context64(AV_CONTEXT(dispatch.views)), views);
    code_.mov(context32(AV_STATE(cp15.dacr)), eax);
    code_.add(views, offsetof(Views, view[1]));
    emit_take_view(code_);
  }
  code_.L(same);
  traps_.count(Counter::FastDomains);
  code_.L(back);
  traps_.emit_behind(i, slow, back);
  return true;
}

// --- CPSR

/// As MRS shows it: N Z C V Q GE E A I F M.
bool SystemEmitter::read_cpsr(const Inst& i) {
  traps_.count(Counter::FastPsrRead);
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  code_.mov(eax, context32(AV_STATE(n)));
  emit_flags_to_psr(code_, eax);
  code_.movzx(ecx, context8(AV_STATE(q)));
  code_.shl(ecx, 27);
  code_.or_(eax, ecx);
  code_.movzx(ecx, context8(AV_STATE(ge)));
  code_.shl(ecx, 16);
  code_.or_(eax, ecx);
  code_.mov(ecx, context32(AV_STATE(psr)));
  code_.and_(ecx, arm::k_psr_e | arm::k_psr_a | arm::k_psr_i | arm::k_psr_f | arm::k_psr_mode);
  code_.or_(eax, ecx);
  operands_.finish(i.dst, eax);
  return true;
}

/// MSR and CPS that change nothing but CPSR.I.
bool SystemEmitter::write_cpsr(const Inst& i) {
  constexpr u32 k_control_byte = 1;
  if (i.imm != k_control_byte || i.a.is_imm() || !is_privileged()) return false;
  const Label slow = code_.label(), back = code_.label();
  {
    const ScratchEax eax(code_.scratch);
    operands_.load_to(i, i.a, eax);
    code_.xor_(eax, context32(AV_STATE(psr)));
    code_.test(eax, arm::k_psr_f | arm::k_psr_mode);
    code_.jnz(slow, Code::T_NEAR);
    code_.and_(eax, arm::k_psr_i);
    code_.xor_(context32(AV_STATE(psr)), eax);
  }
  traps_.count(Counter::FastPsrWrite);
  if (write_cpsr_links(*at_.block, at_.index)) go_on_unless_interrupted();
  code_.L(back);  // to ExitSync, when that is what follows
  traps_.emit_behind(i, slow, back);
  return true;
}

/// By the link of the exit behind. When interrupts may come now, the dispatcher is to look.
void SystemEmitter::go_on_unless_interrupted() {
  Link* const link = exits_.link_of(at_.index + 1);
  if (!link) return;
  const Label interruptible = code_.label(), go = code_.label();
  const ir::Address next = at_.block->insts[at_.index + 1].imm_address();
  code_.test(context32(AV_STATE(psr)), arm::k_psr_i);
  code_.jz(interruptible, Code::T_NEAR);
  code_.L(go);
  exits_.jump(link, next, next.value);
  cold_.add([this, interruptible, go, next] {
    code_.L(interruptible);
    code_.cmp(context32(AV_CONTEXT(dispatch.lines)), 0);
    code_.je(go, Code::T_NEAR);
    exits_.sync(next);
  });
}

// --- others

bool SystemEmitter::read_fpexc(const Inst& i) {
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  code_.mov(d, context32(AV_STATE(fpexc)));
  operands_.finish(i.dst, d);
  return true;
}

/// Most instructions are told from debug events by a bit. (Which bit it is, is the same wherever the page stands.)
void SystemEmitter::no_debug_event(const Inst& i) {
  const Label slow = code_.label(), back = code_.label();
  const u32 bit = arm::filter_bit(static_cast<u32>(i.imm));
  code_.test(context8(AV_CONTEXT(policy.debug_filter) + bit / 8), 1u << bit % 8);
  code_.jnz(slow, Code::T_NEAR);
  {
    const ScratchEax eax(code_.scratch);
    const Reg32 d = operands_.target(i.dst, eax);
    code_.mov(d, 1);
    operands_.finish(i.dst, d);
  }
  code_.L(back);
  traps_.emit_behind(i, slow, back);
}

}  // namespace armvisor::engine::jit
