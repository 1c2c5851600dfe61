// What died and may still be held (engine/code/dead_blocks.h).
#include <gtest/gtest.h>

#include "code_blocks.h"
#include "engine/code/dead_blocks.h"

namespace armvisor::engine::test {
namespace {

/// An epoch in which a block died.
Block* die(DeadBlocks& dead) {
  Block* const block = make_block(0x1000, 8).release();
  EXPECT_FALSE(block->death.has_come());
  const u64 epoch = dead.epoch();
  dead.add(block);
  EXPECT_TRUE(block->death.has_come());
  EXPECT_EQ(block->death.epoch(), epoch);
  EXPECT_EQ(dead.epoch(), epoch);
  dead.end_epoch();
  EXPECT_GT(dead.epoch(), epoch);
  return block;
}

TEST(DeadBlocks, WhatDiedBeforeAnEpochMayBeFreed) {
  DeadBlocks dead;
  Block* const a = die(dead);
  Block* const b = die(dead);
  EXPECT_EQ(dead.bytes(), a->footprint() + b->footprint());
  EXPECT_FALSE(dead.any_before(a->death.epoch(), {}));
  EXPECT_TRUE(dead.any_before(b->death.epoch(), {}));
  auto taken = dead.take_before(b->death.epoch(), {});
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].get(), a);
  EXPECT_EQ(dead.bytes(), b->footprint());
  EXPECT_FALSE(dead.any_before(b->death.epoch(), {}));
  EXPECT_TRUE(dead.any_before(dead.epoch(), {}));
}

TEST(DeadBlocks, WhatIsHeldStays) {
  DeadBlocks dead;
  Block* const a = die(dead);
  Block* const b = die(dead);
  const Block* const both[] = {nullptr, b, a};
  EXPECT_FALSE(dead.any_before(dead.epoch(), both));
  EXPECT_TRUE(dead.take_before(dead.epoch(), both).empty());
  const Block* const one[] = {b};
  EXPECT_TRUE(dead.any_before(dead.epoch(), one));
  const auto taken = dead.take_before(dead.epoch(), one);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].get(), a);
  EXPECT_EQ(dead.bytes(), b->footprint());
}

TEST(DeadBlocks, HeadsThatSearchesMayBeginWithWaitToo) {
  DeadBlocks dead;
  const u64 epoch = dead.epoch();
  dead.add(std::make_unique<BlockIndex::Heads>(4));
  dead.end_epoch();
  EXPECT_FALSE(dead.any_before(epoch, {}));
  EXPECT_TRUE(dead.take_before(epoch, {}).empty());
  EXPECT_TRUE(dead.any_before(dead.epoch(), {}));
  EXPECT_TRUE(dead.take_before(dead.epoch(), {}).empty());  // no block
  EXPECT_FALSE(dead.any_before(dead.epoch(), {}));
}

}  // namespace
}  // namespace armvisor::engine::test
