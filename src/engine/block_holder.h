#pragma once
// Which dead blocks the threads of a machine may still hold: those of the vCPUs, and the one that compiles. What none
// holds is freed (docs/engine/concurrency.md, P5).
#include <atomic>
#include <vector>

#include "base/test_point.h"
#include "base/types.h"
#include "memory/fence.h"

namespace armvisor::engine {

struct Block;
class CodeCache;
class BlockHolder;

/// All of a machine. They come and go while none of their threads runs.
class BlockHolders {
 public:
  void add(const BlockHolder& holder) { holders_.push_back(&holder); }
  void remove(const BlockHolder& holder) { std::erase(holders_, &holder); }
  /// How often something was freed.
  u64 reclaims() const { return reclaims_.load(std::memory_order_acquire); }
  /// (any thread) Frees the dead blocks of `code` that nobody holds.
  void reclaim(CodeCache& code);

 private:
  struct Held;
  Held look(const CodeCache& code) const;

  std::vector<const BlockHolder*> holders_;
  std::atomic<u64> reclaims_{0};
};

class BlockHolder {
 public:
  static constexpr u64 k_none = ~u64{0};

  explicit BlockHolder(BlockHolders& all) : all_(all) { all.add(*this); }
  ~BlockHolder() { all_.remove(*this); }
  BlockHolder(const BlockHolder&) = delete;
  BlockHolder& operator=(const BlockHolder&) = delete;

  // --- its thread
  /// It may look for blocks from now on, and hold all that it has seen since the last pass(). A full fence is in it: a
  /// search that follows finds nothing that is being freed. True: something was freed since it last said so, which may
  /// be among what the thread remembers.
  [[nodiscard]] bool enter() {
    quiet_.store(passed_, std::memory_order_relaxed);
    full_fence();
    test_point("holder: entered");
    const u64 reclaims = all_.reclaims(), seen = seen_;
    seen_ = reclaims;
    return seen != reclaims;
  }
  /// It remembers nothing that died before `epoch`, which it has read from the code cache before it forgot.
  void pass(u64 epoch) {
    passed_ = epoch;
    quiet_.store(epoch, std::memory_order_release);
    test_point("holder: passed");
  }
  u64 passed() const { return passed_; }
  /// It holds `block`, if that is not null, and what it remembers counts only if enter() says that nothing was freed.
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
  BlockHolders& all_;
  u64 passed_ = 0, seen_ = 0;
  std::atomic<u64> quiet_{k_none};
  std::atomic<const Block*> held_{nullptr};
};

}  // namespace armvisor::engine
