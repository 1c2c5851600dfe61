#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "arm/cpu_state.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_modes[] = {k_mode_usr, k_mode_fiq, k_mode_irq, k_mode_svc, k_mode_abt, k_mode_und, k_mode_sys};

/// Which physical register R`n` of `mode` is (B1.3.2, Figure B1-2), written independently of the implementation.
std::pair<u32, u32> physical(u32 mode, u32 n) {
  if (n < 8) return {0, n};
  if (n <= 12) return {mode == k_mode_fiq ? k_mode_fiq : 0, n};
  return {mode == k_mode_usr || mode == k_mode_sys ? 0 : mode, n};
}

class Bankings : public testing::TestWithParam<u32> {};

TEST_P(Bankings, EveryPhysicalRegisterKeepsItsValueThroughAllModePairs) {
  CpuState s = reset_state(0, 1);
  change_mode(s, GetParam());
  std::map<std::pair<u32, u32>, u32> expected;
  u32 next = 0x1000;
  for (u32 mode : k_modes)
    for (u32 n = 0; n <= 14; ++n) {
      expected[physical(mode, n)] = ++next;
      write_mode_reg(s, mode, n, next);
    }
  const auto check = [&] {
    for (u32 mode : k_modes)
      for (u32 n = 0; n <= 14; ++n) ASSERT_EQ(read_mode_reg(s, mode, n), expected[physical(mode, n)]);
    for (u32 n = 0; n <= 14; ++n) ASSERT_EQ(s.r[n], expected[physical(s.mode(), n)]);
  };
  for (u32 from : k_modes)
    for (u32 to : k_modes) {
      change_mode(s, from);
      check();
      change_mode(s, to);
      check();
      s.r[9] = expected[physical(to, 9)] = ++next;
      s.r[13] = expected[physical(to, 13)] = ++next;
      s.r[14] = expected[physical(to, 14)] = ++next;
    }
}
INSTANTIATE_TEST_SUITE_P(FromEachMode, Bankings, testing::ValuesIn(k_modes));

TEST(Spsr, IsOnePerExceptionModeAndAbsentInUserAndSystem) {
  CpuState s = reset_state(0, 1);
  for (u32 mode : k_modes) {
    change_mode(s, mode);
    write_spsr_by_instr(s, 0xa0000000 | mode, 15);
  }
  for (u32 mode : k_modes) {
    change_mode(s, mode);
    const bool none = mode == k_mode_usr || mode == k_mode_sys;
    EXPECT_EQ(spsr(s), none ? 0u : 0xa0000000 | mode);
    if (!none) {
      EXPECT_EQ(read_mode_reg(s, mode, 16), 0xa0000000 | mode);
    }
  }
}

TEST(Spsr, WritesTheSelectedBytesOnly) {
  CpuState s = reset_state(0, 1);
  write_spsr_by_instr(s, 0xffffffff, 15);
  EXPECT_EQ(spsr(s), 0xff0fffffu);
  write_spsr_by_instr(s, 0, 0b0101);
  EXPECT_EQ(spsr(s), 0xff00ff00u);
}

TEST(Cpsr, RoundTripsEveryField) {
  CpuState s = reset_state(0, 1);
  const u32 value = 0xfe0ffff0 | k_mode_irq;
  set_cpsr(s, value);
  EXPECT_EQ(cpsr(s), value & ~k_psr_j);
  EXPECT_EQ(s.it, 0xff);
  EXPECT_EQ(s.ge, 15);
  EXPECT_TRUE(s.q && s.n && s.z && s.c && s.v);
  set_cpsr(s, k_mode_usr);
  EXPECT_EQ(cpsr(s), k_mode_usr);
}

TEST(CpsrByInstr, UserModeChangesFlagsAndEndiannessOnly) {
  CpuState s = reset_state(0, 1);
  set_cpsr(s, k_mode_usr);
  write_cpsr_by_instr(s, 0xffffffff, 15, false);
  EXPECT_EQ(cpsr(s), 0xf80f0200u | k_mode_usr);
}

TEST(CpsrByInstr, PrivilegedModeChangesMasksAndModeButNotExecutionState) {
  CpuState s = reset_state(0, 1);
  write_cpsr_by_instr(s, k_psr_t | k_psr_j | k_psr_it_low | k_psr_it_high | k_mode_irq, 15, false);
  EXPECT_EQ(cpsr(s), k_mode_irq);
  write_cpsr_by_instr(s, 0xffffffff & ~k_psr_mode, 0b0010, false);
  EXPECT_EQ(cpsr(s), k_psr_e | k_psr_a | k_mode_irq);
  write_cpsr_by_instr(s, 0xffffffff, 0b0100, false);
  EXPECT_EQ(cpsr(s), k_psr_ge | k_psr_e | k_psr_a | k_mode_irq);
}

TEST(CpsrByInstr, ExceptionReturnWritesThumbAndItState) {
  CpuState s = reset_state(0, 1);
  const u32 value = k_psr_t | it_to_psr(0xa5) | k_mode_usr;
  write_cpsr_by_instr(s, value, 15, true);
  EXPECT_EQ(cpsr(s), value);
}

TEST(CpsrByInstr, ExceptionReturnToArmStateHasNoItState) {
  CpuState s = reset_state(0, 1);
  write_cpsr_by_instr(s, it_to_psr(0xa5) | k_mode_usr, 15, true);
  EXPECT_EQ(s.it, 0);
}

TEST(CpsrByInstr, InvalidModesLeaveTheModeAlone) {
  for (u32 mode = 0; mode < 32; ++mode) {
    CpuState s = reset_state(0, 1);
    write_cpsr_by_instr(s, mode, 1, false);
    EXPECT_EQ(s.mode(), mode_is_valid(mode) ? mode : k_mode_svc);
  }
}

TEST(CpsrByInstr, NonMaskableFiqCanOnlyBeUnmasked) {
  CpuState s = reset_state(0, 1);
  s.cp15.sctlr |= 1u << 27;
  write_cpsr_by_instr(s, k_mode_svc, 1, false);
  EXPECT_EQ(s.psr & k_psr_f, 0u);
  write_cpsr_by_instr(s, k_psr_f | k_mode_svc, 1, false);
  EXPECT_EQ(s.psr & k_psr_f, 0u);
}

TEST(Fpscr, HoldsTheBitsThatThisCpuHas) {
  CpuState s = reset_state(0, 1);
  set_fpscr(s, 0xffffffff);
  EXPECT_EQ(fpscr(s), 0xffc0009fu);
  EXPECT_EQ(s.fpscr_nzcv, 0xf0000000u);
  EXPECT_EQ(s.fpscr_flags, 0x9fu);
  set_fpscr(s, 0);
  EXPECT_EQ(fpscr(s), 0u);
}

TEST(Reset, IsTheCortexA15sState) {
  const CpuState s = reset_state(2, 4);
  EXPECT_EQ(cpsr(s), 0x40000000 | k_mode_svc | k_psr_a | k_psr_i | k_psr_f) << "as in QEMU, with Z";
  EXPECT_EQ(s.r[15], 0u);
  EXPECT_EQ(s.cp15.sctlr, 0x00c50078u);
  EXPECT_EQ(s.cp15.mpidr, 0x80000002u);
  EXPECT_EQ(s.cp15.l2ctlr_cpus, 4u);
  EXPECT_EQ(s.cp15.cntfrq, 62500000u);
}

}  // namespace
}  // namespace armvisor::arm
