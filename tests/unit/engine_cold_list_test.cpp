// Blocks that are interpreted a few times (engine/code/cold_list.h).
#include <gtest/gtest.h>

#include "code_blocks.h"
#include "engine/code/cold_list.h"

namespace armvisor::engine::test {
namespace {

class ColdListAlone : public testing::Test {
 protected:
  ColdListAlone() {
    for (u32 k = 0; k < 4; ++k) {
      blocks.push_back(make_block(0x1000 * k, 8, false));
      blocks.back()->cold_runs = 16;
      list.add(blocks.back().get());
    }
  }
  using Blocks = std::vector<Block*>;
  Block* at(u32 k) { return blocks[k].get(); }
  u64 size() { return blocks[0]->footprint(); }

  std::vector<std::unique_ptr<Block>> blocks;
  ColdList list;
};

TEST_F(ColdListAlone, WhatHasNotRunGoesTheOldestFirst) {
  EXPECT_EQ(list.bytes(), 4 * size());
  EXPECT_EQ(list.trim(4 * size()), Blocks{});
  EXPECT_EQ(list.trim(2 * size()), (Blocks{at(0), at(1)}));
  EXPECT_EQ(list.bytes(), 2 * size());
  list.remove(at(0));  // is in it no more
  EXPECT_EQ(list.bytes(), 2 * size());
  EXPECT_EQ(list.trim(0), (Blocks{at(2), at(3)}));
  EXPECT_EQ(list.bytes(), 0u);
  EXPECT_EQ(list.trim(0), Blocks{});
}

TEST_F(ColdListAlone, WhatHasRunStaysOneTimeMore) {
  --at(0)->cold_runs;
  --at(2)->cold_runs;
  EXPECT_EQ(list.trim(0), (Blocks{at(1), at(3)}));
  EXPECT_EQ(list.bytes(), 2 * size());
  --at(2)->cold_runs;
  EXPECT_EQ(list.trim(0), Blocks{at(0)});
  EXPECT_EQ(list.trim(0), Blocks{at(2)});
}

TEST_F(ColdListAlone, AnyMayLeave) {
  list.remove(at(1));
  list.remove(at(3));
  list.remove(at(0));
  EXPECT_EQ(list.bytes(), size());
  list.add(at(1));
  EXPECT_EQ(list.trim(0), (Blocks{at(2), at(1)}));
}

TEST_F(ColdListAlone, WhatIsCompiledOrStaysInterpretedIsNotInIt) {
  const auto block = make_block(0x9000, 8);
  list.add(block.get());
  EXPECT_EQ(list.bytes(), 4 * size());
  list.remove(block.get());
  EXPECT_EQ(list.trim(0).size(), 4u);
}

TEST_F(ColdListAlone, ItIsLookedThroughWhenThereIsMuchAndNotAtOnce) {
  EXPECT_FALSE(list.wants_trim());
  while (list.bytes() <= ColdList::k_most_bytes) {
    blocks.push_back(make_block(0x1000, 8, false));
    blocks.back()->cold_runs = 16;
    list.add(blocks.back().get());
  }
  EXPECT_FALSE(list.trim().empty());
  EXPECT_LE(list.bytes(), ColdList::k_most_bytes / 2);
  EXPECT_FALSE(list.wants_trim());
}

}  // namespace
}  // namespace armvisor::engine::test
