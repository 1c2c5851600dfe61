// The code cache by itself, with blocks that have no code.
#include <gtest/gtest.h>

#include "code_blocks.h"
#include "engine/code_cache.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_ram = 0x40000000, k_page = 0x1000;

/// There are no vCPUs.
class Nobody final : public Claimer {
 public:
  void claim(GuestPa, u8) override { FAIL(); }
};

class CodeCacheAlone : public testing::Test {
 protected:
  CodeCacheAlone() : ram(std::move(*GuestRam::create(GuestPa(k_ram), 1u << 20))), frames(ram), cache(frames, backend) {}

  /// A block at `pa` of `bytes`, published; if these reach into the next page, that is by `to_next` farther on.
  Block* publish(u32 pa, u32 bytes, bool compiled, u32 to_next = k_page) {
    auto block = make_block(pa, bytes, compiled);
    const bool straddles = bytes > k_page - pa % k_page;
    if (straddles) block->second_page = GuestPa((pa & ~(k_page - 1)) + to_next);
    CodeSource source(pa, ram.host(GuestPa(pa)), straddles ? ram.host(block->second_page) : nullptr);
    source.read();
    return cache.publish(std::move(block), source, CodeCache::Place::Open, nobody);
  }
  Block* find(u32 pa, GuestPa second_page = k_no_page) { return cache.find(GuestPa(pa), pa, 0, second_page); }

  GuestRam ram;
  mmu::FrameTable frames;
  NoBackend backend;
  Nobody nobody;
  CodeCache cache;
};

TEST_F(CodeCacheAlone, CompiledBlocksTakeTheInterpretedOnesPlace) {
  Block* const interpreted = publish(k_ram, 8, false);
  EXPECT_EQ(publish(k_ram, 8, false), interpreted);
  Block* const compiled = publish(k_ram, 8, true);
  EXPECT_NE(compiled, interpreted);
  EXPECT_TRUE(interpreted->death.has_come());
  EXPECT_EQ(find(k_ram), compiled);
  EXPECT_EQ(publish(k_ram, 8, false), compiled);
  EXPECT_EQ(publish(k_ram, 8, true), compiled);
}

TEST_F(CodeCacheAlone, AReplacedBlockOnTwoPagesIsOnNeither) {
  const GuestPa second(k_ram + k_page);
  Block* const interpreted = publish(k_ram + k_page - 2, 4, false);
  Block* const compiled = publish(k_ram + k_page - 2, 4, true);
  EXPECT_TRUE(interpreted->death.has_come());
  cache.reclaim(~u64{0});  // `interpreted` is freed
  EXPECT_EQ(find(k_ram + k_page - 2, second), compiled);
  EXPECT_TRUE(cache.written(second, 4));
  EXPECT_EQ(find(k_ram + k_page - 2, second), nullptr);
  EXPECT_FALSE(cache.written(second, 4));
  EXPECT_FALSE(cache.written(GuestPa(k_ram + k_page - 4), 4));
}

TEST_F(CodeCacheAlone, BothPagesOfABlockMayBeOneFrame) {
  const GuestPa frame(k_ram);
  constexpr u32 pa = k_ram + k_page - 2;
  for (const u32 written : {k_ram, pa}) {
    Block* const other = publish(k_ram + 0x100, 8, true);
    Block* const block = publish(pa, 4, true, 0);
    EXPECT_EQ(find(pa, frame), block);
    EXPECT_FALSE(cache.written(GuestPa(k_ram + 0x200), 4));
    EXPECT_TRUE(cache.written(GuestPa(written), 2));
    EXPECT_TRUE(block->death.has_come());
    EXPECT_EQ(find(pa, frame), nullptr);
    EXPECT_FALSE(other->death.has_come());
  }
  Block* const block = publish(pa, 4, true, 0);
  EXPECT_TRUE(cache.invalidate(frame, k_page));
  EXPECT_TRUE(block->death.has_come());
}

TEST_F(CodeCacheAlone, WhatIsHeldIsNotFreed) {
  Block* const block = publish(k_ram, 8, true);
  EXPECT_TRUE(cache.invalidate(GuestPa(k_ram), 4));
  Block* const other = publish(k_ram, 8, true);
  EXPECT_TRUE(cache.invalidate(GuestPa(k_ram), 4));
  const Block* const held[] = {nullptr, block};
  EXPECT_FALSE(cache.has_dead_before(block->death.epoch()));
  EXPECT_FALSE(cache.has_dead_before(other->death.epoch(), held));
  EXPECT_TRUE(cache.has_dead_before(other->death.epoch()));
  EXPECT_TRUE(cache.has_dead_before(cache.epoch(), held));
  cache.reclaim(cache.epoch(), held);
  EXPECT_FALSE(cache.has_dead_before(cache.epoch(), held));
  EXPECT_EQ(block->bytes, 8u);  // (AddressSanitizer)
  EXPECT_TRUE(cache.has_dead_before(cache.epoch()));
  cache.reclaim(cache.epoch());
  EXPECT_FALSE(cache.has_dead_before(cache.epoch()));
}

