#pragma once
// What is being emitted: the block, its plan, and the instruction. Emitters read it; Emitter moves on, and cold paths go
// back to the instruction that they belong to.
#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {

struct Position {
  const Plan& plan;
  const ir::Block* block = nullptr;
  u32 index = 0;  ///< in block->insts

  bool in_region() const { return block->head_count != 0; }
};

}  // namespace armvisor::engine::jit
