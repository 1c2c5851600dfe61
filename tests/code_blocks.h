#pragma once
// Blocks without code, for tests of what keeps blocks.
#include <memory>

#include "engine/backend.h"
#include "engine/block.h"

namespace armvisor::engine::test {

/// A block of `bytes` at `pa`, and at the same virtual address.
inline std::unique_ptr<Block> make_block(u32 pa, u32 bytes, bool compiled = true) {
  auto block = std::make_unique<Block>();
  block->pc = pa;
  block->pa = GuestPa(pa);
  block->bytes = bytes;
  block->compiled = compiled;
  return block;
}

/// Makes none.
class NoBackend : public Backend {
 public:
  std::unique_ptr<Block> make(const ir::Block&, u32) override { return nullptr; }
  Leave execute(Context*, Block*) override { return Leave::Lookup; }
};

}  // namespace armvisor::engine::test
