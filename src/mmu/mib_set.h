#pragma once
// Sets of the MiBs of a 32-bit address space.
#include <array>
#include <atomic>

#include "base/types.h"

namespace armvisor::mmu {

inline constexpr u32 k_mib_bits = 20;

/// f(index of a word, bit) for each MiB that the page of 1 << page_bits bytes around `va` touches.
template <class F>
void for_each_mib(u32 va, u32 page_bits, F f) {
  const u32 mib = page_bits <= k_mib_bits ? 1 : 1u << (page_bits - k_mib_bits), first = (va >> k_mib_bits) & ~(mib - 1);
  for (u32 k = first; k < first + mib; ++k) f(k >> 6, u64{1} << (k & 63));
}

/// A bit per MiB of the address space.
using MibSet = std::array<u64, 64>;
/// Puts the page of 1 << page_bits bytes that `va` is in into `set`, or takes it out.
inline void mark_mib(MibSet& set, u32 va, u32 page_bits, bool in) {
  for_each_mib(va, page_bits, [&](u32 k, u64 bit) { set[k] = in ? set[k] | bit : set[k] & ~bit; });
}
inline bool in_mib(const MibSet& set, u32 va) { return set[va >> 26] >> (va >> k_mib_bits & 63) & 1; }

/// A MibSet that other threads may read.
class SharedMibSet {
 public:
  bool has(u32 va) const { return bits_[va >> 26].load(std::memory_order_relaxed) >> (va >> k_mib_bits & 63) & 1; }
  /// (its owner only) As mark_mib().
  void mark(u32 va, u32 page_bits, bool in) {
    for_each_mib(va, page_bits, [&](u32 k, u64 bit) {
      const u64 now = bits_[k].load(std::memory_order_relaxed);
      bits_[k].store(in ? now | bit : now & ~bit, std::memory_order_relaxed);
    });
  }
  void clear() {
    for (auto& word : bits_) word.store(0, std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<u64>, 64> bits_{};
};

}  // namespace armvisor::mmu
