// The code cache's index by itself (engine/code/block_index.h).
#include <gtest/gtest.h>

#include <functional>

#include "base/test_point.h"
#include "code_blocks.h"
#include "engine/code/block_index.h"

namespace armvisor::engine::test {
namespace {

class BlockIndexAlone : public testing::Test {
 protected:
  Block* add(u32 pa, u32 pc, u32 key = 0, GuestPa second_page = k_no_page) {
    auto block = make_block(pa, 4);
    block->pc = pc;
    block->key = key;
    block->second_page = second_page;
    Block* const added = block.release();
    if (auto old = index.add(added)) heads.push_back(std::move(old));
    return added;
  }
  Block* find(u32 pa, u32 pc, u32 key = 0, GuestPa second_page = k_no_page) const {
    return index.find(GuestPa(pa), pc, key, second_page);
  }

  std::vector<std::unique_ptr<BlockIndex::Heads>> heads;  ///< that were in use before
  BlockIndex index;
};

TEST_F(BlockIndexAlone, ABlockIsWhatAllOfItsAddressesAndItsKeySay) {
  constexpr u32 k_key = 2;
  const GuestPa second(0x8000);
  Block* const plain = add(0x1000, 0x1000);
  Block* const moved = add(0x1000, 0x5000);
  Block* const keyed = add(0x1000, 0x1000, k_key);
  Block* const straddling = add(0x1000, 0x1000, 0, second);
  EXPECT_EQ(find(0x1000, 0x1000), plain);
  EXPECT_EQ(find(0x1000, 0x5000), moved);
  EXPECT_EQ(find(0x1000, 0x1000, k_key), keyed);
  EXPECT_EQ(find(0x1000, 0x1000, 0, second), straddling);
  EXPECT_EQ(find(0x2000, 0x1000), nullptr);
  EXPECT_EQ(find(0x1000, 0x2000), nullptr);
  EXPECT_EQ(find(0x1000, 0x5000, k_key), nullptr);
  EXPECT_EQ(index.find_equal(*plain), plain);
  EXPECT_EQ(index.find_equal(*make_block(0x3000, 4)), nullptr);
}

/// A block that depends on FPSCR serves one of its values; one that does not serves all.
TEST_F(BlockIndexAlone, WhatDependsOnTheFpContextGoesFirst) {
  constexpr u32 k_fp = frontend::Context::k_fp_key & -frontend::Context::k_fp_key;
  Block* const any = add(0x1000, 0x1000);
  EXPECT_EQ(find(0x1000, 0x1000, k_fp), any);
  Block* const one = add(0x1000, 0x1000, k_fp | k_key_fp);
  Block* const late = add(0x1000, 0x1000);
  EXPECT_EQ(find(0x1000, 0x1000, k_fp), one);
  index.remove(late);
  EXPECT_EQ(find(0x1000, 0x1000, k_fp), one);
  EXPECT_EQ(find(0x1000, 0x1000, 0), any);
  delete late;
}

TEST_F(BlockIndexAlone, GrowingLosesNothing) {
  constexpr u32 k_blocks = 70'000;
  std::vector<Block*> blocks;
  for (u32 k = 0; k < k_blocks; ++k) blocks.push_back(add(4 * k, 0x10000 + 4 * k));
  EXPECT_GE(heads.size(), 3u);
  for (u32 k = 1; k < heads.size(); ++k) EXPECT_EQ(heads[k]->size(), 2 * heads[k - 1]->size());
  for (u32 k = 0; k < k_blocks; ++k) ASSERT_EQ(find(4 * k, 0x10000 + 4 * k), blocks[k]);
  for (u32 k = 0; k < k_blocks; k += 2) {
    index.remove(blocks[k]);
    delete blocks[k];
  }
  for (u32 k = 0; k < k_blocks; ++k) ASSERT_EQ(find(4 * k, 0x10000 + 4 * k), k % 2 ? blocks[k] : nullptr);
}

/// Does something once, where a search stands at the n-th block.
class AtBlock final : private TestPoints {
 public:
  AtBlock(u32 n, std::function<void()> f) : left_(n), f_(std::move(f)) { t_test_points = this; }
  ~AtBlock() { t_test_points = nullptr; }
  AtBlock(const AtBlock&) = delete;
  AtBlock& operator=(const AtBlock&) = delete;

 private:
  void reached(const char*) override {
    if (f_ && left_-- == 0) std::exchange(f_, nullptr)();
  }
  void blocked() override {}

  u32 left_;
  std::function<void()> f_;
};

TEST_F(BlockIndexAlone, ASearchGoesOnFromABlockThatIsRemoved) {
  Block* const first = add(0x1000, 0x1000, 0, GuestPa(0x7000));  // of the same hash
  Block* const between = add(0x1000, 0x1000, 0, GuestPa(0x8000));
  Block* const head = add(0x1000, 0x1000, 0, GuestPa(0x9000));
  {
    const AtBlock at(0, [&] { index.remove(head); });
    EXPECT_EQ(find(0x1000, 0x1000, 0, GuestPa(0x7000)), first);
  }
  {
    const AtBlock at(0, [&] { index.remove(between); });
    EXPECT_EQ(find(0x1000, 0x1000, 0, GuestPa(0x7000)), first);
  }
  EXPECT_EQ(find(0x1000, 0x1000, 0, GuestPa(0x8000)), nullptr);
  EXPECT_EQ(find(0x1000, 0x1000, 0, GuestPa(0x9000)), nullptr);
  delete between;
  delete head;
}

}  // namespace
}  // namespace armvisor::engine::test
