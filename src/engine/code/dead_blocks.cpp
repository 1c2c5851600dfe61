#include "engine/code/dead_blocks.h"

#include <utility>

namespace armvisor::engine {

void DeadBlocks::add(Block* block) {
  block->death.epoch_ = epoch_.load();
  bytes_.fetch_add(block->footprint(), std::memory_order_relaxed);
  blocks_.emplace_back(block);
}

void DeadBlocks::add(std::unique_ptr<BlockIndex::Heads> heads) { heads_.emplace_back(epoch_.load(), std::move(heads)); }

bool DeadBlocks::any_before(u64 epoch, Held held) const {
  return (!heads_.empty() && heads_.front().first < epoch) ||
         std::ranges::any_of(blocks_, [&](const auto& block) { return may_free(*block, epoch, held); });
}

std::vector<std::unique_ptr<Block>> DeadBlocks::take_before(u64 epoch, Held held) {
  std::erase_if(heads_, [epoch](const auto& old) { return old.first < epoch; });
  std::vector<std::unique_ptr<Block>> taken;
  std::erase_if(blocks_, [&](std::unique_ptr<Block>& block) {
    if (!may_free(*block, epoch, held)) return false;
    bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
    taken.push_back(std::move(block));
    return true;
  });
  return taken;
}

}  // namespace armvisor::engine
