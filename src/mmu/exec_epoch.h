#pragma once
// What a cache of code by virtual address depends on besides the address: the execute-side translations of an address
// space and privilege, and the context key. A number stands for both, so that one compare tells whether an entry holds.
// The numbers of an epoch are given up when TLB maintenance names a page that was executed under them. (That an entry
// of the execute-side table is replaced by another page's changes nothing that is mapped: B3.10 demands that
// maintenance be seen, not that the TLB forget.)
#include <array>

#include "base/types.h"
#include "mmu/mib_set.h"

namespace armvisor::mmu {

inline constexpr u32 k_exec_entries = 1024;

/// Execute side: virtual page number | physical frame number << 32, or k_exec_none. While there is an entry,
/// maintenance of its page renews the numbers that code in it is known by (ExecEpoch).
inline constexpr u64 k_exec_none = ~u64{0};
constexpr u64 exec_id(u32 va, GuestPa pa) { return u64{va >> k_page_bits} | (pa.value >> k_page_bits) << 32; }
constexpr GuestPa exec_frame(u64 id) { return GuestPa((id >> 32) << k_page_bits); }

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
    any_ = true;
    any_global_ |= global;
    if (page_bits <= k_page_bits) {
      const u32 bit = hash(va);
      pages_[bit / 64] |= u64{1} << bit % 64;
      mark_mib(small_, va, page_bits, true);
      return;
    }
    if (page_bits <= k_mib_bits && in_mib(large_, va)) return;
    mark_mib(large_, va, page_bits, true);
  }
  bool may_know(u32 va) const {
    const u32 bit = hash(va);
    return (in_mib(small_, va) && (pages_[bit / 64] >> bit % 64 & 1)) || in_mib(large_, va);
  }
  bool any_global() const { return any_global_; }
  /// Notes what `other` has noted, too.
  void add(const ExecEpoch& other) {
    any_ |= other.any_;
    any_global_ |= other.any_global_;
    for (u32 k = 0; k < pages_.size(); ++k) pages_[k] |= other.pages_[k];
    for (u32 k = 0; k < small_.size(); ++k) small_[k] |= other.small_[k];
    for (u32 k = 0; k < large_.size(); ++k) large_[k] |= other.large_[k];
  }
  bool unused() const { return next_ == 0 && !any_; }
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
  bool any_ = false, any_global_ = false;
};

}  // namespace armvisor::mmu
