#pragma once
// The reverse map of one vCPU: from a frame with guest translation tables to what was derived from each descriptor in
// it. Entries of spaces are not listed one by one: a table reached in a space stands for a range of addresses, so the
// place of a descriptor says which entries of that space came from it.
#include <unordered_map>
#include <vector>

#include "base/types.h"

namespace armvisor::mmu {

/// A translation table, or the part of a large one in one frame, as a space reaches it.
struct TableUse {
  u32 space;
  u32 va;                  ///< that the descriptor at `first` translates
  u16 first;               ///< offset in the frame
  u16 bytes;               ///< up to k_page_size
  u8 shift;                ///< log2 of what one descriptor translates
  u8 size_shift;           ///< log2 of a descriptor's bytes
  u32 reach_bits() const;  ///< log2 of what all of them translate; 32 at most
  bool operator==(const TableUse&) const = default;
};

class TableMap {
 public:
  /// Enters a use of `frame`. False: it was there.
  bool add(u64 frame, const TableUse& use);
  bool has(u64 frame) const { return frames_.contains(frame); }

  struct Derived {
    u32 space, va;
    u8 shift;
  };
  /// What was derived from the bytes [offset, offset + size) of `frame`; valid until the next call.
  const std::vector<Derived>& derived(u64 frame, u32 offset, u32 size);

  // Taking uses out. `gone(frame)` is called for each frame that has none left.

  /// All of a frame. (No call of gone.)
  std::vector<TableUse> take(u64 frame);
  /// Those of tables below a descriptor of `space` that translates [va, va + 1 << shift).
  template <class F>
  void take_below(u32 space, u32 va, u32 shift, F gone) {
    take_if(
        space, [&](const TableUse& u) { return u.shift < shift && (u64{u.va ^ va} >> shift) == 0; }, gone);
  }
  template <class F>
  void take_space(u32 space, F gone) {
    take_if(
        space, [](const TableUse&) { return true; }, gone);
  }
  void clear() {
    frames_.clear();
    for (auto& uses : of_space_) uses.clear();
  }

 private:
  struct Placed {
    u64 frame;
    TableUse use;
  };
  template <class P, class F>
  void take_if(u32 space, P p, F gone) {
    if (space >= of_space_.size()) return;
    std::erase_if(of_space_[space], [&](const Placed& placed) {
      if (!p(placed.use)) return false;
      const auto it = frames_.find(placed.frame);
      std::erase(it->second, placed.use);
      if (it->second.empty()) {
        frames_.erase(it);
        gone(placed.frame);
      }
      return true;
    });
  }

  std::unordered_map<u64, std::vector<TableUse>> frames_;
  std::vector<std::vector<Placed>> of_space_;
  std::vector<Derived> derived_;
};

}  // namespace armvisor::mmu
