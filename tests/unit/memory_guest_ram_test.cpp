#include <gtest/gtest.h>

#include <vector>

#include "memory/guest_ram.h"

namespace armvisor {
namespace {

constexpr u64 k_base = 0x40000000, k_size = 2u << 20;

class Watch final : public WriteWatch {
 public:
  void watched_written(GuestPa pa, u32 size) override { seen.emplace_back(pa.value, size); }
  std::vector<std::pair<u64, u32>> seen;
};

GuestRam make() { return std::move(*GuestRam::create(GuestPa(k_base), k_size)); }

TEST(GuestRam, RefusesSizesThatAreNotWholeMib) {
  EXPECT_FALSE(GuestRam::create(GuestPa(k_base), 0));
  EXPECT_FALSE(GuestRam::create(GuestPa(k_base), 4096));
  EXPECT_FALSE(GuestRam::create(GuestPa(k_base + 4096), k_size));
}

TEST(GuestRam, TransfersNothingWhenAByteIsOutside) {
  GuestRam ram = make();
  u8 bytes[4] = {1, 2, 3, 4};
  EXPECT_FALSE(ram.write(GuestPa(k_base + k_size - 2), bytes));
  EXPECT_FALSE(ram.write(GuestPa(k_base - 1), bytes));
  EXPECT_FALSE(ram.read(GuestPa(~u64{0} - 1), bytes));
  EXPECT_EQ(*ram.host(GuestPa(k_base + k_size - 2)), 0);
  EXPECT_TRUE(ram.write(GuestPa(k_base + k_size - 4), bytes));
  u8 back[4] = {};
  EXPECT_TRUE(ram.read(GuestPa(k_base + k_size - 4), back));
  EXPECT_EQ(back[3], 4);
}

TEST(GuestRam, WritesTellOfCode) {
  GuestRam ram = make();
  Watch watch;
  ram.set_write_watch(&watch);
  ram.marks(GuestPa(k_base + 0x1000)).fetch_or(k_frame_code);
  std::vector<u8> bytes(0x2000, 1);
  EXPECT_TRUE(ram.write(GuestPa(k_base + 0x800), bytes));
  ASSERT_EQ(watch.seen.size(), 1u);
  EXPECT_EQ(watch.seen[0], (std::pair<u64, u32>(k_base + 0x1000, 0x1000)));
}

}  // namespace
}  // namespace armvisor
