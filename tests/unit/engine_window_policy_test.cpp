// Who gets a host-MMU window, by numbers alone.
#include <gtest/gtest.h>

#include "engine/window_policy.h"

namespace armvisor::engine {
namespace {

using std::chrono::microseconds;

class WindowPolicyTest : public testing::Test {
 protected:
  bool tick(bool privileged = false) { return policy.tick(use, privileged, now += microseconds(4000), counts); }
  u32 ticks_until_used(u32 most = 100) {
    for (u32 k = 1; k <= most; ++k)
      if (tick()) return k;
    return 0;
  }

  WindowPolicy policy;
  mmu::WindowUse use;
  WindowPolicy::Time now = WindowPolicy::Time() + std::chrono::hours(1);
  WindowPolicy::Counts counts;
};

TEST_F(WindowPolicyTest, CodeThatStaysGetsOneAfterThreeTicks) { EXPECT_EQ(ticks_until_used(), 3u); }

TEST_F(WindowPolicyTest, InterruptsThatFollowEachOtherFastAreOneTick) {
  tick();
  for (u32 k = 0; k < 8; ++k) EXPECT_FALSE(policy.tick(use, false, now += microseconds(100), counts));
  EXPECT_EQ(use.ticks, 1u);
}

TEST_F(WindowPolicyTest, ShortTicksEarnLess) {
  u32 ticks = 0;
  tick();
  do ++ticks;
  while (!policy.tick(use, false, now += microseconds(1000), counts));
  EXPECT_GE(ticks, 8u);  // a tenth of each millisecond, after the 400 us of the first
}

TEST_F(WindowPolicyTest, NewCodeStartsAgain) {
  tick();
  tick();
  counts.blocks += 100;
  EXPECT_FALSE(tick());
  EXPECT_EQ(use.ticks, 0u);
  EXPECT_EQ(ticks_until_used(), 3u);
}

TEST_F(WindowPolicyTest, NewCodeOfAProgramThatHasOneTakesNothingAway) {
  use.on = true;
  tick();
  const s32 credit = use.credit;
  counts.blocks += 100;
  EXPECT_FALSE(tick());
  EXPECT_GT(use.credit, credit);
}

TEST_F(WindowPolicyTest, ManyChangesOfTheSpaceEarnUserCodeNothing) {
  for (u32 k = 0; k < 50; ++k) {
    counts.switches += 100;
    EXPECT_FALSE(tick());
  }
  EXPECT_EQ(use.credit, 0);
  for (u32 k = 0; k < 2; ++k, counts.switches += 100) EXPECT_FALSE(tick(true));
  EXPECT_TRUE(tick(true));  // privileged code has the same window in all spaces
}

TEST_F(WindowPolicyTest, WhatItCostsEndsItAndItComesBackWhenEnoughIsSavedUp) {
  ticks_until_used();
  use.on = true;
  EXPECT_FALSE(WindowPolicy::charge(use, false, 1000));
  EXPECT_TRUE(WindowPolicy::charge(use, false, 1000));
  use.on = false;
  EXPECT_FALSE(WindowPolicy::charge(use, false, 1)) << "it is not in use";
  EXPECT_EQ(ticks_until_used(), 6u);  // -801 + 6 * 400 >= 1200
}

TEST_F(WindowPolicyTest, DebtAndSavingsAreBounded) {
  for (u32 k = 0; k < 1000; ++k) tick();
  EXPECT_EQ(use.credit, WindowPolicy::k_most_credit[0]);
  for (u32 k = 0; k < 100; ++k) WindowPolicy::charge(use, false, 10'000);
  EXPECT_EQ(use.credit, -WindowPolicy::k_most_credit[0]);
}

}  // namespace
}  // namespace armvisor::engine
