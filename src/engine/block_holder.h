#pragma once
// Which dead blocks a thread may still hold: the thread of a vCPU, or the one that compiles. Blocks are freed by
// others, when every holder says that it has none of them (Shared::reclaim_code; docs/engine/concurrency.md, P5).
#include <atomic>

#include "base/test_point.h"
#include "base/types.h"
#include "memory/fence.h"

namespace armvisor::engine {

struct Block;

class BlockHolder {
 public:
  static constexpr u64 k_none = ~u64{0};

  // --- its thread
  /// It may look for blocks from now on, and hold all that it has seen since the last pass(). A full fence is in it: a
  /// search that follows finds nothing that is being freed.
  void enter() {
    quiet_.store(passed_, std::memory_order_relaxed);
    full_fence();
    test_point("holder: entered");
  }
  /// It holds nothing that died before `epoch`, which it has read from the code cache.
  void pass(u64 epoch) {
    passed_ = epoch;
    quiet_.store(epoch, std::memory_order_release);
  }
  u64 passed() const { return passed_; }
  /// It holds `block`, if that is not null, and looks at no other one until enter(), unless nothing was freed
  /// meanwhile.
  void leave(const Block* block) {
    held_.store(block, std::memory_order_relaxed);
    quiet_.store(k_none, std::memory_order_release);
    test_point("holder: left");
  }

  // --- (any thread) behind a full fence; in this order
  /// It holds no block that died before, but for held(); k_none: none at all.
  u64 quiet() const { return quiet_.load(std::memory_order_acquire); }
  const Block* held() const { return held_.load(std::memory_order_relaxed); }

 private:
  u64 passed_ = 0;
  std::atomic<u64> quiet_{k_none};
  std::atomic<const Block*> held_{nullptr};
};

}  // namespace armvisor::engine
