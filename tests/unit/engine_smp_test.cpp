// Several vCPUs on threads: exclusives, broadcast TLB maintenance, code changed by another vCPU, kicks.
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000;

constexpr u32 k_max_test_vcpus = 8;

/// Runs every vCPU from its own address until it stops.
void run_all(Machine& m, std::initializer_list<u32> starts) {
  std::vector<std::thread> threads;
  u32 k = 0;
  for (const u32 pc : starts) {
    threads.emplace_back([&m, pc, k] {
      Exit exit = m.run(pc, k);
      while (exit == Exit::Yield) exit = m.engine->vcpu(k).run();
      EXPECT_EQ(exit, Exit::Kicked);
    });
    ++k;
  }
  for (auto& t : threads) t.join();
}

TEST(EngineSmp, ExclusiveIncrementsAreNotLost) {
  constexpr u32 k_rounds = 20000, k_vcpus = 4;
  Machine m(k_vcpus);
  m.words(k_code, {
                      0xe1923f9f,  // ldrex r3, [r2]
                      0xe2833001,  // add r3, r3, #1
                      0xe1824f93,  // strex r4, r3, [r2]
                      0xe3540000,  // cmp r4, #0
                      0x1afffffa,  // bne -6
                      0xe2511001,  // subs r1, r1, #1
                      0x1afffff8,  // bne -8
                      k_stop,
                  });
  for (u32 k = 0; k < k_vcpus; ++k) {
    m.reg(1, k) = k_rounds;
    m.reg(2, k) = k_data;
  }
  run_all(m, {k_code, k_code, k_code, k_code});
  EXPECT_EQ(m.get32(k_data), k_rounds * k_vcpus);
}

TEST(EngineSmp, StoreExclusiveOfTheSameValueIsSeen) {
  Machine m(2);
  m.words(k_code, {0xe1923f9f, k_stop});                      // ldrex r3, [r2]; stop
  m.words(k_code + 0x100, {0xe1824f93, k_stop});              // strex r4, r3, [r2]; stop
  m.words(k_code + 0x200, {0xe1923f9f, 0xe1824f93, k_stop});  // both
  for (u32 k = 0; k < 2; ++k) m.reg(2, k) = k_data;
  m.run(k_code, 0);
  m.run(k_code + 0x200, 1);
  EXPECT_EQ(m.reg(4, 1), 0u);
  m.run(k_code + 0x100, 0);
  EXPECT_EQ(m.reg(4, 0), 1u);
}

/// vCPU 0 rewrites an instruction that vCPU 1 keeps calling, with the maintenance that the architecture asks for, and
/// then tells it; from then on vCPU 1 must see the new one.
TEST(EngineSmp, CodeWrittenByAnotherVcpuIsSeenAfterMaintenance) {
  for (u32 round = 0; round < 30; ++round) {
    Machine m(2);
    const u32 function = k_ram + 0x30000, flag = k_data, writer = k_code, caller = k_code + 0x1000;
    m.words(function, {0xe3a00001, 0xe12fff1e});  // mov r0, #1; bx lr
    m.words(writer, {
                        0xe5810004,  // str r0, [r1, #4]   (makes the page writable in the TLB)
                        0xe2533001,  // subs r3, r3, #1
                        0x1afffffd,  // bne -3
                        0xe5812000,  // str r2, [r1]       (the new instruction)
                        0xf57ff04f,  // dsb
                        0xee071f35,  // mcr p15, 0, r1, c7, c5, 1  (ICIMVAU)
                        0xf57ff04f,  // dsb
                        0xe3a05001,  // mov r5, #1
                        0xe5845000,  // str r5, [r4]
                        k_stop,
                    });
    m.words(caller, {
                        0xe5945000,  // ldr r5, [r4]
                        0xf57ff06f,  // isb
                        0xe12fff36,  // blx r6
                        0xe3550000,  // cmp r5, #0
                        0x0afffffa,  // beq -6
                        k_stop,
                    });
    m.reg(0, 0) = 0xe12fff1e;
    m.reg(1, 0) = function;
    m.reg(2, 0) = 0xe3a00002;  // mov r0, #2
    m.reg(3, 0) = 200 + round * 50;
    m.reg(4, 0) = m.reg(4, 1) = flag;
    m.reg(6, 1) = function;
    run_all(m, {writer, caller});
    EXPECT_EQ(m.reg(0, 1), 2u);
  }
}

