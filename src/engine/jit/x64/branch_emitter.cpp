#include "engine/jit/x64/branch_emitter.h"

#include "arm/cp15.h"
#include "base/assert.h"
#include "engine/jit/x64/jump_probe.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

using ir::Op;

void BranchEmitter::begin_block() {
  labels_.clear();
  for (u32 k = 0; k < at_.block->label_count; ++k) labels_.push_back(code_.label());
  heads_.clear();
  for (u32 k = 0; k < at_.block->head_count; ++k) heads_.push_back(code_.label());
}

void BranchEmitter::emit(const Inst& i) {
  switch (i.op) {
    case Op::SkipIf:
    case Op::SkipUnless: return at_.plan.flow[at_.index].side_exit ? side_exit(i) : skip(i);
    case Op::Label: return label(i);
    case Op::Head: return head(i);
    case Op::Goto: go_to(i, at_.index, {}); break;
    default: flags_.recover(at_.index); leave(i);
  }
  xmm_.unreachable();
}

// --- skips

/// The host condition under which the skip at hand does not skip.
u8 BranchEmitter::skip_condition(const Inst& i) {
  if (i.op == Op::SkipUnless) return flags_.condition(static_cast<arm::Cond>(i.attr));
  const ScratchEax eax(code_.scratch);
  const Xbyak::Reg32 a = operands_.use(i, i.a, eax);
  code_.test(a, a);
  return 4;
}

void BranchEmitter::skip(const Inst& i) {
  const auto label = static_cast<u32>(i.imm);
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) == arm::Cond::AL) return;
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) > arm::Cond::AL) {
    xmm_.skip_to(label);
    code_.jmp(labels_[label], Code::T_NEAR);
    return xmm_.unreachable();
  }
  const u8 cc = skip_condition(i);
  xmm_.skip_to(label);  // moves leave the host's flags
  code_.jcc(cc ^ 1, labels_[label]);
}

/// The label behind the exit is emitted by itself: it may be another skip's too.
void BranchEmitter::side_exit(const Inst& skip) {
  const u32 index = at_.index;
  const Inst& exit = at_.block->insts[index + 1];
  const u8 cc = skip_condition(skip);
  at_.index = index + 1;
  if (exit.op == Op::Goto) return go_to(exit, index, cc);
  Link* const link = exits_.link_of(index + 1);
  const u32 from = insn_address(*at_.block, index);
  if (link && link->same_page && !at_.plan.flags.recovers(index) && !at_.in_region() &&
      !exits_.closes_loop(*link, from))
    return exits_.jump_if(cc, *link);
  const Label out = code_.label();
  code_.jcc(cc, out);
  cold_.add([this, index, &exit, out, link, from] {
    code_.L(out);
    flags_.recover(index);
    exits_.jump(link, exit.imm_address(), from);
  });
}

void BranchEmitter::label(const Inst& i) {
  xmm_.label(static_cast<u32>(i.imm));
  code_.L(labels_[i.imm]);
}

// --- regions

void BranchEmitter::head(const Inst& i) {
  code_.L(heads_[i.imm]);
  if (options_.count_instructions) code_.add(context64(AV_CONTEXT(dispatch.instructions)), i.disp);
  xmm_.head();
  fp_.forget_comparison();
}

/// The Goto at hand, by the way that begins at the instruction `way`: itself, or the skip that it is the side exit of,
/// on the host's condition `cc`. A way back looks for interrupts.
void BranchEmitter::go_to(const Inst& go, u32 way, std::optional<u8> cc) {
  const RegionPlan& region = at_.plan.region;
  const auto to = static_cast<u32>(go.imm);
  const RegionPlan::Head& head = region.heads[to];
  const bool back = head.at <= at_.index, is_next = !cc && head.at == at_.index + 1;
  if (!back && (!region.has_edges(to) || region.passes(way)) && !region.stores_at(way) && xmm_.units_in_place()) {
    if (cc) return code_.jcc(*cc, heads_[to]);
    return is_next ? void() : code_.jmp(heads_[to], Code::T_NEAR);
  }
  const Label over = code_.label();
  if (cc) code_.jcc(*cc ^ 1, over);
  const XmmCache behind = xmm_.cache;
  xmm_.place_units(true);
  flags_.go_to_head(way, to);
  if (back) {
    const Label attention = code_.label();
    code_.cmp(context32(AV_CONTEXT(dispatch.attention)), 0);
    code_.je(heads_[to], Code::T_NEAR);
    code_.jmp(attention, Code::T_NEAR);
    cold_.add([this, attention, way, &head] {
      code_.L(attention);
      flags_.recover(way);
      calls_.park();
      exits_.set_pc(ir::Address::of_pc(static_cast<u32>(at_.block->insts[head.at + 1].imm)));
      code_.jump_to(stubs_.attention);
    });
  } else if (!is_next) {
    code_.jmp(heads_[to], Code::T_NEAR);
  }
  code_.L(over);
  xmm_.cache = behind;
}

