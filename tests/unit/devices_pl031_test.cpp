#include <gtest/gtest.h>

#include "devices/pl031.h"
#include "unit/device_fakes.h"

namespace armvisor::devices {
namespace {

constexpr u32 DR = 0, MR = 4, LR = 8, CR = 0xc, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c;

class Pl031Test : public testing::Test {
 protected:
  FakeLine irq;
  FakeClock clock;
  FakeTimers timers;
  Pl031 rtc{irq, clock, timers};

  u32 read(u32 offset) { return static_cast<u32>(rtc.mmio_read(offset, 4)); }
  void write(u32 offset, u32 value) { rtc.mmio_write(offset, 4, value); }
  void pass(u64 seconds) {
    clock.seconds += seconds;
    clock.ns += seconds * 1000000000;
    timers.run_until(clock.ns);
  }
};

TEST_F(Pl031Test, TellsTheHostsTime) {
  EXPECT_EQ(read(DR), 1700000000u);
  pass(5);
  EXPECT_EQ(read(DR), 1700000005u);
  EXPECT_EQ(read(CR), 1u);
  const u32 ids[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (u32 i = 0; i < 8; ++i) EXPECT_EQ(read(0xfe0 + 4 * i), ids[i]);
}

TEST_F(Pl031Test, PartsOfRegistersAreReadAndWrittenAtTheirAddress) {
  for (const u32 size : {1u, 2u}) {
    EXPECT_EQ(rtc.mmio_read(0xfe0, size), 0x31u);
    EXPECT_EQ(rtc.mmio_read(0xff4, size), 0xf0u);
    EXPECT_EQ(rtc.mmio_read(0xff5, size), 0u);
    EXPECT_EQ(rtc.mmio_read(DR, size), 1700000000u & (size == 1 ? 0xff : 0xffff));
    rtc.mmio_write(IMSC, size, size == 1);
    EXPECT_EQ(read(IMSC), size == 1 ? 1u : 0u);
  }
}

TEST_F(Pl031Test, CanBeSet) {
  write(LR, 1000);
  EXPECT_EQ(read(LR), 1000u);
  EXPECT_EQ(read(DR), 1000u);
  pass(7);
  EXPECT_EQ(read(DR), 1007u);
}

TEST_F(Pl031Test, AlarmComesAtTheMatch) {
  write(LR, 1000);
  write(MR, 1010);
  write(IMSC, 1);
  pass(9);
  EXPECT_FALSE(irq.level);
  pass(1);
  EXPECT_TRUE(irq.level);
  EXPECT_EQ(read(RIS), 1u);
  EXPECT_EQ(read(MIS), 1u);
  write(ICR, 1);
  EXPECT_FALSE(irq.level);
  EXPECT_EQ(read(RIS), 0u);
}

TEST_F(Pl031Test, AnyWriteClearsTheInterrupt) {
  write(IMSC, 1);
  for (const u32 value : {0u, 1u, 0x80000000u}) {
    write(MR, read(DR));
    EXPECT_TRUE(irq.level);
    write(ICR, value);
    EXPECT_FALSE(irq.level) << value;
    EXPECT_EQ(read(RIS), 0u) << value;
  }
}

TEST_F(Pl031Test, MaskedAlarmIsOnlyRecorded) {
  write(MR, read(DR) + 1);
  pass(1);
  EXPECT_FALSE(irq.level);
  EXPECT_EQ(read(RIS), 1u);
  EXPECT_EQ(read(MIS), 0u);
  write(IMSC, 1);
  EXPECT_TRUE(irq.level);
}

TEST_F(Pl031Test, MatchingNowFiresNow) {
  write(IMSC, 1);
  write(MR, read(DR));
  EXPECT_TRUE(irq.level);
}

}  // namespace
}  // namespace armvisor::devices
