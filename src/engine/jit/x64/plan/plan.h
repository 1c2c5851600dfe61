#pragma once
// What is decided of a block before any of its code is emitted. A plan is a value: make_plan() is a pure function of
// its input, emitters read plans and change none. What depends on the code emitted so far (labels, what the xmm
// registers hold at the moment) is no part of it.
#include "engine/jit/x64/plan/flag_plan.h"
#include "engine/jit/x64/plan/flow_plan.h"
#include "engine/jit/x64/plan/input.h"
#include "engine/jit/x64/plan/region_plan.h"
#include "engine/jit/x64/plan/register_plan.h"
#include "engine/jit/x64/plan/xmm_plan.h"

namespace armvisor::engine::jit {

struct Plan {
  FlowPlan flow;
  RegisterPlan registers;
  XmmPlan xmm;
  FlagPlan flags;
  RegionPlan region;
  std::vector<bool> dead;  ///< by instruction: flags that nobody stores or tests, temps that nobody reads
};

/// `plan` becomes the plan for `in`. What it was serves as memory only: who plans many blocks does well to keep it.
void make_plan(const PlanInput& in, Plan& plan);

}  // namespace armvisor::engine::jit
