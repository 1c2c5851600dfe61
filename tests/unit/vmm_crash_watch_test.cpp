#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "arm/exceptions.h"
#include "vmm/crash_watch.h"
#include "vmm/host_delay.h"
#include "vmm/stall_watch.h"

namespace armvisor::vmm {
namespace {

bool crashed_after(arm::CpuState s, int samples) {
  CrashWatch watch;
  bool crashed = false;
  for (int i = 0; i < samples; ++i) crashed = watch.sample(s);
  return crashed;
}

TEST(CrashWatch, SeesAVectorThatCannotBeFetched) {
  arm::CpuState s = arm::reset_state(0, 1);
  for (int i = 0; i < 2; ++i) {
    arm::Fault fault;
    fault.type = arm::FaultType::Translation;
    fault.level = 1;
    arm::take_prefetch_abort(s, fault, s.r[15]);
  }
  EXPECT_FALSE(crashed_after(s, 2));
  EXPECT_TRUE(crashed_after(s, 3));
}

TEST(CrashWatch, SeesAnUndefinedVectorInBothInstructionSets) {
  for (const u32 te : {0u, 1u << 30}) {
    arm::CpuState s = arm::reset_state(0, 1);
    s.cp15.sctlr |= te;
    for (int i = 0; i < 2; ++i) arm::take_exception(s, arm::Exception::Undefined, s.r[15], te ? 2 : 4);
    EXPECT_TRUE(crashed_after(s, 3));
  }
}

TEST(CrashWatch, OneExceptionIsNoCrash) {
  arm::CpuState s = arm::reset_state(0, 1);
  s.r[15] = 0x40008000;
  arm::take_exception(s, arm::Exception::Undefined, s.r[15], 4);
  EXPECT_FALSE(crashed_after(s, 10));
}

TEST(CrashWatch, AGuestThatMovesOnIsForgotten) {
  arm::CpuState s = arm::reset_state(0, 1);
  for (int i = 0; i < 2; ++i) arm::take_exception(s, arm::Exception::Undefined, s.r[15], 4);
  CrashWatch watch;
  EXPECT_FALSE(watch.sample(s));
  EXPECT_FALSE(watch.sample(s));
  arm::CpuState other = s;
  other.r[15] = 0x40000000;
  EXPECT_FALSE(watch.sample(other));
  EXPECT_FALSE(watch.sample(s));
  EXPECT_FALSE(watch.sample(s));
  s.r[0] = 1;  // another register: something ran in between
  EXPECT_FALSE(watch.sample(s));
}

bool stalls(std::initializer_list<VcpuLook> vcpus) {
  StallWatch watch(5, 5000);
  bool stalled = false;
  for (int n = 0; n < 5; ++n) stalled = watch.look({vcpus.begin(), vcpus.size()});
  return stalled;
}

TEST(StallWatch, AllVcpusHaveToBeStill) {
  const VcpuLook asleep{.asleep = true}, armed{.asleep = true, .timer_armed = true}, spins{.masked_ns = 5000}, busy{};
  EXPECT_TRUE(stalls({asleep}));
  EXPECT_TRUE(stalls({spins}));
  EXPECT_TRUE(stalls({spins, asleep, spins}));
  EXPECT_FALSE(stalls({armed}));
  EXPECT_FALSE(stalls({busy}));
  EXPECT_FALSE(stalls({spins, busy}));
  EXPECT_FALSE(stalls({asleep, armed}));
  EXPECT_FALSE(stalls({VcpuLook{.masked_ns = 4999}}));
}

TEST(StallWatch, OneLookAtAVcpuThatIsNotStillBeginsAnew) {
  StallWatch watch(3, 1000);
  const VcpuLook asleep{.asleep = true}, busy{};
  for (const VcpuLook look : {asleep, asleep, busy, asleep, asleep}) EXPECT_FALSE(watch.look({&look, 1}));
  EXPECT_TRUE(watch.look({&asleep, 1}));
}

TEST(HostDelay, IsNeitherWhatAThreadRunsNorWhatItSleeps) {
  using namespace std::chrono;
  HostDelay delay;
  EXPECT_EQ(delay.ns(), 0u);
  delay.begin();
  const auto began = steady_clock::now();
  delay.sleeps();
  std::this_thread::sleep_for(milliseconds(50));
  delay.woken();
  std::this_thread::sleep_for(milliseconds(80));  // as if the host had no CPU for it
  EXPECT_GE(delay.ns(), 60'000'000u) << "a host may count a thread's time in steps of 10 ms";
  delay.runs();
  const u64 waited = delay.ns();
  EXPECT_GE(waited, 60'000'000u);
  EXPECT_LE(waited, static_cast<u64>(nanoseconds(steady_clock::now() - began).count()) - 50'000'000u);
  delay.sleeps(20'000'000);
  std::this_thread::sleep_for(milliseconds(60));
  delay.runs();
  EXPECT_GE(delay.ns(), waited + 20'000'000) << "it wanted to sleep for 20";
}

}  // namespace
}  // namespace armvisor::vmm