/// vCPU 0 unmaps a page and invalidates it in the inner shareable domain; after its DSB no other vCPU may write it.
TEST(EngineSmp, BroadcastInvalidationCompletesBeforeTheBarrier) {
  for (u32 round = 0; round < 20; ++round) {
    Machine m(2);
    const u32 table = k_ram + 0x4000, level2 = k_ram + 0x7000, page = 0x50000000, target = k_data;
    m.put32(table + 0x400 * 4, k_ram | 0x10c0e);  // section: RAM
    m.put32(table + 0x500 * 4, level2 | 1);       // page table for 0x50000000
    m.put32(level2, target | 0x43e);              // small page, Normal, read-write, shareable
    for (u32 k = 0; k < 2; ++k) {
      m.state(k).cp15.ttbr0 = table;
      m.state(k).cp15.dacr = 1;
      m.state(k).cp15.sctlr |= 1;
      m.state(k).cp15.vbar = k_ram;
    }
    m.words(k_ram + 0x10, {k_stop});  // data abort
    m.words(k_code, {
                        0xe2533001,  // subs r3, r3, #1
                        0x1afffffd,  // bne -3
                        0xe5815000,  // str r5(0), [r1]   unmap
                        0xf57ff04f,  // dsb
                        0xee082f33,  // mcr p15, 0, r2, c8, c3, 1  (TLBIMVAIS)
                        0xf57ff04f,  // dsb
                        0xe5946000,  // ldr r6, [r4]      what is there now
                        0xe3a03c10,  // mov r3, #4096
                        0xe2533001,  // subs r3, r3, #1
                        0x1afffffd,  // bne -3
                        0xe5947000,  // ldr r7, [r4]      must be the same later
                        k_stop,
                    });
    m.words(k_code + 0x1000, {
                                 0xe2800001,  // add r0, r0, #1
                                 0xe5820000,  // str r0, [r2]
                                 0xeafffffc,  // b -4
                             });
    m.reg(1, 0) = level2;
    m.reg(2, 0) = m.reg(2, 1) = page;
    m.reg(3, 0) = 1000 + round * 500;
    m.reg(4, 0) = target;
    run_all(m, {k_code, k_code + 0x1000});
    EXPECT_EQ(m.reg(6, 0), m.reg(7, 0));
    EXPECT_EQ(m.state(1).mode(), arm::k_mode_abt);
    EXPECT_EQ(m.state(1).cp15.dfar, page);
    EXPECT_EQ(m.reg(0, 1), m.get32(target) + 1);
  }
}

TEST(EngineSmp, KickStopsARunningVcpu) {
  Machine m;
  m.words(k_code, {0xeafffffe});  // b .
  std::thread runner([&m] { EXPECT_EQ(m.run(k_code), Exit::Kicked); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  m.engine->vcpu(0).kick();
  runner.join();
}

TEST(EngineSmp, LineRaisedFromOutsideInterruptsALoop) {
  Machine m;
  m.words(k_ram + 0x18, {k_stop});
  m.words(k_code, {0xf1080080, 0xeafffffe});  // cpsie i; b .
  m.state().cp15.vbar = k_ram;
  std::thread runner([&m] { EXPECT_EQ(m.run(k_code), Exit::Kicked); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  m.engine->vcpu(0).set_line(k_line_irq, true);
  runner.join();
  EXPECT_EQ(m.state().mode(), arm::k_mode_irq);
}

TEST(EngineSmp, KernelThatSpinsGivesTheHostCpuAway) {
  if (!jit_available() || std::getenv("ARMVISOR_TEST_VERIFY")) GTEST_SKIP() << "of compiled code at its own speed";
  Machine m(k_max_test_vcpus, {}, {}, "jit");
  if (std::thread::hardware_concurrency() >= k_max_test_vcpus) GTEST_SKIP() << "as many host CPUs as vCPUs";
  m.words(k_code, {
                      0xe2500001,  // subs r0, r0, #1
                      0xf57ff05b,  // dmb ish
                      0xf57ff05b,  // dmb ish
                      0xf57ff05b,  // dmb ish
                      0x1afffffa,  // bne to the first
                      k_stop,
                  });
  m.reg(0) = 4'000'000;
  EXPECT_EQ(m.run(k_code), Exit::Yield);
  arm::change_mode(m.state(), arm::k_mode_usr);
  m.words(k_ram + 4, {k_stop});  // Undefined Instruction: HVC at PL0
  m.state().cp15.vbar = k_ram;
  m.reg(0) = 100'000;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
}

TEST(EngineSmp, SendEventWakesWaitForEvent) {
  Machine m(2);
  m.words(k_code, {0xe320f002, k_stop});          // wfe
  m.words(k_code + 0x100, {0xe320f004, k_stop});  // sev
  EXPECT_EQ(m.run(k_code, 0), Exit::WaitEvent);
  EXPECT_EQ(m.run(k_code + 0x100, 1), Exit::Kicked);
  EXPECT_EQ(m.run(k_code, 0), Exit::Kicked);
}

}  // namespace
}  // namespace armvisor::engine::test
