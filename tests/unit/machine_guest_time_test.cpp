// The guest's time stands still while the machine does.
#include <gtest/gtest.h>

#include "machine/guest_time.h"
#include "unit/device_fakes.h"

namespace armvisor::machine {
namespace {

struct GuestTimeTest : testing::Test {
  devices::FakeClock host;
  devices::FakeTimers timers;
  GuestTime time{host, timers};
};

TEST_F(GuestTimeTest, WhatTheMachineStoodStillIsNotSeen) {
  EXPECT_EQ(time.now_ns(), host.ns);
  time.stop();
  time.stop();
  host.ns += 500;
  EXPECT_EQ(time.now_ns(), 1000u);
  time.go_on();
  time.go_on();
  EXPECT_EQ(time.now_ns(), 1000u);
  host.ns += 10;
  EXPECT_EQ(time.now_ns(), 1010u);
}

TEST_F(GuestTimeTest, TimersComeByTheGuestsTime) {
  int fired = 0;
  const auto id = time.add([&] { ++fired; });
  time.stop();
  host.ns += 500;
  time.arm(id, 1100);
  timers.run_until(host.ns + 1'000'000);
  EXPECT_EQ(fired, 0) << "never while it stands still";
  time.go_on();
  timers.run_until(host.ns + 99);
  EXPECT_EQ(fired, 0);
  timers.run_until(host.ns + 100);
  EXPECT_EQ(fired, 1);
  time.arm(id, ~u64{0});
  timers.run_until(~u64{0} - 1);
  EXPECT_EQ(fired, 1) << "never is never";
  time.stop();
  time.arm(id, 2000);
  time.disarm(id);
  time.go_on();
  timers.run_until(~u64{0} - 1);
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace armvisor::machine
