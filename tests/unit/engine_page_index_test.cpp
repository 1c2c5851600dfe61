// The code cache's blocks by frame, by themselves (engine/code/page_index.h).
#include <gtest/gtest.h>

#include "code_blocks.h"
#include "engine/code/page_index.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_ram = 0x40000000, k_page = 0x1000;

class PageIndexAlone : public testing::Test {
 protected:
  PageIndexAlone() : ram(std::move(*GuestRam::create(GuestPa(k_ram), 1u << 20))), frames(ram), pages(frames) {}

  /// As it is published.
  Block* add(u32 pa, u32 bytes, GuestPa second_page = k_no_page) {
    blocks.push_back(make_block(pa, bytes));
    Block* const block = blocks.back().get();
    block->second_page = second_page;
    for (const GuestPa frame : {block->pa, second_page})
      if (frame != k_no_page && ram.contains(frame)) frames.watch_code(frame);
    pages.set_lines(*block);
    pages.add(block);
    return block;
  }
  void remove(const std::vector<Block*>& gone) {
    for (Block* block : gone) pages.remove(block);
    pages.tidy(gone);
  }
  bool marked(u32 pa) { return ram.marks(GuestPa(pa)).load() & k_frame_code; }
  u64 lines(u32 pa) { return frames.code_lines(GuestPa(pa)).load(); }
  std::vector<Block*> on(u32 first, u32 last) { return pages.on(first, last); }
  using Blocks = std::vector<Block*>;

  GuestRam ram;
  mmu::FrameTable frames;
  PageIndex pages;
  std::vector<std::unique_ptr<Block>> blocks;
};

TEST_F(PageIndexAlone, BlocksAreOnTheBytesThatTheyAreMadeFrom) {
  Block* const block = add(k_ram + 0x100, 8);
  EXPECT_EQ(on(k_ram, k_ram + 0xff), Blocks{});
  EXPECT_EQ(on(k_ram, k_ram + 0x100), Blocks{block});
  EXPECT_EQ(on(k_ram + 0x107, k_ram + 0x107), Blocks{block});
  EXPECT_EQ(on(k_ram + 0x108, k_ram + 0xfff), Blocks{});
  Block* const region = add(k_ram + 0x200, 0x40);
  region->before = 0x20;
  EXPECT_EQ(on(k_ram + 0x1e0, k_ram + 0x1e0), Blocks{region});
  EXPECT_EQ(on(k_ram + 0x220, k_ram + 0x220), Blocks{});
}

TEST_F(PageIndexAlone, AFrameHasItsMarkAndTheLinesOfItsBlocks) {
  Block* const a = add(k_ram + 0x3c, 8);  // lines 0 and 1
  Block* const b = add(k_ram + 0x40, 4);
  EXPECT_EQ(lines(k_ram), 3u);
  EXPECT_TRUE(pages.has_line(GuestPa(k_ram + 0x7f), 1));
  EXPECT_FALSE(pages.has_line(GuestPa(k_ram + 0x80), 4));
  const u64 unmarked = pages.unmarked();
  remove({a});
  EXPECT_EQ(lines(k_ram), 2u);
  EXPECT_TRUE(marked(k_ram));
  EXPECT_EQ(pages.unmarked(), unmarked);
  remove({b});
  EXPECT_EQ(lines(k_ram), 0u);
  EXPECT_FALSE(marked(k_ram));
  EXPECT_GT(pages.unmarked(), unmarked);
  EXPECT_EQ(pages.frames(), std::vector<u64>{});
}

/// Another one may be about to take the block's place.
TEST_F(PageIndexAlone, LinesStayUntilTheyAreTidied) {
  Block* const a = add(k_ram, 8);
  const u64 unmarked = pages.unmarked();
  pages.remove(a);
  EXPECT_EQ(lines(k_ram), 1u);
  EXPECT_TRUE(marked(k_ram));
  EXPECT_EQ(pages.unmarked(), unmarked);
  EXPECT_EQ(on(k_ram, k_ram + 0xfff), Blocks{});
  Block* const b = add(k_ram, 4);
  pages.tidy(Blocks{a});
  EXPECT_TRUE(marked(k_ram));
  remove({b});
  EXPECT_FALSE(marked(k_ram));
}

TEST_F(PageIndexAlone, WhatWasWatchedAndDoesNotComeLeavesNothing) {
  const auto block = make_block(k_ram + k_page - 2, 4);
  block->second_page = GuestPa(k_ram + k_page);
  Block* const other = add(k_ram, 4);
  for (const GuestPa frame : {block->pa, block->second_page}) frames.watch_code(frame);
  pages.set_lines(*block);
  EXPECT_EQ(lines(k_ram), 1u | u64{1} << 63);
  EXPECT_EQ(lines(k_ram + k_page), 1u);
  pages.tidy(Blocks{block.get()});
  EXPECT_EQ(lines(k_ram), 1u);
  EXPECT_FALSE(marked(k_ram + k_page));
  EXPECT_EQ(lines(k_ram + k_page), 0u);
  EXPECT_EQ(on(k_ram, k_ram + 0xfff), Blocks{other});
}

TEST_F(PageIndexAlone, ABlockOfTwoPagesIsOnBoth) {
  const GuestPa second(k_ram + 5 * k_page);
  Block* const block = add(k_ram + k_page - 2, 4, second);
  EXPECT_EQ(on(k_ram + k_page - 1, k_ram + k_page - 1), Blocks{block});
  EXPECT_EQ(on(k_ram + 5 * k_page, k_ram + 5 * k_page + 1), Blocks{block});
  EXPECT_EQ(on(k_ram + 5 * k_page + 2, k_ram + 5 * k_page + 3), Blocks{});
  EXPECT_EQ(pages.frames(), (std::vector<u64>{k_ram / k_page, k_ram / k_page + 5}));
  remove({block});
  EXPECT_FALSE(marked(k_ram));
  EXPECT_FALSE(marked(k_ram + 5 * k_page));
  Block* const same = add(k_ram + k_page - 2, 4, GuestPa(k_ram));  // both are one frame
  EXPECT_EQ(on(k_ram, k_ram + k_page - 1), (Blocks{same, same}));
  remove({same});
  EXPECT_FALSE(marked(k_ram));
  EXPECT_EQ(on(k_ram, k_ram + k_page - 1), Blocks{});
}

TEST_F(PageIndexAlone, ManyGoInAnyOrder) {
  std::vector<Block*> left;
  for (u32 k = 0; k < 64; ++k) left.push_back(add(k_ram + 0x40 * k, 4));
  EXPECT_EQ(lines(k_ram), ~u64{0});
  for (u32 seed = 1; !left.empty(); seed = seed * 1664525 + 1013904223) {
    const u32 n = seed % left.size();
    remove({left[n]});
    left.erase(left.begin() + n);
    u64 wanted = 0;
    for (const Block* b : left) {
      EXPECT_EQ(pages.on(b->pa.value, b->pa.value), Blocks{const_cast<Block*>(b)});
      wanted |= u64{1} << (b->pa.value - k_ram) / 0x40;
    }
    EXPECT_EQ(lines(k_ram), wanted);
  }
  EXPECT_FALSE(marked(k_ram));
}

/// Flash and the like: nobody writes it unseen, and there are no marks.
TEST_F(PageIndexAlone, WhatIsNotRamHasNoLines) {
  Block* const block = add(0x1000, 8);
  EXPECT_EQ(on(0x1000, 0x1fff), Blocks{block});
  remove({block});
  EXPECT_EQ(on(0x1000, 0x1fff), Blocks{});
}

}  // namespace
}  // namespace armvisor::engine::test
