#include <gtest/gtest.h>

#include "arm/exceptions.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_v = 1u << 13, k_sctlr_ee = 1u << 25, k_sctlr_te = 1u << 30;

struct Expected {
  const char* name;
  Exception exception;
  u32 vector, mode, lr_arm, lr_thumb;
  bool sets_a, sets_f;
};
// ARM DDI 0406C Table B1-6 (vectors), Table B1-7 (LR), B1.8.2 (masks).
constexpr Expected k_expected[] = {
    {"Undefined", Exception::Undefined, 0x04, k_mode_und, 4, 2, false, false},
    {"SupervisorCall", Exception::SupervisorCall, 0x08, k_mode_svc, 4, 2, false, false},
    {"PrefetchAbort", Exception::PrefetchAbort, 0x0c, k_mode_abt, 4, 4, true, false},
    {"DataAbort", Exception::DataAbort, 0x10, k_mode_abt, 8, 8, true, false},
    {"Irq", Exception::Irq, 0x18, k_mode_irq, 4, 4, true, false},
    {"Fiq", Exception::Fiq, 0x1c, k_mode_fiq, 4, 4, true, true},
};

class Entry : public testing::TestWithParam<std::tuple<Expected, bool, u32>> {};

TEST_P(Entry, SavesStateAndGoesToTheVector) {
  const auto& [e, thumb, sctlr] = GetParam();
  CpuState s = reset_state(0, 1);
  const u32 before = 0x90050000 | k_psr_q | (thumb ? k_psr_t : 0) | k_mode_usr;
  set_cpsr(s, before);
  s.r[13] = 0x1111;
  s.r[14] = 0x2222;
  s.cp15.sctlr |= sctlr;
  s.cp15.vbar = 0x12345620;
  take_exception(s, e.exception, 0x8000, thumb ? 2 : 4);

  EXPECT_EQ(s.r[15], (sctlr & k_sctlr_v ? 0xffff0000u : 0x12345620u) + e.vector);
  EXPECT_EQ(s.r[14], 0x8000 + (thumb ? e.lr_thumb : e.lr_arm));
  EXPECT_EQ(spsr(s), before);
  EXPECT_EQ(s.mode(), e.mode);
  EXPECT_EQ((s.psr & k_psr_i) != 0, true);
  EXPECT_EQ((s.psr & k_psr_a) != 0, e.sets_a);
  EXPECT_EQ((s.psr & k_psr_f) != 0, e.sets_f);
  EXPECT_EQ(s.thumb(), (sctlr & k_sctlr_te) != 0);
  EXPECT_EQ((s.psr & k_psr_e) != 0, (sctlr & k_sctlr_ee) != 0);
  EXPECT_EQ(cpsr(s) & 0xf80f0000, before & 0xf80f0000) << "flags stay";
  EXPECT_EQ(read_mode_reg(s, k_mode_usr, 13), 0x1111u);
  EXPECT_EQ(read_mode_reg(s, k_mode_usr, 14), 0x2222u);
}
INSTANTIATE_TEST_SUITE_P(All, Entry,
                         testing::Combine(testing::ValuesIn(k_expected), testing::Bool(),
                                          testing::Values(0u, k_sctlr_v, k_sctlr_te, k_sctlr_ee,
                                                          k_sctlr_v | k_sctlr_te | k_sctlr_ee)),
                         [](const auto& p) {
                           return std::string(std::get<0>(p.param).name) + (std::get<1>(p.param) ? "Thumb" : "Arm") +
                                  std::to_string(std::get<2>(p.param) >> 13);
                         });

TEST(ExceptionEntry, UndefinedThumb32ReturnsToItsSecondHalfword) {
  CpuState s = reset_state(0, 1);
  set_cpsr(s, k_psr_t | k_mode_usr);
  take_exception(s, Exception::Undefined, 0x100, 4);
  EXPECT_EQ(s.r[14], 0x102u);
}

TEST(ExceptionEntry, EndiannessAndMasksThatWereSetAreSavedAndMasksStay) {
  CpuState s = reset_state(0, 1);
  set_cpsr(s, k_psr_e | k_psr_a | k_psr_f | k_mode_svc);
  take_exception(s, Exception::Irq, 0x100, 4);
  EXPECT_EQ(spsr(s), k_psr_e | k_psr_a | k_psr_f | k_mode_svc);
  EXPECT_EQ(s.psr, k_psr_a | k_psr_i | k_psr_f | k_mode_irq);
}

TEST(ExceptionEntry, SvcAdvancesItStateAndOthersSaveItAsItIs) {
  CpuState s = reset_state(0, 1);
  set_cpsr(s, k_psr_t | it_to_psr(0x06) | k_mode_usr);
  CpuState other = s;
  take_exception(s, Exception::SupervisorCall, 0x100, 2);
  EXPECT_EQ(it_from_psr(spsr(s)), 0x0c);
  EXPECT_EQ(s.it, 0);
  take_exception(other, Exception::DataAbort, 0x100, 2);
  EXPECT_EQ(it_from_psr(spsr(other)), 0x06);
  CpuState last = reset_state(0, 1);
  set_cpsr(last, k_psr_t | it_to_psr(0x08) | k_mode_usr);
  take_exception(last, Exception::SupervisorCall, 0x100, 2);
  EXPECT_EQ(it_from_psr(spsr(last)), 0);
}

