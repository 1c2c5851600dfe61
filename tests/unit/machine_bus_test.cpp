#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "machine/bus.h"

namespace armvisor::machine {
namespace {

struct Recorder final : devices::MmioDevice {
  std::string_view name() const override { return "recorder"; }
  u64 mmio_read(u64 offset, u32 size) override { return offset << 8 | size; }
  void mmio_write(u64 offset, u32, u64 value) override {
    last_offset = offset;
    last_value = value;
  }
  u64 last_offset = 0, last_value = 0;
};

TEST(Bus, FindsTheDeviceAndGivesTheOffset) {
  Bus bus;
  Recorder a, b;
  ASSERT_TRUE(bus.add({GuestPa(0x1000), 0x1000}, a));
  ASSERT_TRUE(bus.add({GuestPa(0x2000), 0x100}, b));
  u64 value = 0;
  EXPECT_TRUE(bus.read(GuestPa(0x1ffc), 4, value));
  EXPECT_EQ(value, 0xffc04u);
  EXPECT_TRUE(bus.write(GuestPa(0x2010), 2, 7));
  EXPECT_EQ(b.last_offset, 0x10u);
  EXPECT_EQ(b.last_value, 7u);
}

TEST(Bus, NothingAnswersOutsideRegionsOrAcrossTheirEnd) {
  Bus bus;
  Recorder a;
  ASSERT_TRUE(bus.add({GuestPa(0x1000), 0x1000}, a));
  u64 value = 0;
  EXPECT_FALSE(bus.read(GuestPa(0xfff), 1, value));
  EXPECT_FALSE(bus.read(GuestPa(0x2000), 1, value));
  EXPECT_FALSE(bus.read(GuestPa(0x1ffe), 4, value));
  EXPECT_FALSE(bus.write(GuestPa(0x1fff), 2, 0));
}

TEST(Bus, RefusesOverlapsAndEmptyRegions) {
  Bus bus;
  Recorder a;
  ASSERT_TRUE(bus.add({GuestPa(0x1000), 0x1000}, a));
  EXPECT_FALSE(bus.add({GuestPa(0x0800), 0x0801}, a));
  EXPECT_FALSE(bus.add({GuestPa(0x1fff), 1}, a));
  EXPECT_FALSE(bus.add({GuestPa(0x1800), 0x10}, a));
  EXPECT_FALSE(bus.add({GuestPa(0x3000), 0}, a));
  EXPECT_FALSE(bus.add({GuestPa(~u64{0}), 2}, a));
  EXPECT_TRUE(bus.add({GuestPa(0x0800), 0x0800}, a));
  EXPECT_TRUE(bus.add({GuestPa(0x2000), 1}, a));
}

// --- windows, in which regions move

struct Ones final : devices::MmioDevice {
  std::string_view name() const override { return "window"; }
  u64 mmio_read(u64, u32) override { return ~u64{0}; }
  void mmio_write(u64, u32, u64) override {}
};

struct Window {
  Window() {
    EXPECT_TRUE(bus.add_window({GuestPa(0x10000), 0x10000}, ones));
    EXPECT_TRUE(bus.add({GuestPa(0x20000), 0x1000}, beside));
  }
  u64 read(u64 pa, u32 size = 4) {
    u64 value = 0;
    EXPECT_TRUE(bus.read(GuestPa(pa), size, value));
    return value;
  }
  Bus bus;
  Ones ones;
  Recorder beside, a, b;
  devices::MovableRegion& region_a = bus.add_movable(0x1000, a);
  devices::MovableRegion& region_b = bus.add_movable(0x100, b);
};

TEST(BusWindow, RegionsMoveInIt) {
  Window w;
  EXPECT_EQ(w.read(0x12004), ~u64{0});
  ASSERT_TRUE(w.region_a.place(GuestPa(0x12000)));
  ASSERT_TRUE(w.region_b.place(GuestPa(0x11f00)));
  EXPECT_EQ(w.read(0x12004), 0x404u);
  EXPECT_EQ(w.read(0x11f08), 0x804u);
  ASSERT_TRUE(w.region_a.place(GuestPa(0x1f000)));
  EXPECT_EQ(w.read(0x12004), ~u64{0});
  EXPECT_TRUE(w.bus.write(GuestPa(0x1f010), 4, 7));
  EXPECT_EQ(w.a.last_offset, 0x10u);
  w.region_a.remove();
  EXPECT_EQ(w.read(0x1f010), ~u64{0});
  EXPECT_EQ(w.read(0x11f08), 0x804u);
}

TEST(BusWindow, NoRegionLeavesItOrCoversAnother) {
  Window w;
  EXPECT_FALSE(w.region_a.place(GuestPa(0xf001)));
  EXPECT_FALSE(w.region_a.place(GuestPa(0x1f001)));
  EXPECT_FALSE(w.region_a.place(GuestPa(0x20000))) << "over a device that does not move";
  EXPECT_FALSE(w.region_a.place(GuestPa(~u64{0} - 0xfff)));
  ASSERT_TRUE(w.region_b.place(GuestPa(0x12000)));
  EXPECT_FALSE(w.region_a.place(GuestPa(0x12000)));
  EXPECT_FALSE(w.region_a.place(GuestPa(0x11001)));
  EXPECT_FALSE(w.region_a.place(GuestPa(0x120ff)));
  EXPECT_TRUE(w.region_a.place(GuestPa(0x11000)));
  EXPECT_TRUE(w.region_a.place(GuestPa(0x12100)));
  EXPECT_TRUE(w.region_a.place(GuestPa(0x12101))) << "over where it was itself";
}

TEST(BusWindow, AccessesAcrossTheEndOfARegionAreTheWindows) {
  Window w;
  ASSERT_TRUE(w.region_b.place(GuestPa(0x12000)));
  EXPECT_EQ(w.read(0x120fc), 0xfc04u);
  EXPECT_EQ(w.read(0x120fe), ~u64{0});
  u64 value = 0;
  EXPECT_FALSE(w.bus.read(GuestPa(0x1fffe), 4, value)) << "across its own end there is nothing";
}

/// Says of each access whether it is inside.
struct Inside final : devices::MmioDevice {
  std::string_view name() const override { return "inside"; }
  u64 mmio_read(u64 offset, u32) override { return offset; }
  void mmio_write(u64, u32, u64) override {}
};

TEST(BusWindow, LookupsDuringMovesFindTheRegionOrNothing) {
  Bus bus;
  Ones ones;
  Inside still, moving;
  ASSERT_TRUE(bus.add_window({GuestPa(0x10000), 0x10000}, ones));
  constexpr u64 k_still = 32;
  std::vector<devices::MovableRegion*> there;
  for (u64 n = 0; n < k_still; ++n) there.push_back(&bus.add_movable(0x100, still));
  devices::MovableRegion& moved = bus.add_movable(0x100, moving);
  for (u64 n = 0; n < k_still; ++n) ASSERT_TRUE(there[n]->place(GuestPa(0x12000 + n * 0x200)));
  std::atomic<bool> right{true}, done{false};
  std::thread reader([&] {
    for (u64 n = 0; n < 100'000; ++n) {
      u64 value = 0;
      if (!bus.read(GuestPa(0x12008 + n % k_still * 0x200), 4, value) || value != 8) right = false;
      if (!bus.read(GuestPa(0x11008), 4, value) || (value != 8 && value != ~u64{0})) right = false;
    }
    done = true;
  });
  for (u64 n = 0; !done; ++n) EXPECT_TRUE(moved.place(GuestPa(n % 2 ? 0x11000 : 0x18000)));
  reader.join();
  EXPECT_TRUE(right);
}

struct Counting final : devices::MmioDevice {
  std::string_view name() const override { return "counting"; }
  u64 mmio_read(u64, u32) override {
    if (inside.exchange(true)) overlapped = true;
    std::this_thread::yield();
    inside = false;
    return Bus::accessing_vcpu();
  }
  void mmio_write(u64, u32, u64) override {}
  std::atomic<bool> inside{false}, overlapped{false};
};

TEST(Bus, SerialisesOneDeviceAndKnowsTheVcpu) {
  Bus bus;
  Counting device;
  ASSERT_TRUE(bus.add({GuestPa(0), 16}, device));
  ASSERT_TRUE(bus.add({GuestPa(0x100), 16}, device));
  std::atomic<bool> right{true};
  const auto hammer = [&](u32 index, u64 base) {
    Bus::set_accessing_vcpu(index);
    for (int i = 0; i < 2000; ++i) {
      u64 value = 99;
      if (!bus.read(GuestPa(base), 4, value) || value != index) right = false;
    }
  };
  std::thread one(hammer, 1u, u64{0}), two(hammer, 2u, u64{0x100});
  one.join();
  two.join();
  EXPECT_TRUE(right);
  EXPECT_FALSE(device.overlapped);
}

}  // namespace
}  // namespace armvisor::machine
