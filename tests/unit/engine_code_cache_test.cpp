// The code cache by itself, with blocks that have no code.
#include <gtest/gtest.h>

#include "engine/code_cache.h"

namespace armvisor::engine {
namespace {

constexpr u32 k_ram = 0x40000000, k_page = 0x1000;

class NoBackend final : public Backend {
 public:
  std::unique_ptr<Block> make(const ir::Block&, u32) override { return nullptr; }
  Leave execute(Context*, Block*) override { return Leave::Lookup; }
};

class CodeCacheAlone : public testing::Test {
 protected:
  CodeCacheAlone() : ram(std::move(*GuestRam::create(GuestPa(k_ram), 1u << 20))), frames(ram), cache(frames, backend) {}

  /// A block at `pa` of `bytes`, published; if these reach into the next page, that is by `to_next` farther on.
  Block* publish(u32 pa, u32 bytes, bool compiled, u32 to_next = k_page) {
    auto block = std::make_unique<Block>();
    block->pc = pa;
    block->pa = GuestPa(pa);
    block->bytes = bytes;
    block->compiled = compiled;
    CodeSource source;
    source.first = ram.host(GuestPa(pa));
    source.first_bytes = std::min(bytes, k_page - pa % k_page);
    source.count = bytes;
    if (bytes > source.first_bytes) {
      block->second_page = GuestPa((pa & ~(k_page - 1)) + to_next);
      source.second = ram.host(block->second_page);
    }
    source.read();
    return cache.publish(std::move(block), source);
  }
  Block* find(u32 pa, GuestPa second_page = k_no_page) { return cache.find(GuestPa(pa), pa, 0, second_page); }

  GuestRam ram;
  mmu::FrameTable frames;
  NoBackend backend;
  CodeCache cache;
};

TEST_F(CodeCacheAlone, CompiledBlocksTakeTheInterpretedOnesPlace) {
  Block* const interpreted = publish(k_ram, 8, false);
  EXPECT_EQ(publish(k_ram, 8, false), interpreted);
  Block* const compiled = publish(k_ram, 8, true);
  EXPECT_NE(compiled, interpreted);
  EXPECT_TRUE(interpreted->dead);
  EXPECT_EQ(find(k_ram), compiled);
  EXPECT_EQ(publish(k_ram, 8, false), compiled);
  EXPECT_EQ(publish(k_ram, 8, true), compiled);
}

TEST_F(CodeCacheAlone, AReplacedBlockOnTwoPagesIsOnNeither) {
  const GuestPa second(k_ram + k_page);
  Block* const interpreted = publish(k_ram + k_page - 2, 4, false);
  Block* const compiled = publish(k_ram + k_page - 2, 4, true);
  EXPECT_TRUE(interpreted->dead);
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
    EXPECT_TRUE(block->dead);
    EXPECT_EQ(find(pa, frame), nullptr);
    EXPECT_FALSE(other->dead);
  }
  Block* const block = publish(pa, 4, true, 0);
  EXPECT_TRUE(cache.invalidate(frame, k_page));
  EXPECT_TRUE(block->dead);
}

}  // namespace
}  // namespace armvisor::engine