TEST(ExceptionEntry, FiqBanksR8ToR12) {
  CpuState s = reset_state(0, 1);
  for (u32 n = 8; n <= 12; ++n) s.r[n] = n;
  take_exception(s, Exception::Fiq, 0x100, 4);
  for (u32 n = 8; n <= 12; ++n) {
    EXPECT_EQ(s.r[n], 0u);
    EXPECT_EQ(read_mode_reg(s, k_mode_usr, n), n);
  }
}

struct FsrCase {
  FaultType type;
  u8 level;
  u32 short_fs;   ///< FS[4:0]
  u32 long_code;  ///< STATUS[5:0]
  bool domain;
};
constexpr FsrCase k_fsr_cases[] = {
    {FaultType::Alignment, 1, 0x01, 0x21, false},
    {FaultType::Debug, 0, 0x02, 0x22, false},
    {FaultType::Translation, 1, 0x05, 0x05, false},
    {FaultType::Translation, 2, 0x07, 0x06, true},
    {FaultType::AccessFlag, 1, 0x03, 0x09, true},
    {FaultType::AccessFlag, 2, 0x06, 0x0a, true},
    {FaultType::Domain, 1, 0x09, 0x3d, true},
    {FaultType::Domain, 2, 0x0b, 0x3e, true},
    {FaultType::Permission, 1, 0x0d, 0x0d, true},
    {FaultType::Permission, 2, 0x0f, 0x0e, true},
    {FaultType::SyncExternal, 0, 0x08, 0x10, false},
    {FaultType::SyncExternalOnWalk, 1, 0x0c, 0x15, false},
    {FaultType::SyncExternalOnWalk, 2, 0x0e, 0x16, true},
};

TEST(EncodeFsr, BothFormats) {
  for (const FsrCase& c : k_fsr_cases) {
    Fault f;
    f.type = c.type;
    f.level = c.level;
    f.domain = 9;
    f.write = true;
    CpuState s = reset_state(0, 1);
    const u32 fs = (c.short_fs & 16) << 6 | (c.short_fs & 15);
    EXPECT_EQ(encode_fsr(s, f, true), fs);
    EXPECT_EQ(encode_fsr(s, f, false), fs | 1u << 11 | (c.domain ? 9u << 4 : 0));
    s.cp15.ttbcr = 1u << 31;
    EXPECT_EQ(encode_fsr(s, f, true), 1u << 9 | c.long_code);
    EXPECT_EQ(encode_fsr(s, f, false), 1u << 9 | 1u << 11 | c.long_code);
  }
}

TEST(EncodeFsr, LevelThreeOnlyInTheLongFormat) {
  CpuState s = reset_state(0, 1);
  s.cp15.ttbcr = 1u << 31;
  Fault f;
  f.type = FaultType::Translation;
  f.level = 3;
  EXPECT_EQ(encode_fsr(s, f, true), 0x207u);
}

TEST(EncodeFsr, CacheMaintenanceReportsWriteAndCm) {
  CpuState s = reset_state(0, 1);
  Fault f;
  f.type = FaultType::Translation;
  f.level = 1;
  f.cache_maintenance = true;
  EXPECT_EQ(encode_fsr(s, f, false), 0x2805u);
}

TEST(TakeAbort, SetsStatusAndAddressOfItsSideOnly) {
  CpuState s = reset_state(0, 1);
  Fault f;
  f.type = FaultType::Permission;
  f.level = 2;
  f.domain = 3;
  f.write = true;
  f.va = 0xdeadbeef;
  take_data_abort(s, f, 0x4000);
  EXPECT_EQ(s.cp15.dfsr, 0x83fu);
  EXPECT_EQ(s.cp15.dfar, 0xdeadbeefu);
  EXPECT_EQ(s.cp15.ifsr, 0u);
  EXPECT_EQ(s.r[14], 0x4008u);
  take_prefetch_abort(s, f, 0x5000);
  EXPECT_EQ(s.cp15.ifsr, 0xfu);
  EXPECT_EQ(s.cp15.ifar, 0xdeadbeefu);
  EXPECT_EQ(s.r[14], 0x5004u);
}

TEST(TakeAbort, BkptIsADebugEvent) {
  CpuState s = reset_state(0, 1);
  Fault f;
  f.type = FaultType::Debug;
  take_prefetch_abort(s, f, 0x5000);
  EXPECT_EQ(s.cp15.ifsr, 0b00010u);
  s.cp15.ttbcr = 1u << 31;
  take_prefetch_abort(s, f, 0x5000);
  EXPECT_EQ(s.cp15.ifsr, 1u << 9 | 0b100010u);
}

}  // namespace
}  // namespace armvisor::arm
