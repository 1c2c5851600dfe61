#pragma once
// What a cache of code by virtual address depends on besides the address: the execute-side translations of an address
// space and privilege, and the context key. A number stands for both, so that one compare tells whether an entry holds.
// The numbers of an epoch are given up when TLB maintenance names a page that was executed under them. (That an entry
// of the execute-side table is replaced by another page's changes nothing that is mapped: B3.10 demands that
// maintenance be seen, not that the TLB forget.)
#include <array>
#include <atomic>

#include "base/types.h"

namespace armvisor::mmu {

/// f(index of a word, bit) for each MiB that the page of 1 << page_bits bytes around `va` touches.
template <class F>
void for_each_mib(u32 va, u32 page_bits, F f) {
  const u32 mib = page_bits <= 20 ? 1 : 1u << (page_bits - 20), first = (va >> 20) & ~(mib - 1);
  for (u32 k = first; k < first + mib; ++k) f(k >> 6, u64{1} << (k & 63));
}

/// A bit per MiB of the address space.
using MibSet = std::array<u64, 64>;
/// Puts the page of 1 << page_bits bytes that `va` is in into `set`, or takes it out.
inline void mark_mib(MibSet& set, u32 va, u32 page_bits, bool in) {
  for_each_mib(va, page_bits, [&](u32 k, u64 bit) { set[k] = in ? set[k] | bit : set[k] & ~bit; });
}
inline bool in_mib(const MibSet& set, u32 va) { return set[va >> 26] >> (va >> 20 & 63) & 1; }

/// A MibSet that other threads may read.
class SharedMibSet {
 public:
  bool has(u32 va) const { return bits_[va >> 26].load(std::memory_order_relaxed) >> (va >> 20 & 63) & 1; }
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

class ExecEpoch {
 public:
  /// The number for `key`, 0 if it has none.
  u32 find(u32 key) const {
    for (const Number& n : numbers_)
      if (n.value != 0 && n.key == key) return n.value;
    return 0;
  }
  void give(u32 key, u32 number) { numbers_[next_++ % numbers_.size()] = {key, number}; }

  /// Code at `va` is known under these numbers; its descriptor maps 1 << page_bits bytes.
  void note(u32 va, u32 page_bits, bool global) {
    any_global_ |= global;
    if (page_bits <= k_page_bits) {
      const u32 bit = hash(va);
      pages_[bit / 64] |= u64{1} << bit % 64;
      mark_mib(small_, va, page_bits, true);
      return;
    }
    if (in_mib(large_, va)) return;
    mark_mib(large_, va, page_bits, true);
  }
  bool may_know(u32 va) const {
    const u32 bit = hash(va);
    return (in_mib(small_, va) && (pages_[bit / 64] >> bit % 64 & 1)) || in_mib(large_, va);
  }
  bool any_global() const { return any_global_; }
  bool unused() const { return next_ == 0; }
  void renew() {
    if (!unused()) *this = {};
  }

 private:
  struct Number {
    u32 key = 0, value = 0;
  };
  static constexpr u32 k_page_bits_hashed = 4096;
  static u32 hash(u32 va) { return (va >> k_page_bits ^ va >> 24) % k_page_bits_hashed; }

  std::array<Number, 4> numbers_{};
  std::array<u64, k_page_bits_hashed / 64> pages_{};
  // By MiB. Kernels flush long ranges of it, and what else is there must not look like code by its hash.
  MibSet small_{};  ///< pages of 4 KiB
  MibSet large_{};  ///< by MiB: part of it came from a descriptor of more than 4 KiB
  u32 next_ = 0;
  bool any_global_ = false;
};

}  // namespace armvisor::mmu