TEST_F(CodeCacheAlone, AFrameIsMarkedWhileItHoldsBlocks) {
  const auto marked = [this] { return (ram.marks(GuestPa(k_ram)).load() & k_frame_code) != 0; };
  publish(k_ram, 8, true);
  EXPECT_TRUE(marked());
  auto block = make_block(k_ram + k_page - 2, 4, false);
  block->second_page = GuestPa(k_ram + k_page);
  CodeSource source(block->pc, ram.host(block->pa), ram.host(block->second_page));
  source.read();
  *ram.host(block->second_page) = 1;
  EXPECT_EQ(cache.publish(std::move(block), source, CodeCache::Place::Open, nobody),
            nullptr);  // the bytes have changed
  EXPECT_TRUE(marked());
  EXPECT_EQ(ram.marks(GuestPa(k_ram + k_page)).load(), 0);
  EXPECT_EQ(frames.code_lines(GuestPa(k_ram)).load(), 1u);
  EXPECT_TRUE(cache.invalidate(GuestPa(k_ram), 4));
  EXPECT_FALSE(marked());
  EXPECT_EQ(frames.code_lines(GuestPa(k_ram)).load(), 0u);
}

/// What takes a block's place may be made from more bytes than that was.
TEST_F(CodeCacheAlone, WhatTakesABlocksPlaceIsWatchedItself) {
  constexpr u32 k_long = 0x100, k_head = k_ram + 0x100, k_far = 0xc0;
  const auto made = [&](u32 before) {
    auto block = make_block(k_head, k_long + before);
    block->before = static_cast<u16>(before);
    return block;
  };
  publish(k_head, 8, false);
  CodeSource source(k_head, ram.host(GuestPa(k_head)));
  source.read();
  EXPECT_NE(cache.publish(made(0), source, CodeCache::Place::Interpreted, nobody), nullptr);
  EXPECT_TRUE(cache.written(GuestPa(k_head + k_far), 4));
  EXPECT_EQ(find(k_head), nullptr);

  publish(k_head, 8, true);
  auto region = made(0x80);
  region->region = true;
  CodeSource page = CodeSource::page_of(k_head, ram.host(GuestPa(k_head)));
  page.read();
  EXPECT_NE(cache.publish(std::move(region), page, CodeCache::Place::Head, nobody), nullptr);
  EXPECT_TRUE(cache.written(GuestPa(k_head - 0x80), 4));
  EXPECT_EQ(find(k_head), nullptr);
  EXPECT_EQ(ram.marks(GuestPa(k_head)).load(), 0);
}

TEST_F(CodeCacheAlone, WhatIsToTakeAPlaceNeedsTheRightOneThere) {
  using Place = CodeCache::Place;
  CodeSource source(k_ram, ram.host(GuestPa(k_ram)));
  source.read();
  const auto put = [&](Place place, bool region) {
    auto block = make_block(k_ram, 8);
    block->region = region;
    return cache.publish(std::move(block), source, place, nobody) != nullptr;
  };
  EXPECT_FALSE(put(Place::Interpreted, false));
  EXPECT_FALSE(put(Place::Head, true));
  EXPECT_EQ(ram.marks(GuestPa(k_ram)).load(), 0);
  publish(k_ram, 8, false);
  EXPECT_TRUE(put(Place::Interpreted, false));
  EXPECT_FALSE(put(Place::Interpreted, false));
  EXPECT_TRUE(put(Place::Head, true));
  EXPECT_FALSE(put(Place::Head, true));
  EXPECT_TRUE(find(k_ram)->region);
  *ram.host(GuestPa(k_ram + 4)) ^= 1;  // which nobody has seen
  EXPECT_TRUE(cache.invalidate(GuestPa(k_ram), 1));
  publish(k_ram, 8, false);
  EXPECT_FALSE(put(Place::Interpreted, false));  // it was made of what was there before
  EXPECT_FALSE(find(k_ram)->compiled);
}

TEST_F(CodeCacheAlone, AMovedBlockComesWhileItsOriginLives) {
  Block* const origin = publish(k_ram, 8, true);
  const auto copy = [&](u32 pc) {
    auto block = make_block(k_ram, 8);
    block->pc = pc;
    return cache.publish_moved(std::move(block), *origin);
  };
  Block* const moved = copy(0x5000);
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(cache.find(GuestPa(k_ram), 0x5000, 0, k_no_page), moved);
  EXPECT_EQ(copy(0x5000), moved);
  EXPECT_TRUE(cache.written(GuestPa(k_ram), 4));
  EXPECT_TRUE(moved->death.has_come());
  EXPECT_EQ(copy(0x6000), nullptr);
  EXPECT_EQ(cache.find(GuestPa(k_ram), 0x6000, 0, k_no_page), nullptr);
}

}  // namespace
}  // namespace armvisor::engine::test
