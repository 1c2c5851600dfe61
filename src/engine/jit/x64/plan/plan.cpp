#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {

void make_plan(const PlanInput& in, Plan& plan) { plan_flow(in, plan.flow); }

}  // namespace armvisor::engine::jit
