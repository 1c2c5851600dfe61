#pragma once
// Blocks by what a search knows of them: physical address, program counter and key. Lists by a hash, whose heads become
// twice as many when there are many blocks.
//
// Changes are made under the code cache's lock. A search takes no lock: what it finds was complete when it was added,
// and a block that is removed keeps its successor, for searches that stand on it. So who searches holds blocks and
// heads (block_holder.h), and what is removed is freed by DeadBlocks.
#include <atomic>
#include <memory>
#include <vector>

#include "engine/block.h"

namespace armvisor::engine {

class BlockIndex {
 public:
  using Heads = std::vector<std::atomic<Block*>>;

  BlockIndex() : heads_(new Heads(k_first_heads)) {}
  ~BlockIndex();  ///< with the blocks that are in it
  BlockIndex(const BlockIndex&) = delete;
  BlockIndex& operator=(const BlockIndex&) = delete;

  /// (any thread) The block at `pc` that serves the context of `key`. Null: there is none, or others make the index
  /// grow right now.
  Block* find(GuestPa pa, u32 pc, u32 key, GuestPa second_page) const;

  // --- under the lock
  /// The block with the same addresses and the same key.
  Block* find_equal(const Block& block) const;
  /// The index owns `block` from now on. Returns the heads that were in use before, if that made it grow: searches may
  /// still begin with these.
  std::unique_ptr<Heads> add(Block* block);
  /// The caller owns it from now on.
  void remove(Block* block);

 private:
  static constexpr std::size_t k_first_heads = 1u << 14;  ///< a power of two, as it is later

  static std::atomic<Block*>& head_of(Heads& heads, GuestPa pa, u32 pc, u32 key);
  std::atomic<Block*>& head_of(GuestPa pa, u32 pc, u32 key) const {
    return head_of(*heads_.load(std::memory_order_acquire), pa, pc, key);
  }
  std::unique_ptr<Heads> grow();

  std::atomic<Heads*> heads_;
  u64 count_ = 0;  ///< of the blocks
};

}  // namespace armvisor::engine
