#include <gtest/gtest.h>

#include "devices/arch_timer.h"
#include "unit/device_fakes.h"

namespace armvisor::devices {
namespace {

class ArchTimerTest : public testing::Test {
 protected:
  FakeClock clock;
  FakeTimers timers;
  FakeLine line;
  SystemCounter counter{clock};
  ArchTimer timer{counter, timers, line};

  bool armed() { return timers.timers.begin()->second.armed; }
  u64 deadline() { return timers.timers.begin()->second.deadline; }
  void advance_to_tick(u64 tick) {
    clock.ns = counter.time_of(tick);
    timers.run_until(clock.ns);
  }
};

TEST_F(ArchTimerTest, CounterRunsAt62Point5MHzFromItsEpoch) {
  EXPECT_EQ(counter.ticks(), 0u);
  clock.ns += 1000000000;
  EXPECT_EQ(counter.ticks(), 62500000u);
  EXPECT_EQ(counter.time_of(62500000), clock.ns);
}

TEST_F(ArchTimerTest, FiresWhenTheCounterReachesTheCompareValue) {
  timer.changed(1, 100);
  EXPECT_FALSE(line.level);
  EXPECT_TRUE(armed());
  EXPECT_EQ(deadline(), counter.time_of(100));
  advance_to_tick(99);
  EXPECT_FALSE(line.level);
  advance_to_tick(100);
  EXPECT_TRUE(line.level);
  timer.changed(1, 200);
  EXPECT_FALSE(line.level);
  EXPECT_TRUE(armed());
}

TEST_F(ArchTimerTest, MaskAndDisableLowerTheLine) {
  clock.ns = counter.time_of(1000);
  timer.changed(1, 100);
  EXPECT_TRUE(line.level);
  EXPECT_FALSE(armed());
  timer.changed(3, 100);
  EXPECT_FALSE(line.level);
  timer.changed(1, 100);
  EXPECT_TRUE(line.level);
  timer.changed(0, 100);
  EXPECT_FALSE(line.level);
  timer.changed(1, 2000);
  timer.changed(0, 2000);
  EXPECT_FALSE(armed());
}

TEST_F(ArchTimerTest, AnEarlyCallbackArmsAgain) {
  timer.changed(1, 100);
  timers.timers.begin()->second.armed = false;
  timers.timers.begin()->second.callback();
  EXPECT_FALSE(line.level);
  EXPECT_TRUE(armed());
}

TEST_F(ArchTimerTest, CompareValuesBeyondTheClockNeverFire) {
  timer.changed(1, ~u64{0});
  EXPECT_FALSE(armed());
  EXPECT_FALSE(line.level);
}

}  // namespace
}  // namespace armvisor::devices
