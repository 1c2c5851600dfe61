// Blocks of the same bytes at different virtual addresses (engine/code/copy_families.h).
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "code_blocks.h"
#include "engine/code/copy_families.h"

namespace armvisor::engine::test {
namespace {

class CopyFamiliesAlone : public testing::Test {
 protected:
  std::unique_ptr<Block> copy(u32 pa, u32 pc, bool compiled = true, u32 key = 0) {
    auto block = make_block(pa, 8, compiled);
    block->pc = pc;
    block->key = key;
    return block;
  }
  CopyFamilies families;
};

TEST_F(CopyFamiliesAlone, TheNewestThatIsCompiledIsFound) {
  const auto a = copy(0x1000, 0x10000), b = copy(0x1000, 0x20000), c = copy(0x1000, 0x30000, false);
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), nullptr);
  EXPECT_EQ(families.add(c.get()), nullptr);
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), c.get());
  families.add(a.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), a.get());
  families.add(b.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), b.get());
  families.remove(b.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), a.get());
  families.remove(a.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), c.get());
  families.remove(c.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), nullptr);
}

TEST_F(CopyFamiliesAlone, AFamilyHasTheSameBytesAndTheSameKey) {
  const auto a = copy(0x1000, 0x10000), other_key = copy(0x1000, 0x10000, true, 2), elsewhere = copy(0x2000, 0x10000);
  for (Block* block : {a.get(), other_key.get(), elsewhere.get()}) families.add(block);
  EXPECT_EQ(families.find(GuestPa(0x1000), 0), a.get());
  EXPECT_EQ(families.find(GuestPa(0x1000), 2), other_key.get());
  EXPECT_EQ(families.find(GuestPa(0x2000), 0), elsewhere.get());
}

TEST_F(CopyFamiliesAlone, WhatCannotMoveIsInNone) {
  const auto region = copy(0x1000, 0x10000), straddling = copy(0x1000, 0x20000);
  region->region = true;
  straddling->second_page = GuestPa(0x5000);
  for (Block* block : {region.get(), straddling.get()}) {
    EXPECT_EQ(families.add(block), nullptr);
    EXPECT_EQ(families.find(GuestPa(0x1000), 0), nullptr);
    families.remove(block);
  }
}

/// Against plain lists, with deaths in any order and more families than the table begins with.
TEST_F(CopyFamiliesAlone, TheNewestAreKept) {
  std::mt19937 random(1);
  std::map<u32, std::deque<std::unique_ptr<Block>>> model;  // by address, the newest first
  for (u32 step = 0; step < 100'000; ++step) {
    const u32 pa = 0x1000 * (random() % 4 ? random() % 16 : random() % 30'000);
    auto& family = model[pa];
    if (random() % 4 == 0 && !family.empty()) {
      const auto gone = family.begin() + static_cast<s64>(random() % family.size());
      families.remove(gone->get());
      family.erase(gone);
    } else {
      family.push_front(copy(pa, step * 0x1000));
      Block* const oldest = families.add(family.front().get());
      if (family.size() > CopyFamilies::k_most) {
        ASSERT_EQ(oldest, family.back().get());
        families.remove(oldest);
        family.pop_back();
      } else {
        ASSERT_EQ(oldest, nullptr);
      }
    }
    ASSERT_EQ(families.find(GuestPa(pa), 0), family.empty() ? nullptr : family.front().get());
  }
  for (const auto& [pa, family] : model)
    ASSERT_EQ(families.find(GuestPa(pa), 0), family.empty() ? nullptr : family.front().get());
}

}  // namespace
}  // namespace armvisor::engine::test
