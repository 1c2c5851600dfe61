#include <gtest/gtest.h>

#include "arm/exceptions.h"
#include "vmm/crash_watch.h"

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

}  // namespace
}  // namespace armvisor::vmm
