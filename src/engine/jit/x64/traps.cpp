#include "engine/jit/x64/traps.h"

namespace armvisor::engine::jit {

using ir::Op;

void Traps::emit(const ir::Inst& i) {
  if (at_.plan.flow[at_.index].leaves) return emit_world_switch(i);
  calls_.place_constant(i);
  calls_.name_uop();
  calls_.call_service(ir::info(i.op).effects & ir::Trap ? Service::Trap : Service::Helper);
}

void Traps::emit_world_switch(const ir::Inst& i) {
  const auto& insts = at_.block->insts;
  const bool is_return = i.op == Op::ExitReturn;
  const bool then_exit = !is_return && at_.index + 1 < insts.size() && insts[at_.index + 1].op == Op::ExitSync;
  if (then_exit) flags_.recover(at_.index + 1);
  calls_.place_constant(i);
  calls_.park();
  calls_.name_uop();
  const ScratchEax eax(code_.scratch);
  if (is_return || then_exit) {
    if (then_exit) exits_.set_pc(insts[at_.index + 1].imm_address());
    code_.mov(eax, static_cast<u32>(Leave::EmulateLast));
    return code_.jump_to(stubs_.leave_at);
  }
  const Label resume = code_.label();
  code_.load_address(eax.cvt64(), resume);
  code_.jump_to(stubs_.world_switch);
  code_.L(resume);
  code_.mov(code_.r14, context64(AV_CONTEXT(scratch.lent[0])));
  code_.mov(code_.r15, context64(AV_CONTEXT(scratch.lent[1])));
  calls_.load_copies();
}

void Traps::emit_behind(const ir::Inst& i, Label slow, Label back) {
  cold_.add([this, &i, slow, back] {
    code_.L(slow);
    emit(i);
    code_.jmp(back, Code::T_NEAR);
  });
}

void Traps::count(measure::Counter c, u32 index) {
  if (!options_.count_traps || at_.plan.flow[index].precedes_trap) return;
  code_.inc(context64(AV_CONTEXT(counters) + static_cast<u32>(measure::Counters::offset(c))));
}

}  // namespace armvisor::engine::jit
