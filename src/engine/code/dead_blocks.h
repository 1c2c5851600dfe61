#pragma once
// What searches and vCPUs may still hold of what was removed: blocks that died, and the index's heads of before. It is
// freed when nobody holds it (docs/engine/concurrency.md, P5).
//
// An epoch is what died between two calls of end_epoch(). Who has read a later epoch finds nothing of an earlier one.
#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "engine/block.h"
#include "engine/code/block_index.h"

namespace armvisor::engine {

class DeadBlocks {
 public:
  using Held = std::span<const Block* const>;

  /// (any thread) Grows when something has died. Who reads it finds nothing of what died before.
  u64 epoch() const { return epoch_.load(std::memory_order_acquire); }
  /// (any thread) What blocks take that are not freed yet.
  u64 bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // --- under the code cache's lock
  /// `block` has been removed from all else. Searches that begin after end_epoch() do not come by it.
  void add(Block* block);
  void add(std::unique_ptr<BlockIndex::Heads> heads);
  void end_epoch() { epoch_.fetch_add(1); }
  /// There is something that died before `epoch` and is none of `held`.
  bool any_before(u64 epoch, Held held) const;
  /// Frees such heads; the caller frees such blocks, which nobody may hold.
  std::vector<std::unique_ptr<Block>> take_before(u64 epoch, Held held);

 private:
  static bool may_free(const Block& block, u64 epoch, Held held) {
    return block.death.epoch() < epoch && std::ranges::find(held, &block) == held.end();
  }

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::pair<u64, std::unique_ptr<BlockIndex::Heads>>> heads_;  ///< by the epoch in which they went
  std::atomic<u64> epoch_{1}, bytes_{0};
};

}  // namespace armvisor::engine
