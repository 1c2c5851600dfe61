#include "engine/code/block_index.h"

#include <utility>

#include "base/test_point.h"

namespace armvisor::engine {

std::atomic<Block*>& BlockIndex::head_of(Heads& heads, GuestPa pa, u32 pc, u32 key) {
  const u64 h = (pa.value ^ u64{pc} << 20 ^ u64{base_key(key)} << 52) * 0x9e3779b97f4a7c15ull;
  return heads[(h >> 32) & (heads.size() - 1)];
}

BlockIndex::~BlockIndex() {
  const std::unique_ptr<Heads> heads(heads_.load());
  for (auto& head : *heads)
    for (Block* b = head.load(); b;) delete std::exchange(b, b->index.next_.load());
}

Block* BlockIndex::find(GuestPa pa, u32 pc, u32 key, GuestPa second_page) const {
  Block* found = nullptr;
  for (Block* b = head_of(pa, pc, key).load(std::memory_order_acquire); b;
       b = b->index.next_.load(std::memory_order_acquire)) {
    test_point("search: at a block");
    if (b->pc != pc || b->pa != pa || b->second_page != second_page || !b->serves(key)) continue;
    found = b;
    if (b->key & k_key_fp) break;  // a region with members of both kinds stands beside its head
  }
  return found;
}

Block* BlockIndex::find_equal(const Block& block) const {
  for (Block* b = head_of(block.pa, block.pc, block.key).load(); b; b = b->index.next_.load())
    if (b->pc == block.pc && b->pa == block.pa && b->key == block.key && b->second_page == block.second_page) return b;
  return nullptr;
}

std::unique_ptr<BlockIndex::Heads> BlockIndex::add(Block* block) {
  std::unique_ptr<Heads> old;
  if (++count_ > heads_.load()->size() / 2) old = grow();  // what is not there is looked for often
  auto& head = head_of(block->pa, block->pc, block->key);
  block->index.next_.store(head.load(std::memory_order_relaxed), std::memory_order_relaxed);
  head.store(block, std::memory_order_release);
  return old;
}

void BlockIndex::remove(Block* block) {
  auto* place = &head_of(block->pa, block->pc, block->key);
  while (Block* const b = place->load(std::memory_order_relaxed)) {
    if (b == block) break;
    place = &b->index.next_;
  }
  place->store(block->index.next_.load(std::memory_order_relaxed), std::memory_order_release);
  --count_;
}

/// (A search that goes on from a block which is in its new list already may miss what it looks for.)
std::unique_ptr<BlockIndex::Heads> BlockIndex::grow() {
  std::unique_ptr<Heads> old(heads_.load());
  auto wider = std::make_unique<Heads>(2 * old->size());
  for (auto& list : *old)
    for (Block* b = list.load(std::memory_order_relaxed); b;) {
      auto& head = head_of(*wider, b->pa, b->pc, b->key);
      Block* const rest = b->index.next_.exchange(head.load(std::memory_order_relaxed), std::memory_order_acq_rel);
      head.store(b, std::memory_order_relaxed);
      b = rest;
    }
  heads_.store(wider.release(), std::memory_order_release);
  return old;
}

}  // namespace armvisor::engine
