#include "engine/code/cold_list.h"

namespace armvisor::engine {

void ColdList::add(Block* block) {
  if (!block->may_get_hot()) return;
  ColdHook& own = block->cold;
  own.runs_seen_ = block->cold_runs.load(std::memory_order_relaxed);
  own.colder_ = warmest_;
  own.warmer_ = nullptr;
  (warmest_ ? warmest_->cold.warmer_ : coldest_) = block;
  warmest_ = block;
  bytes_.fetch_add(block->footprint(), std::memory_order_relaxed);
}

void ColdList::remove(Block* block) {
  ColdHook& own = block->cold;
  if (!own.colder_ && coldest_ != block) return;
  (own.colder_ ? own.colder_->cold.warmer_ : coldest_) = own.warmer_;
  (own.warmer_ ? own.warmer_->cold.colder_ : warmest_) = own.colder_;
  own.colder_ = own.warmer_ = nullptr;
  bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
}

std::vector<Block*> ColdList::trim(u64 enough) {
  next_trim_ = Clock::now() + k_interval;
  std::vector<Block*> gone;
  Block* const last = warmest_;
  for (bool more = coldest_ != nullptr; more && bytes() > enough;) {
    Block* const block = coldest_;
    more = block != last;
    const bool has_run = block->cold_runs.load(std::memory_order_relaxed) != block->cold.runs_seen_;
    remove(block);
    if (has_run)
      add(block);
    else
      gone.push_back(block);
  }
  return gone;
}

}  // namespace armvisor::engine
