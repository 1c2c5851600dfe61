#pragma once
// What a plan is made from. It depends on nothing else, so the same input gives the same plan.
#include "engine/engine.h"
#include "engine/jit/x64/host_features.h"
#include "ir/ir.h"

namespace armvisor::engine::jit {

struct PlanInput {
  const ir::Block& block;
  u32 key;  ///< Block::key: the privilege, and whether FPSCR is ordinary
  const HostFeatures& host;
  const JitOptions& options;
};

}  // namespace armvisor::engine::jit
