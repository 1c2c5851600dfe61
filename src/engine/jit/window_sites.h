#pragma once
// Instructions that a host-MMU window does not help: they go to devices, or write pages that hold code. A count by a
// hash of the address; two that share a place lose speed, nothing else.
#include <array>
#include <atomic>

#include "base/types.h"

namespace armvisor::engine::jit {

/// All methods may be called by any thread.
class WindowSites {
 public:
  /// The instruction at `pc` missed in vain. True when that was once too often: blocks that still use a window for it
  /// must go.
  bool missed(u32 pc) {
    std::atomic<u8>& n = place(pc);
    const u8 before = n.load(std::memory_order_relaxed);
    if (before < k_limit) n.store(before + 1, std::memory_order_relaxed);
    return before + 1 >= k_limit;
  }
  bool avoided(u32 pc) const { return place(pc).load(std::memory_order_relaxed) >= k_limit; }

 private:
  static constexpr u8 k_limit = 4;
  static constexpr u32 k_places = 8192;
  std::atomic<u8>& place(u32 pc) { return counts_[index(pc)]; }
  const std::atomic<u8>& place(u32 pc) const { return counts_[index(pc)]; }
  static u32 index(u32 pc) { return (pc >> 1 ^ pc >> 14) % k_places; }
  std::array<std::atomic<u8>, k_places> counts_{};
};

}  // namespace armvisor::engine::jit
