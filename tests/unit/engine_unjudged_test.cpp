// What Unicorn cannot judge (tests/oracle/exclusions.inc, and exclusion() in generate.cpp), by hand: one test for each
// line or case left out, named after it, with the manual's section (ARM DDI 0406C). Cases that the manual leaves
// UNPREDICTABLE are in docs/engine/translation.md.
#include <set>

#include "arm/vfp_regs.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000, k_arm = k_ram + 0x9000;
constexpr u32 k_undefined = k_ram + 4, k_prefetch = k_ram + 0xc;  // vectors

struct Case {
  Machine m;

  /// In User mode if `user`; every exception stops at its vector.
  explicit Case(bool user = false) {
    for (u32 vector = 4; vector < 0x20; vector += 4) m.put32(k_ram + vector, k_stop);
    m.words(k_arm, {0xe3a0a007, k_stop});  // mov r10, #7
    arm::CpuState& s = m.state();
    s.cp15.vbar = k_ram;
    s.cp15.cpacr = 0x00f00000;
    s.fpexc = 1u << 30;
    s.cp15.sctlr &= ~(1u << 30);  // exceptions are taken in ARM state
    if (user) arm::change_mode(s, arm::k_mode_usr);
  }
  void arm(std::initializer_list<u32> words) {
    m.words(k_code, words);
    m.put32(k_code + static_cast<u32>(words.size()) * 4, k_stop);
    go();
  }
  /// Thumb code, ended by UDF.
  void thumb(std::initializer_list<u16> halves) {
    u32 at = k_code;
    for (const u16 half : halves) {
      put16(at, half);
      at += 2;
    }
    put16(at, 0xde00);
    arm::CpuState& s = m.state();
    arm::set_cpsr(s, arm::cpsr(s) | arm::k_psr_t);
    go();
  }
  void put16(u32 pa, u16 half) {
    const u8 bytes[] = {static_cast<u8>(half), static_cast<u8>(half >> 8)};
    EXPECT_TRUE(m.ram.write(GuestPa(pa), bytes));
  }
  void go() {
    exit = m.run(k_code);
    for (u32 n = 0; n < 5 && exit == Exit::Yield; ++n) exit = m.engine->vcpu(0).run();
  }
  /// The instruction at `at` raised the exception of this vector, whose LR is `offset` behind it.
  void expect_exception(u32 vector, u32 at, u32 offset) {
    EXPECT_EQ(exit, Exit::Kicked);
    EXPECT_EQ(m.reg(15), vector + 4);
    EXPECT_EQ(m.reg(14), at + offset);
  }
  void expect_end(u32 at) {
    EXPECT_EQ(exit, Exit::Kicked);
    EXPECT_EQ(m.reg(15), at + 4);
  }

  Exit exit{};
};

// --- lines of exclusions.inc

TEST(Unjudged, HVC) {  // B9.3.4
  Case c;
  c.arm({0xe1412374, 0xe1a00000});  // hvc #0x1234: a conduit that the machine does not have
  c.expect_exception(k_undefined, k_code, 4);
  Case user(true);
  user.arm({0xe1400070});  // hvc #0: UNDEFINED at PL0
  user.expect_exception(k_undefined, k_code, 4);
}

TEST(Unjudged, SMC) {  // B9.3.14
  Case c;
  c.arm({0xe1600070});
  c.expect_exception(k_undefined, k_code, 4);
  Case user(true);
  user.arm({0xe1600070});
  user.expect_exception(k_undefined, k_code, 4);
}

TEST(Unjudged, BKPT) {  // A8.8.24; C3.2: a Prefetch Abort exception with the status of a debug event
  Case c;
  c.arm({0xe1a00000, 0xe1212374});
  c.expect_exception(k_prefetch, k_code + 4, 4);
  EXPECT_EQ(c.m.state().cp15.ifsr & 0x40f, 2u);
  Case t;
  t.m.state().z = 0;
  t.thumb({0xbf08, 0xbe01});  // it eq; bkpt #1: unconditional
  t.expect_exception(k_prefetch, k_code + 2, 4);
}

TEST(Unjudged, MCR) {  // A8.8.98
  Case c;
  c.m.reg(1) = 0x1234;
  c.arm({0xee0d1f50});  // mcr p15, 0, r1, c13, c0, 2 (TPIDRURW)
  c.expect_end(k_code + 4);
  EXPECT_EQ(c.m.state().cp15.tpidrurw, 0x1234u);
  Case user(true);
  user.arm({0xee011f10});  // SCTLR: UNDEFINED at PL0
  user.expect_exception(k_undefined, k_code, 4);
}

TEST(Unjudged, MRC) {  // A8.8.107
  Case c(true);
  c.m.state().cp15.tpidrurw = 0x5678;
  c.arm({0xee1d2f50});  // mrc p15, 0, r2, c13, c0, 2
  EXPECT_EQ(c.m.reg(2), 0x5678u);
  Case user(true);
  user.arm({0xee111f10});  // SCTLR
  user.expect_exception(k_undefined, k_code, 4);
}

