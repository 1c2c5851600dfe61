// The GPIO controller and the power key on it.
#include <gtest/gtest.h>

#include "devices/power_key.h"
#include "unit/device_fakes.h"

namespace armvisor::devices {
namespace {

constexpr u32 DIR = 0x400, IS = 0x404, IBE = 0x408, IEV = 0x40c, IE = 0x410, RIS = 0x414, MIS = 0x418, IC = 0x41c;

struct Pl061Test : testing::Test {
  FakeLine irq;
  Pl061 gpio{irq};
  u32 read(u32 offset) { return static_cast<u32>(gpio.mmio_read(offset, 4)); }
  void write(u32 offset, u32 value) { gpio.mmio_write(offset, 4, value); }
};

TEST_F(Pl061Test, TheAddressOfTheDataHasItsMask) {
  write(DIR, 0xf0);
  write(0x3fc, 0xff);
  EXPECT_EQ(read(0x3fc), 0xf0u) << "inputs are low";
  gpio.set_input(0, true);
  EXPECT_EQ(read(0x3fc), 0xf1u);
  EXPECT_EQ(read(1 << 2), 1u);
  write(0x10 << 2, 0);
  EXPECT_EQ(read(0x3fc), 0xe1u) << "one line only";
}

TEST_F(Pl061Test, EdgesAreRememberedAndLevelsAreNot) {
  write(IE, 0xff);
  write(IEV, 1);
  gpio.set_input(0, true);
  EXPECT_TRUE(irq.level);
  gpio.set_input(0, false);
  EXPECT_EQ(read(MIS), 1u);
  write(IC, 1);
  EXPECT_FALSE(irq.level);
  write(IBE, 2);
  gpio.set_input(1, true);
  write(IC, 2);
  gpio.set_input(1, false);
  EXPECT_EQ(read(RIS), 2u) << "both edges";
  write(IC, 0xff);
  write(IS, 4);
  write(IEV, 4);
  gpio.set_input(2, true);
  write(IC, 0xff);
  EXPECT_TRUE(irq.level) << "as long as the level is there";
  gpio.set_input(2, false);
  EXPECT_FALSE(irq.level);
}

TEST_F(Pl061Test, ThePowerKeyIsPressedAndLetGo) {
  FakeClock clock;
  FakeTimers timers;
  PowerKey key(gpio, clock, timers);
  write(IBE, 8);
  write(IE, 8);
  key.press();
  EXPECT_EQ(read(0x3fc), 8u);
  EXPECT_TRUE(irq.level);
  write(IC, 8);
  timers.run_until(clock.ns + 100'000'000);
  EXPECT_EQ(read(0x3fc), 8u) << "the guest's time stood still";
  clock.ns += 100'000'000;
  timers.run_until(clock.ns);
  EXPECT_EQ(read(0x3fc), 0u);
  EXPECT_TRUE(irq.level);
}

TEST_F(Pl061Test, Identification) {
  const u32 ids[] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (u32 i = 0; i < 8; ++i) EXPECT_EQ(read(0xfe0 + 4 * i), ids[i]);
}

}  // namespace
}  // namespace armvisor::devices
