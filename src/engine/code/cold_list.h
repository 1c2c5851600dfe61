#pragma once
// Blocks that are interpreted and may yet be compiled, those that were added last at the end. Half of all code runs a
// few times, much of it never again, and the interpreted form takes a kilobyte a block: what has not run for a while
// goes when there are many. (By size alone large programs would lose what they run again soon.)
//
// Under the code cache's lock, but for what any thread may ask. The blocks are the index's.
#include <atomic>
#include <chrono>
#include <vector>

#include "engine/block.h"

namespace armvisor::engine {

class ColdList {
 public:
  static constexpr u64 k_most_bytes = 12u << 20;
  static constexpr std::chrono::seconds k_interval{2};

  /// (any thread) There are many, and they were looked through a while ago.
  bool wants_trim() const { return bytes() > k_most_bytes && Clock::now() > next_trim_.load(); }
  /// (any thread) What they take.
  u64 bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // --- under the lock
  void add(Block* block);  ///< if it may yet be compiled
  void remove(Block* block);
  /// Removes, and returns, what has not run since it was added or looked at last, until `enough` bytes are left.
  std::vector<Block*> trim(u64 enough = k_most_bytes / 2);

 private:
  using Clock = std::chrono::steady_clock;

  Block *coldest_ = nullptr, *warmest_ = nullptr;
  std::atomic<u64> bytes_{0};
  std::atomic<Clock::time_point> next_trim_{Clock::now() + k_interval};
};

}  // namespace armvisor::engine
