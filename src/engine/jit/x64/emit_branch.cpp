// Exits whose target is found by address: indirect branches, exceptions and their returns, and what goes on afresh
// behind a change of state that blocks depend on.
#include "arm/cp15.h"
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/jump_probe.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

using measure::Counter;

/// The host condition under which the skip at index_ does not skip.
u8 Emitter::emit_skip_test(const Inst& i) {
  if (i.op == Op::SkipIf) {
    const Reg32 a = use(i, i.a, eax);
    test(a, a);
    return 4;
  }
  return flags_.condition(static_cast<arm::Cond>(i.attr));
}

void Emitter::emit_skip(const Inst& i) {
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) == arm::Cond::AL) return;
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) > arm::Cond::AL) {
    xmm_.skip_to(static_cast<u32>(i.imm));
    jmp(labels_[i.imm], T_NEAR);
    xmm_.unreachable();
    return;
  }
  const u8 cc = emit_skip_test(i);
  xmm_.skip_to(static_cast<u32>(i.imm));  // moves leave the host's flags
  jcc(cc ^ 1, labels_[i.imm]);
}

void Emitter::emit_side_exit(u32 index) {
  const Inst& skip = block_->insts[index];
  const Inst& exit = block_->insts[index + 1];
  const Label out = label();
  const u8 cc = emit_skip_test(skip);
  if (exit.op == Op::Goto) return emit_goto(index, cc);
  const u32 link = next_link_, from = insn_address(*block_, index);
  if (may_link_) {
    ++next_link_;
    const bool cold = plan_.flags.recovers(index) || plan_.region.is_region() || is_loop_end(out_->links[link], from);
    if (out_->links[link].same_page && !cold) return exit_direct_if(cc, out_->links[link]);
  }
  jcc(cc, out);
  add_cold([this, index, &exit, out, link, from] {
    L(out);
    flags_.recover(index);
    if (may_link_)
      exit_direct(out_->links[link], from);
    else
      emit_sync_exit(exit.imm_address());
  });
}

/// eax = address of the next instruction with CPSR.T in bit 0.
void Emitter::go_on_at_eax() {
  if (!options_.inline_branches) return jump_to(stubs_.branch);
  emit_jump_compare(*this);
  jump_to_if(5, stubs_.stale);  // not equal
  emit_jump_taken(*this);
}

void Emitter::emit_indirect(const Inst& i) {
  const bool thumb = frontend::Context::thumb_of(out_->key);
  load_to(i, i.a, eax);
  park();
  if (i.op == Op::ExitIndirect) {
    if (thumb) or_(eax, 1);
  } else {
    test(al, 1);
    jump_to_if(thumb ? 4 : 5, stubs_.interwork);  // zero, not zero
  }
  go_on_at_eax();
}

/// Behind ISB nothing needs to be made anew: what changes the state that blocks depend on does that itself.
void Emitter::emit_sync(const Inst& i) {
  const ir::Address pc = i.imm_address();
  const Inst* const before = index_ > 0 ? &block_->insts[index_ - 1] : nullptr;
  const bool isb =
      before && (before->op == Op::Insn || (before->op == Op::WriteSys && arm::sysregs()[before->imm].write_ignored));
  // ISB is not sensitive: no level has a trap for it.
  if (!may_link_ || !(options_.inline_sync || (isb && options_.world_switches))) return emit_sync_exit(pc);
  park();
  if (isb) count(Counter::FastSync);
  if (!isb) call_stub(stubs_.service[static_cast<u32>(Service::Sync)]);
  move_address(eax, {pc.value | u32{frontend::Context::thumb_of(out_->key)}, pc.moves});
  go_on_at_eax();
}

/// False: not here.
bool Emitter::emit_return(const Inst& i) {
  using frontend::Context;
  if (!options_.inline_exceptions || !Context::privileged_of(out_->key) || Context::nmfi_of(out_->key))
    return false;
  load_to(i, i.a, eax);
  load_to(i, i.b, ecx);
  park();
  jump_to(stubs_.exception_return);
  return true;
}

bool Emitter::emit_supervisor_call(const Inst& i) {
  if (!options_.inline_exceptions || !may_link_) return false;
  park();
  move_address(eax, i.disp_address());
  jump_to(stubs_.supervisor_call);
  return true;
}

}  // namespace armvisor::engine::jit
