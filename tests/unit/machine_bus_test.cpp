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
