// What a vCPU counts, by hand-assembled words: each trap once, in its class.
#include <optional>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

using measure::Counter;

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000;

bool compiled() {
  return std::getenv("ARMVISOR_TEST_ENGINE") && std::string(std::getenv("ARMVISOR_TEST_ENGINE")) == "jit";
}

u64 count(const Machine& m, Counter c) { return m.engine->stats().total()[c]; }
/// Of a kind that generated code does itself, and the interpreter by a function.
u64 either(const Machine& m, Counter fast, Counter light) {
  const u64 fast_count = count(m, fast);
  if (!compiled()) {
    EXPECT_EQ(fast_count, 0u);
  }
  return fast_count + count(m, light);
}

TEST(EngineCounters, SensitiveOperationsAreCountedOnce) {
  Machine m;
  m.words(k_code, {
                      0xe3a05000 | 100,  // mov r5, #100
                      0xe1923f9f,        // ldrex r3, [r2]
                      0xe1824f93,        // strex r4, r3, [r2]
                      0xf57ff05f,        // dmb
                      0xe10f6000,        // mrs r6, cpsr
                      0xee1d7f90,        // mrc p15, 0, r7, c13, c0, 4
                      0xee0d7f90,        // mcr p15, 0, r7, c13, c0, 4
                      0xf1080080,        // cpsie i
                      0xe2555001,        // subs r5, r5, #1
                      0x1afffff6,        // bne -8
                      k_stop,
                  });
  m.reg(2) = k_data;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(either(m, Counter::FastExclusive, Counter::LightExclusive), 200u);
  EXPECT_EQ(either(m, Counter::FastBarrier, Counter::LightBarrier), 100u);
  EXPECT_EQ(count(m, Counter::FastPsrRead) + count(m, Counter::FastPsrWrite) + count(m, Counter::LightPsr),
            compiled() ? 200u : 300u);     // the interpreter has CPS as a read and a write
  const u64 plain = compiled() ? 100 : 0;  // the interpreter has them as moves
  EXPECT_EQ(either(m, Counter::FastSysRead, Counter::LightSysRead), plain);
  EXPECT_EQ(either(m, Counter::FastSysWrite, Counter::LightSysWrite), plain);
  EXPECT_EQ(count(m, Counter::HeavyHvc), 1u);
  if (compiled()) {
    EXPECT_GE(count(m, Counter::FastExclusive), 190u);
  }
}

/// A machine with the compiling engine at a level of traps.
class Leveled {
 public:
  explicit Leveled(const char* level) {
    const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
    const std::string before = engine ? engine : "interp";
    ::setenv("ARMVISOR_TEST_ENGINE", "jit", 1);
    ::setenv("ARMVISOR_TEST_TRAPS", level, 1);
    machine.emplace();
    ::setenv("ARMVISOR_TEST_ENGINE", before.c_str(), 1);
    ::unsetenv("ARMVISOR_TEST_TRAPS");
  }
  std::optional<Machine> machine;
};

/// 100 rounds of one sensitive instruction of each kind, in Supervisor mode with vectors at the start of RAM.
void run_sensitive_loop(Machine& m) {
  m.words(k_ram + 8, {
                         0xe28ee000,  // add lr, lr, #0
                         0xe1b0f00e,  // movs pc, lr
                     });
  m.words(k_code, {
                      0xe3a05000 | 100,  // mov r5, #100
                      0xe10f6000,        // mrs r6, cpsr
                      0xe121f006,        // msr cpsr_c, r6
                      0xf1080080,        // cpsie i
                      0xe14f6000,        // mrs r6, spsr
                      0xe8c24000,        // stmia r2, {r14}^
                      0xee1d7f90,        // mrc p15, 0, r7, c13, c0, 4: TPIDRPRW
                      0xee0d7f90,        // mcr p15, 0, r7, c13, c0, 4
                      0xee033f10,        // mcr p15, 0, r3, c3, c0, 0: DACR
                      0xee087f17,        // mcr p15, 0, r7, c8, c7, 0: TLBIALL
                      0xe1a0400e,        // mov r4, lr
                      0xef000000,        // svc #0
                      0xe1a0e004,        // mov lr, r4
                      0xe2555001,        // subs r5, r5, #1
                      0x1afffff1,        // bne -13
                      k_stop,
                  });
  m.state().cp15.vbar = k_ram;
  m.reg(2) = k_data;
  m.reg(3) = m.state().cp15.dacr;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
}

