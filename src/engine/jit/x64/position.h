#pragma once
// What is being emitted: the block, its plan, and the instruction. Emitters read it. Emitter moves on, and so does an
// emitter that did what follows as well, to the last instruction that it did; cold paths go back to where they come
// from.
#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {

struct Position {
  const Plan& plan;
  const ir::Block* block = nullptr;
  u32 key = 0;    ///< of the block: Block::key
  u32 index = 0;  ///< in block->insts

  bool in_region() const { return block->head_count != 0; }
};

}  // namespace armvisor::engine::jit
