#include <gtest/gtest.h>

#include <string>

#include "arm/absent_extensions.h"

namespace armvisor::arm {
namespace {

std::string mode_of(u32 insn, bool thumb) {
  const Extension* const extension = absent_extension(insn, thumb);
  return extension ? extension->mode : "";
}

TEST(AbsentExtensions, KnowsWhatOnlyHypModeHas) {
  for (const u32 insn : {
           0xee910f11u,  // mrc p15, 4, r0, c1, c1, 0: HCR
           0xee8c0f10u,  // mcr p15, 4, r0, c12, c0, 0: HVBAR
           0xec410f62u,  // mcrr p15, 6, r0, r1, c2: VTTBR
           0xec510f4eu,  // mrrc p15, 4, r0, r1, c14: CNTVOFF
       }) {
    EXPECT_EQ(mode_of(insn, false), "Hyp") << std::hex << insn;
    EXPECT_EQ(mode_of(insn, true), "Hyp") << std::hex << insn;
  }
  for (const u32 insn : {0xe160006eu, 0xe10e0300u, 0xe14e1300u, 0xe12ef301u, 0xe16ef302u, 0xe10f0300u})
    EXPECT_EQ(mode_of(insn, false), "Hyp") << std::hex << insn;  // eret; mrs, msr of ELR_hyp, SPSR_hyp, SP_hyp
  for (const u32 insn : {0xf3ee8030u, 0xf3fe8130u, 0xf3818e30u, 0xf3908e30u})
    EXPECT_EQ(mode_of(insn, true), "Hyp") << std::hex << insn;
}

TEST(AbsentExtensions, KnowsWhatOnlyMonitorModeHas) {
  EXPECT_EQ(mode_of(0xee110f11, false), "Monitor");  // mrc p15, 0, r0, c1, c1, 0: SCR
  EXPECT_EQ(mode_of(0xee0c0f30, true), "Monitor");   // mcr p15, 0, r0, c12, c0, 1: MVBAR
  EXPECT_EQ(mode_of(0xe10c0300, false), "Monitor");  // mrs r0, lr_mon
  EXPECT_EQ(mode_of(0xf3808c30, true), "Monitor");   // msr lr_mon, r0
}

TEST(AbsentExtensions, LeavesTheRestAlone) {
  for (const u32 insn : {
           0xee110f10u,  // mrc p15, 0, r0, c1, c0, 0: SCTLR
           0xee110f50u,  // mrc p15, 0, r0, c1, c0, 2: CPACR
           0xec510f0eu,  // mrrc p15, 0, r0, r1, c14: CNTPCT
           0xee910e12u,  // mrc p14, 4, ...
           0xe7f000f0u,  // udf
       }) {
    EXPECT_EQ(mode_of(insn, false), "") << std::hex << insn;
    EXPECT_EQ(mode_of(insn, true), "") << std::hex << insn;
  }
  EXPECT_EQ(mode_of(0xfe910f11, false), "");  // mrc2
  EXPECT_EQ(mode_of(0xe1010300, false), "");  // mrs r0, lr_irq...: only the extensions of ARMv7VE have it, in any mode
}

}  // namespace
}  // namespace armvisor::arm