TEST(EngineCounters, ALevelSaysWhatIsAHeavyTrap) {
  if (!jit_available()) GTEST_SKIP() << "no compiling engine on this host";
  struct Expected {
    const char* level;
    u64 psr, banked, sysreg_read, sysreg_write, domains, svc, returns;
  };
  for (const Expected& e : {Expected{"all", 400, 100, 100, 200, 100, 100, 100},
                            Expected{"drfa", 0, 0, 0, 100, 100, 100, 100}, Expected{"drfa+fit", 0, 0, 0, 0, 0, 0, 0}}) {
    SCOPED_TRACE(e.level);
    Leveled leveled(e.level);
    Machine& m = *leveled.machine;
    run_sensitive_loop(m);
    EXPECT_EQ(count(m, Counter::HeavyPsr), e.psr);
    EXPECT_EQ(count(m, Counter::HeavyBanked), e.banked);
    EXPECT_EQ(count(m, Counter::HeavySysRead), e.sysreg_read);
    EXPECT_EQ(count(m, Counter::HeavySysWrite), e.sysreg_write);
    EXPECT_EQ(count(m, Counter::HeavyDomains), e.domains);
    EXPECT_EQ(count(m, Counter::HeavySvc), e.svc);
    EXPECT_EQ(count(m, Counter::HeavyReturn), e.returns);
    // Each instruction is one trap of one class.
    const auto all = [&](Counter fast, Counter light, Counter heavy) {
      return count(m, fast) + count(m, light) + count(m, heavy);
    };
    const u64 psr = count(m, Counter::FastPsrRead) + count(m, Counter::FastPsrWrite) + count(m, Counter::LightPsr);
    EXPECT_EQ(psr + e.psr, 400u);
    EXPECT_EQ(all(Counter::FastBanked, Counter::LightBanked, Counter::HeavyBanked), 100u);
    EXPECT_EQ(all(Counter::FastSysRead, Counter::LightSysRead, Counter::HeavySysRead), 100u);
    EXPECT_EQ(all(Counter::FastSysWrite, Counter::LightSysWrite, Counter::HeavySysWrite), 200u);
    EXPECT_EQ(all(Counter::FastDomains, Counter::LightDomains, Counter::HeavyDomains), 100u);
    EXPECT_EQ(all(Counter::FastSvc, Counter::LightSvc, Counter::HeavySvc), 100u);
    EXPECT_EQ(all(Counter::FastReturn, Counter::LightReturn, Counter::HeavyReturn), 100u);
  }
}

TEST(EngineCounters, AHiddenFaultIsOneMissPerPage) {
  Machine m;
  m.words(k_code, {
                      0xe3a05000 | 10,  // mov r5, #10
                      0xe5923000,       // ldr r3, [r2]
                      0xe5923004,       // ldr r3, [r2, #4]
                      0xe2822a01,       // add r2, r2, #4096
                      0xe2555001,       // subs r5, r5, #1
                      0x1afffffa,       // bne -4
                      k_stop,
                  });
  m.reg(2) = k_data;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(count(m, Counter::HiddenData), 10u);
  EXPECT_EQ(count(m, Counter::LightLoad), 10u);
  EXPECT_EQ(count(m, Counter::HiddenExec), 1u);
  EXPECT_EQ(count(m, Counter::TrueData), 0u);
}

TEST(EngineCounters, CodeWritesAndTranslations) {
  Machine m;
  m.words(k_code, {
                      0xe5821000,  // str r1, [r2]
                      0xe5821004,  // str r1, [r2, #4]
                      k_stop,
                  });
  m.reg(2) = k_code + 0x800;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(count(m, Counter::CodeWrite), 2u);
  const u64 translations = count(m, Counter::CodeTranslation);
  EXPECT_GE(translations, 1u);
  const measure::Snapshot s = m.engine->stats();
  EXPECT_EQ(s[measure::MachineCounter::BlocksPublished], translations);
  EXPECT_EQ(s[measure::MachineCounter::LiveBlocks], translations);
  EXPECT_GE(s[measure::MachineCounter::LiveGuestBytes], 12u);
  EXPECT_EQ(s[measure::MachineCounter::LiveHostBytes] > 0, compiled());
}

TEST(EngineCounters, NoTimeIsCountedUnlessAskedFor) {
  Machine m;
  m.words(k_code, {k_stop});
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  for (const u64 ns : m.engine->stats().total().ns) EXPECT_EQ(ns, 0u);
}

}  // namespace
}  // namespace armvisor::engine::test
