#pragma once
// Blocks by the frames that their bytes lie in, and what writers look at to find out that there are any: the frame's
// mark and its lines (docs/engine/concurrency.md, P2). A frame that holds blocks has its mark, and the lines of each of
// them; one that holds none loses it, and vCPUs may write it unseen again.
//
// The lists change under the code cache's lock. Marks are set without it (FrameTable::watch_code), and cleared under
// it.
#include <atomic>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/block.h"
#include "mmu/frame_table.h"

namespace armvisor::engine {

class PageIndex {
 public:
  explicit PageIndex(mmu::FrameTable& frames) : frames_(frames) {}

  /// (any thread) How often a frame has lost its mark.
  u64 unmarked() const { return unmarked_.load(std::memory_order_acquire); }
  /// (any thread) [pa, pa + size), of one frame of RAM, touches a line that holds code.
  bool has_line(GuestPa pa, u32 size) const {
    return frames_.code_lines(pa).load(std::memory_order_relaxed) & mmu::FrameTable::line_mask(pa, size);
  }

  // --- under the lock
  /// Sets the lines of `block`, which is to come; its frames are marked.
  void set_lines(const Block& block);
  void add(Block* block);
  /// The lines of `block` stay until tidy().
  void remove(Block* block);
  /// `gone` were removed, or have not come after set_lines(): their frames keep the lines that other blocks are on, and
  /// lose their mark if there are none.
  void tidy(std::span<Block* const> gone);
  /// The blocks with a byte in [first, last], physical addresses of one frame.
  std::vector<Block*> on(u64 first, u64 last) const;
  /// The numbers of all frames that hold blocks, in order.
  std::vector<u64> frames() const;

 private:
  /// A block with a byte in a frame, which is its first or its second.
  struct Member {
    Block* block;
    u32 which;
  };
  using Page = std::vector<Member>;

  void add(Block* block, u32 which, GuestPa pa);
  void remove(Block* block, u32 which, GuestPa pa);
  void tidy(u64 frame);

  mmu::FrameTable& frames_;
  std::unordered_map<u64, Page> pages_;  ///< by the frame's number
  std::atomic<u64> unmarked_{0};
};

}  // namespace armvisor::engine