TEST(Unjudged, MCRR) {  // A8.8.99
  Case c;
  c.m.reg(2) = 0x40004000;
  c.m.reg(3) = 0x00120000;
  c.arm({0xec432f02});  // mcrr p15, 0, r2, r3, c2 (TTBR0)
  c.expect_end(k_code + 4);
  EXPECT_EQ(c.m.state().cp15.ttbr0, 0x0012'0000'4000'4000u);
  Case user(true);
  user.arm({0xec432f02});
  user.expect_exception(k_undefined, k_code, 4);
}

TEST(Unjudged, MRRC) {  // A8.8.108
  Case c;
  c.m.state().cp15.ttbr0 = 0x0012'0000'4000'4000u;
  c.arm({0xec554f02});  // mrrc p15, 0, r4, r5, c2
  EXPECT_EQ(c.m.reg(4), 0x40004000u);
  EXPECT_EQ(c.m.reg(5), 0x00120000u);
}

TEST(Unjudged, SWP) {  // B4.1.130: UNDEFINED while SCTLR.SW is 0, which is all that there is
  for (const u32 word : {0xe1020091u, 0xe1420091u}) {  // swp, swpb r0, r1, [r2]
    Case c;
    c.m.reg(2) = k_data;
    c.arm({word});
    c.expect_exception(k_undefined, k_code, 4);
  }
}

TEST(Unjudged, BXJ) {  // A8.8.28: BX, in an implementation without Jazelle
  Case c;
  c.m.reg(1) = k_ram + 0xa001;
  c.put16(k_ram + 0xa000, 0x2209);  // movs r2, #9
  c.put16(k_ram + 0xa002, 0xde00);
  c.arm({0xe12fff21});
  EXPECT_EQ(c.m.reg(2), 9u);
  Case t;
  t.m.reg(1) = k_arm;
  t.thumb({0xf3c1, 0x8f00});
  EXPECT_EQ(t.m.reg(10), 7u);
}

TEST(Unjudged, HINT) {  // A5.2.11, A6.2.5, A6.3.4: hints that are not allocated do nothing
  Case c;
  c.arm({0xe320f063, 0xe320f0f0, 0xe3a0a007});
  EXPECT_EQ(c.m.reg(10), 7u);
  Case t;
  t.thumb({0xbf60, 0xf3af, 0x8063, 0x2207});
  EXPECT_EQ(t.m.reg(2), 7u);
}

TEST(Unjudged, YIELD) {  // A8.8.426
  Case c;
  c.arm({0xe320f001, 0xe3a0a007});
  EXPECT_EQ(c.m.reg(10), 7u);
  Case t;
  t.thumb({0xbf10, 0xf3af, 0x8001, 0x2207});
  EXPECT_EQ(t.m.reg(2), 7u);
}

TEST(Unjudged, WFE) {  // A8.8.424, B1.8.13: ends at once, and clears the event register, when that is set
  Case c;
  c.m.engine->vcpu(0).set_event();
  c.arm({0xe320f002, 0xe3a0a007, 0xe320f002});
  EXPECT_EQ(c.m.reg(10), 7u);
  EXPECT_EQ(c.exit, Exit::WaitEvent);
  EXPECT_EQ(c.m.reg(15), k_code + 12);
  Case t;
  t.thumb({0xbf20});
  EXPECT_EQ(t.exit, Exit::WaitEvent);
}

TEST(Unjudged, WFI) {  // A8.8.425, B1.8.14: an interrupt ends it, masked or not
  Case c;
  c.arm({0xe320f003, 0xe3a0a007});
  EXPECT_EQ(c.exit, Exit::Wait);
  EXPECT_EQ(c.m.reg(15), k_code + 4);
  EXPECT_NE(c.m.reg(10), 7u);
  Case masked;
  masked.m.state().psr |= arm::k_psr_i;
  masked.m.engine->vcpu(0).set_line(k_line_irq, true);
  masked.arm({0xe320f003, 0xe3a0a007});
  EXPECT_EQ(masked.m.reg(10), 7u);
  Case t;
  t.thumb({0xf3af, 0x8003});
  EXPECT_EQ(t.exit, Exit::Wait);
}

TEST(Unjudged, EveryExcludedLineHasATest) {
  std::set<std::string> tests;
  const auto& suite = *::testing::UnitTest::GetInstance()->current_test_suite();
  for (int k = 0; k < suite.total_test_count(); ++k) tests.insert(suite.GetTestInfo(k)->name());
#define EXCLUDE(prefix, reason) EXPECT_TRUE(tests.contains(prefix)) << prefix;
#include "oracle/exclusions.inc"
#undef EXCLUDE
}

// --- cases of lines that it can judge otherwise

TEST(UnjudgedCase, DataProcessingWithPcAndSReturnsFromExceptions) {  // B9.3.20
  constexpr struct {
    u32 word, r14, r1, r2;
  } k_rows[] = {
      {0xe29ef004, k_arm - 4, 0, 0},   // adds pc, lr, #4
      {0xe1f0f001, 0, ~k_arm, 0},      // mvns pc, r1
      {0xe271f000, 0, 0 - k_arm, 0},   // rsbs pc, r1, #0
      {0xe3d1f000, 0, k_arm, 0},       // bics pc, r1, #0
      {0xe191f002, 0, k_arm, 0x1000},  // orrs pc, r1, r2
      {0xe031f082, 0, k_arm, 0},       // eors pc, r1, r2, lsl #1
  };
  for (const auto& row : k_rows) {
    Case c;
    c.m.state().bank_spsr[static_cast<u32>(arm::bank_of(arm::k_mode_svc))] = 0xa0000000 | arm::k_mode_sys;
    arm::change_mode(c.m.state(), arm::k_mode_svc);
    c.m.reg(14) = row.r14;
    c.m.reg(1) = row.r1;
    c.m.reg(2) = row.r2;
    c.arm({row.word});
    c.expect_end(k_arm + 4);
    EXPECT_EQ(arm::cpsr(c.m.state()), 0xa0000000 | arm::k_mode_sys) << std::hex << row.word;
  }
}

TEST(UnjudgedCase, UserModeWritesEndiannessAndFlagsOnly) {  // B1.3.3
  Case c(true);
  c.m.reg(0) = 0xf80f03df;
  const u32 before = arm::cpsr(c.m.state());
  c.arm({0xe12ff000, 0xe10f1000});  // msr cpsr_fsxc, r0; mrs r1, cpsr
  constexpr u32 k_writable = 0xf80f0200;
  EXPECT_EQ(c.m.reg(1) & ~k_writable, before & ~k_writable);
  EXPECT_EQ(c.m.reg(1) & k_writable, k_writable);
}

TEST(UnjudgedCase, ItBlocksAdvanceOverSystemInstructions) {  // A2.5.2
  Case c;
  c.m.state().z = 1;
  c.thumb({0xbf0c, 0xeef0, 0x0a10, 0x2101, 0x2205});  // ite eq; vmrseq r0, fpsid; movne r1, #1; movs r2, #5
  EXPECT_EQ(c.m.reg(0), c.m.state().cp15.ids.fpsid);
  EXPECT_EQ(c.m.reg(1), 0u);
  EXPECT_EQ(c.m.reg(2), 5u);
  Case s;
  s.m.state().z = 1;
  s.m.reg(13) = k_data + 8;
  s.thumb({0xbf0c, 0xe82d, 0xc013, 0x2101, 0x2205});  // ite eq; srsdbeq sp!, #19; movne r1, #1; movs r2, #5
  EXPECT_EQ(s.m.state().mode(), arm::k_mode_und);     // at the UDF
  EXPECT_EQ(arm::read_mode_reg(s.m.state(), arm::k_mode_svc, 13), k_data);
  EXPECT_EQ(s.m.reg(1), 0u);
  EXPECT_EQ(s.m.reg(2), 5u);
}

TEST(UnjudgedCase, BranchesToArmStateEndAnItBlock) {  // A2.5.2, A2.3.2
  for (const std::initializer_list<u16> code : {
           std::initializer_list<u16>{0xbf08, 0x4708},  // it eq; bxeq r1
           std::initializer_list<u16>{0xbf08, 0x4788},  // it eq; blxeq r1
           {0xbf08, 0xbd00},                            // it eq; popeq {pc}
           {0xbf08, 0xf8d2, 0xf000},                    // it eq; ldreq pc, [r2]
       }) {
    Case c;
    c.m.state().z = 1;
    c.m.reg(1) = k_arm;
    c.m.reg(2) = c.m.reg(13) = k_data;
    c.m.put32(k_data, k_arm);
    c.thumb(code);
    c.expect_end(k_arm + 4);
    EXPECT_EQ(c.m.reg(10), 7u);
    EXPECT_EQ(c.m.state().it, 0);
  }
}

TEST(UnjudgedCase, SmladSaturationFlagIsThatOfTheWholeSum) {  // A8.8.176
  for (const u32 addend : {0xffffffffu, 0u}) {
    Case c;
    c.m.reg(1) = c.m.reg(2) = 0x80008000;
    c.m.reg(3) = addend;
    c.arm({0xe7003211});  // smlad r0, r1, r2, r3
    EXPECT_EQ(c.m.reg(0), 0x80000000u + addend);
    EXPECT_EQ((arm::cpsr(c.m.state()) & arm::k_psr_q) != 0, addend == 0);
  }
}

TEST(UnjudgedCase, FixedPointConvertsToNearestWhateverTheRoundingMode) {  // A8.8.309
  for (u32 mode = 0; mode < 4; ++mode) {
    Case c;
    arm::set_fpscr(c.m.state(), mode << 22);
    c.m.state().d[0] = 0x01000001;
    c.arm({0xeeba0aef});  // vcvt.f32.s32 s0, s0, #1
    EXPECT_EQ(c.m.state().d[0] & 0xffffffff, 0x4b000000u) << mode;
    EXPECT_EQ(arm::fpscr(c.m.state()) & 0x1f, 0x10u);  // IXC
  }
}

}  // namespace
}  // namespace armvisor::engine::test
