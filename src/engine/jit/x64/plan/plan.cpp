#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;
using ir::Value;

/// What has no effect, given what reads it. Backwards, so that what only dead instructions read is dead, too.
void find_dead(const PlanInput& in, Plan& plan) {
  const auto& insts = in.block.insts;
  plan.dead.assign(insts.size(), false);
  std::vector<u32> uses(in.block.temp_count, 0);
  for (u32 k = static_cast<u32>(insts.size()); k-- > 0;) {
    const Inst& i = insts[k];
    const bool in_place = plan.flow[k].in_place;
    bool dead = plan.registers.is_folded(i.dst);
    if (writes_flags(i.op) && in_place && i.op != Op::FpscrToFlags)
      dead |= i.dst.is_none() && plan.flags[k].needed == 0 && !plan.flags[k].used_at_host;
    else
      dead |= ir::info(i.op).effects == ir::Effect::Pure && i.dst.is_temp() && uses[i.dst.temp_number()] == 0;
    plan.dead[k] = dead;
    if (dead) continue;
    const bool fixed = i.op == Op::Vector && in_place && fixed_indices(in.block, plan.xmm, i);
    for (const Value v : {i.a, i.b, fixed ? Value() : i.c})
      if (v.is_temp()) ++uses[v.temp_number()];
  }
}

}  // namespace

void make_plan(const PlanInput& in, Plan& plan) {
  plan_flow(in, plan.flow);
  plan_xmm_temps(in, plan.flow, plan.xmm);
  plan_registers(in, plan.flow, plan.xmm, plan.registers);
  plan_xmm(in, plan.flow, plan.registers, plan.xmm);
  plan_flags(in, plan.flow, plan.registers, plan.xmm, plan.flags, plan.region);
  find_dead(in, plan);
}

}  // namespace armvisor::engine::jit
