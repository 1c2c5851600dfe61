#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {

void make_plan(const PlanInput& in, Plan& plan) {
  plan_flow(in, plan.flow);
  plan_xmm_temps(in, plan.flow, plan.xmm);
  plan_registers(in, plan.flow, plan.xmm, plan.registers);
  plan_xmm(in, plan.flow, plan.registers, plan.xmm);
}

}  // namespace armvisor::engine::jit