// --- exits

void BranchEmitter::leave(const Inst& i) {
  switch (i.op) {
    case Op::ExitSwitch: code_.xor_(context32(AV_STATE(psr)), arm::k_psr_t); [[fallthrough]];
    case Op::ExitJump:
    case Op::ExitCall:
      return exits_.jump(exits_.link_of(at_.index), i.imm_address(), insn_address(*at_.block, at_.index));
    case Op::ExitIndirect:
    case Op::ExitInterwork: return indirect(i);
    case Op::ExitSync: return sync(i);
    case Op::ExitReturn:
      if (exception_return(i)) return;
      xmm_.spill();
      return traps_.emit_world_switch(i);
    case Op::ExitUndefined: return exits_.leave(Leave::Undefined);
    case Op::ExitSvc: return supervisor_call(i);
    case Op::ExitBkpt: return exits_.leave(Leave::Bkpt);
    case Op::ExitHvc: return exits_.leave(Leave::Hvc);
    case Op::ExitSmc: return exits_.leave(Leave::Smc);
    case Op::ExitWfi: return exits_.leave(Leave::Wfi);
    case Op::ExitWfe: return exits_.leave(Leave::Wfe);
    case Op::ExitYield: return exits_.leave(Leave::Yield);
    default: AV_UNREACHABLE();
  }
}

/// eax = address of the next instruction with CPSR.T in bit 0.
void BranchEmitter::go_on_at(const ScratchEax&) {
  if (!options_.inline_branches) return code_.jump_to(stubs_.branch);
  const ScratchEcx ecx(code_.scratch);  // both are the probe's
  const ScratchEdx edx(code_.scratch);
  emit_jump_compare(code_);
  code_.jump_to_if(5, stubs_.stale);  // not equal
  emit_jump_taken(code_);
}

void BranchEmitter::indirect(const Inst& i) {
  const bool thumb = frontend::Context::thumb_of(at_.key);
  const ScratchEax eax(code_.scratch);
  operands_.load_to(i, i.a, eax);
  calls_.park();
  if (i.op == Op::ExitIndirect) {
    if (thumb) code_.or_(eax, 1);
  } else {
    code_.test(eax.cvt8(), 1);
    code_.jump_to_if(thumb ? 4 : 5, stubs_.interwork);  // zero, not zero
  }
  go_on_at(eax);
}

/// Behind ISB nothing needs to be made anew: what changes the state that blocks depend on does that itself.
void BranchEmitter::sync(const Inst& i) {
  const ir::Address pc = i.imm_address();
  const Inst* const before = at_.index > 0 ? &at_.block->insts[at_.index - 1] : nullptr;
  const bool isb =
      before && (before->op == Op::Insn || (before->op == Op::WriteSys && arm::sysregs()[before->imm].write_ignored));
  // ISB is not sensitive: no level has a trap for it.
  if (!exits_.may_link() || !(options_.inline_sync || (isb && options_.world_switches))) return exits_.sync(pc);
  calls_.park();
  if (isb) traps_.count(measure::Counter::FastSync);
  if (!isb) code_.call_stub(stubs_.service[static_cast<u32>(Service::Sync)]);
  const ScratchEax eax(code_.scratch);
  code_.move_address(eax, {pc.value | u32{frontend::Context::thumb_of(at_.key)}, pc.moves});
  go_on_at(eax);
}

/// False: not here.
bool BranchEmitter::exception_return(const Inst& i) {
  using Key = frontend::Context;
  if (!options_.inline_exceptions || !Key::privileged_of(at_.key) || Key::nmfi_of(at_.key)) return false;
  const ScratchEax pc(code_.scratch);
  const ScratchEcx psr(code_.scratch);
  operands_.load_to(i, i.a, pc);
  operands_.load_to(i, i.b, psr);
  calls_.park();
  code_.jump_to(stubs_.exception_return);
  return true;
}

void BranchEmitter::supervisor_call(const Inst& i) {
  if (!options_.inline_exceptions || !exits_.may_link()) return exits_.leave(Leave::Svc);
  calls_.park();
  const ScratchEax next(code_.scratch);
  code_.move_address(next, i.disp_address());
  code_.jump_to(stubs_.supervisor_call);
}

}  // namespace armvisor::engine::jit
