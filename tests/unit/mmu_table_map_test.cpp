#include "mmu/table_map.h"

#include <gtest/gtest.h>

namespace armvisor::mmu {
namespace {

/// A second-level table of the short descriptors at `va`.
TableUse use(u32 space, u32 va) { return {space, va, 0, 1024, 12, 2}; }

TEST(TableMap, ARecordForATableIsKeptOnce) {
  TableMap map;
  EXPECT_TRUE(map.add(7, use(0, 0x100000)));
  for (int i = 0; i < 100000; ++i) ASSERT_FALSE(map.add(7, use(0, 0x100000)));
  EXPECT_EQ(map.derived(7, 0, 4).size(), 1u);
  EXPECT_EQ(map.take(7).size(), 1u);
  EXPECT_FALSE(map.has(7));
}

TEST(TableMap, ASpaceTakesItsRecordsWithIt) {
  TableMap map;
  for (u32 round = 0; round < 10; ++round) {
    for (u32 mib = 0; mib < 4096; ++mib) map.add(mib / 4, use(round % 2, mib << 20));
    std::size_t gone = 0;
    map.take_space(round % 2, [&](u64) { ++gone; });
    EXPECT_EQ(gone, 1024u) << "frames that hold no table any more";
    for (u64 frame = 0; frame < 1024; ++frame) EXPECT_FALSE(map.has(frame));
  }
}

}  // namespace
}  // namespace armvisor::mmu
