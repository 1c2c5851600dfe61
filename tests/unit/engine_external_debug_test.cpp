// An external debugger's breakpoints, watchpoints and steps under an engine: vCPUs stop before the instruction or
// access, nothing of which has happened, also in code that ran and was compiled before; and code elsewhere is as it
// was.
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x200000, k_data = k_ram + 0x300000, k_table = k_ram + 0x10000;
constexpr u32 k_normal_section = 3u << 10 | 1u << 12 | 1u << 3 | 1u << 2 | 2;
using Why = DebugStop::Why;

/// r1 = 100 rounds of r2 += 1 in two blocks of a page; then the end.
constexpr std::initializer_list<u32> k_loop = {
    0xe3a01064,  // mov r1, #100
    0xe2822001,  // add r2, r2, #1
    0xe3110001,  // tst r1, #1
    0x0a000000,  // beq +8
    0xe2833001,  // add r3, r3, #1
    0xe2511001,  // subs r1, r1, #1
    0x1afffff9,  // bne -> add r2
    k_stop,
};

struct World {
  Machine m{1, {}, options()};

  World() {
    for (u32 vector = 0; vector < 0x20; vector += 4) m.put32(k_ram + vector, k_stop);
    m.state().cp15.vbar = k_ram;
    for (u32 mib = 0; mib < k_ram_size >> 20; ++mib)
      m.put32(k_table + 4 * ((k_ram >> 20) + mib), (k_ram + (mib << 20)) | k_normal_section);
    arm::CpuState& s = m.state();
    s.cp15.sctlr |= 1;
    s.cp15.ttbr0 = k_table;
    s.cp15.dacr = 1;
  }
  static JitOptions options() {
    JitOptions options;
    options.hot = 4;
    return options;
  }
  Vcpu& vcpu() { return m.engine->vcpu(0); }
  void stops(std::vector<u32> breakpoints, std::vector<arm::ExternalWatch> watchpoints = {}) {
    m.engine->set_debug_stops({std::move(breakpoints), std::move(watchpoints)});
  }
  Exit run(u32 pc = k_code) {
    m.state().it = 0;
    for (u32 n = 0; n < 9; ++n) m.reg(n) = 0;
    m.reg(9) = k_data;
    return m.run(pc);
  }
  Exit step(bool interrupts = false) {
    vcpu().step(true, interrupts);
    return vcpu().run();
  }
  /// Steps from `pc` until the end of the test's code; how many it took.
  u32 steps(u32 pc, u32 most) {
    m.reg(15) = pc;
    for (u32 n = 0; n < most; ++n)
      if (step() == Exit::Kicked) return n;
    return most;
  }
};

TEST(EngineExternalDebug, ABreakpointIsMetInCodeThatHasRun) {
  World w;
  w.m.words(k_code, k_loop);
  for (u32 k = 0; k < 5; ++k) EXPECT_EQ(w.run(), Exit::Kicked);
  w.m.engine->await_compiler();
  w.stops({k_code + 16});
  EXPECT_EQ(w.run(), Exit::Debug);
  EXPECT_EQ(w.vcpu().debug_stop().why, Why::Breakpoint);
  EXPECT_EQ(w.m.reg(15), k_code + 16);
  EXPECT_EQ(w.m.reg(2), 2u) << "two rounds had begun";
  EXPECT_EQ(w.m.reg(3), 0u);
  EXPECT_EQ(w.vcpu().run(), Exit::Debug) << "it is still there";
  EXPECT_EQ(w.m.reg(2), 2u);
  EXPECT_EQ(w.step(), Exit::Debug);
  EXPECT_EQ(w.vcpu().debug_stop().why, Why::Step) << "a step goes over it";
  EXPECT_EQ(w.m.reg(15), k_code + 20);
  EXPECT_EQ(w.m.reg(3), 1u);
  EXPECT_EQ(w.vcpu().run(), Exit::Debug);
  EXPECT_EQ(w.m.reg(2), 4u);
  w.stops({});
  EXPECT_EQ(w.vcpu().run(), Exit::Kicked);
  EXPECT_EQ(w.m.reg(2), 100u);
  EXPECT_EQ(w.m.reg(3), 50u);
}

TEST(EngineExternalDebug, BreakpointsAreOfVirtualAddresses) {
  World w;
  // The code's MiB is at another address, too.
  constexpr u32 k_alias = 0x50000000;
  w.m.put32(k_table + 4 * (k_alias >> 20), k_code | k_normal_section);
  w.m.words(k_code, k_loop);
  for (const u32 pc : {k_code, k_alias}) EXPECT_EQ(w.run(pc), Exit::Kicked);
  w.stops({k_alias + 4});
  EXPECT_EQ(w.run(k_code), Exit::Kicked);
  EXPECT_EQ(w.run(k_alias), Exit::Debug);
  EXPECT_EQ(w.m.reg(15), k_alias + 4);
  w.stops({k_code + 4});
  EXPECT_EQ(w.run(k_alias), Exit::Kicked);
  EXPECT_EQ(w.run(k_code), Exit::Debug);
}

TEST(EngineExternalDebug, ABreakpointElsewhereChangesNothing) {
  World w;
  w.m.words(k_code, k_loop);
  EXPECT_EQ(w.run(), Exit::Kicked);
  w.m.engine->await_compiler();
  const u64 killed = w.m.engine->stats()[measure::MachineCounter::BlocksKilled];
  w.stops({k_code + 0x1010, k_data});
  EXPECT_EQ(w.run(), Exit::Kicked);
  EXPECT_EQ(w.m.engine->stats()[measure::MachineCounter::BlocksKilled], killed);
}

TEST(EngineExternalDebug, BreakpointsInManyPagesAreMetAndGo) {
  World w;
  std::vector<u32> breakpoints;
  for (u32 page = 0; page < 64; ++page) {
    w.m.words(k_code + (page << 12), {0xe2800001, 0xe2811001, k_stop});
    w.run(k_code + (page << 12));
    if (page % 3 != 1) breakpoints.push_back(k_code + (page << 12) + 4);
  }
  w.stops(breakpoints);
  for (u32 page = 0; page < 64; ++page)
    EXPECT_EQ(w.run(k_code + (page << 12)), page % 3 != 1 ? Exit::Debug : Exit::Kicked) << page;
  w.stops({k_code + 4});
  for (u32 page = 0; page < 64; ++page)
    EXPECT_EQ(w.run(k_code + (page << 12)), page == 0 ? Exit::Debug : Exit::Kicked) << page;
}

/// Loops and copies of code are compiled as without breakpoints in their page, but for the blocks that hold one.
TEST(EngineExternalDebug, ABreakpointInThePageOfALoopChangesNothingElse) {
  using measure::MachineCounter;
  const auto regions = [](std::vector<u32> breakpoints) {
    World w;
    w.m.words(k_code, k_loop);
    w.m.words(k_code + 0x100, {0xe2800001, k_stop});
    w.stops(std::move(breakpoints));
    for (u32 k = 0; k < 30; ++k) {
      EXPECT_EQ(w.run(), Exit::Kicked);
      w.m.engine->await_compiler();
    }
    EXPECT_EQ(w.m.reg(3), 50u);
    return w.m.engine->stats()[MachineCounter::RegionsPublished];
  };
  const u64 without = regions({});
  EXPECT_EQ(without > 0, std::getenv("ARMVISOR_TEST_ENGINE") != nullptr) << "of a compiler";
  EXPECT_EQ(regions({k_code + 0x100, k_code + 0xffc}), without);
}

TEST(EngineExternalDebug, ABreakpointInALoopIsMetEachTime) {
  World w;
  w.m.words(k_code, k_loop);
  w.stops({k_code + 16});  // in the block that every second round goes through
  w.run();
  for (u32 round = 1; round <= 50; ++round) {
    EXPECT_EQ(w.m.reg(15), k_code + 16);
    EXPECT_EQ(w.m.reg(2), 2 * round);
    EXPECT_EQ(w.m.reg(3), round - 1);
    w.m.engine->await_compiler();
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.vcpu().run(), round == 50 ? Exit::Kicked : Exit::Debug);
  }
}

TEST(EngineExternalDebug, CodeIsMovedBesideABreakpointAndNotOverOne) {
  World w;
  constexpr u32 k_alias = 0x50000000;
  w.m.put32(k_table + 4 * (k_alias >> 20), k_code | k_normal_section);
  w.m.words(k_code, {0xe2800001, k_stop, 0xe2800001, 0xe2800001, k_stop});
  for (const u32 pc : {k_code, k_code + 8})
    for (u32 k = 0; k < 10; ++k) {
      EXPECT_EQ(w.run(pc), Exit::Kicked);
      w.m.engine->await_compiler();
    }
  const auto moved = [&w] { return w.m.engine->stats().vcpus[0][measure::Counter::CodeMove]; };
  const bool compiles = std::getenv("ARMVISOR_TEST_ENGINE") != nullptr;  // what is interpreted is not moved
  w.stops({k_alias + 12});
  EXPECT_EQ(w.run(k_alias), Exit::Kicked);
  EXPECT_EQ(moved(), u64{compiles});
  EXPECT_EQ(w.run(k_alias + 8), Exit::Debug);
  EXPECT_EQ(w.m.reg(15), k_alias + 12);
  EXPECT_EQ(moved(), u64{compiles});
}

TEST(EngineExternalDebug, AConditionThatFailsIsNoMatter) {
  World w;
  w.m.words(k_code, {0xe3500001, 0x03a01001, 0x13a02001, k_stop});  // cmp r0, #1; moveq r1, #1; movne r2, #1
  w.stops({k_code + 4});
  EXPECT_EQ(w.run(), Exit::Debug);
  EXPECT_EQ(w.m.reg(15), k_code + 4);
}

TEST(EngineExternalDebug, CodeThatIsWrittenKeepsItsBreakpoint) {
  World w;
  w.m.words(k_code, {0xe2800001, 0xe2811001, k_stop});  // add r0, r0, #1; add r1, r1, #1
  w.stops({k_code + 4});
  EXPECT_EQ(w.run(), Exit::Debug);
  w.m.put32(k_code, 0xe2800002);
  w.m.put32(k_code + 4, 0xe2811002);
  EXPECT_EQ(w.run(), Exit::Debug);
  EXPECT_EQ(w.m.reg(0), 2u);
  w.stops({});
  EXPECT_EQ(w.vcpu().run(), Exit::Kicked);
  EXPECT_EQ(w.m.reg(1), 2u);
}

TEST(EngineExternalDebug, AStepIsOneInstruction) {
  World w;
  w.m.words(k_code, k_loop);
  for (u32 k = 0; k < 5; ++k) w.run();
  for (u32 n = 0; n < 9; ++n) w.m.reg(n) = 0;
  EXPECT_EQ(w.steps(k_code, 1000), 1u + 50 * 5 + 50 * 6) << "mov, and rounds with and without the second add";
  EXPECT_EQ(w.m.reg(2), 100u);
  w.vcpu().step(false, false);
  EXPECT_EQ(w.run(), Exit::Kicked) << "and then it runs again";
  EXPECT_EQ(w.m.reg(3), 50u);
}

TEST(EngineExternalDebug, AStepInAnItBlockKeepsItsState) {
  World w;
  // it eq; then: movs r0, #1; movs r1, #2; movs r2, #3 as ITTE; nop; hvc #0
  w.m.words(k_code, {0xbf064280, 0x21022001, 0xbf002203, 0x8000f7e0});  // cmp r0, r0; itte eq
  w.m.state().psr |= arm::k_psr_t;
  for (u32 n = 0; n < 9; ++n) w.m.reg(n) = 0;
  w.m.reg(15) = k_code;
  const u32 pcs[] = {2, 4, 6, 8, 10, 12};
  for (const u32 pc : pcs) {
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.m.reg(15), k_code + pc);
    EXPECT_EQ(w.m.state().it != 0, pc >= 4 && pc < 10) << pc;
  }
  EXPECT_EQ(w.m.reg(0), 1u);
  EXPECT_EQ(w.m.reg(1), 2u);
  EXPECT_EQ(w.m.reg(2), 0u) << "its condition fails";
}

TEST(EngineExternalDebug, AStepIntoAnExceptionEndsAtTheVector) {
  World w;
  w.m.words(k_code, {0xef000000, 0xe7f000f0, 0xe5900000});  // svc #0; udf; ldr r0, [r0]
  w.m.reg(0) = 0x100;
  const u32 vectors[] = {8, 4, 0x10};
  for (u32 n = 0; n < 3; ++n) {
    w.m.reg(15) = k_code + 4 * n;
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.m.reg(15), k_ram + vectors[n]);
  }
  w.m.reg(15) = 0x100;  // nothing is mapped there
  EXPECT_EQ(w.step(), Exit::Debug);
  EXPECT_EQ(w.m.reg(15), k_ram + 0xc);
}

TEST(EngineExternalDebug, AStepToWhereNothingIsMappedIsTheJumpAlone) {
  World w;
  w.m.words(k_code, {0xe12fff10, 0xe12fff11});  // bx r0; bx r1
  w.m.reg(0) = 0x100;                           // no section there
  w.m.reg(1) = 0x201;                           // nor there, in Thumb
  w.m.state().psr &= ~arm::k_psr_i;
  const u32 psr = arm::cpsr(w.m.state());
  for (const u32 target : {0x100u, 0x200u}) {
    w.m.reg(15) = k_code + (target == 0x100 ? 0 : 4);
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.vcpu().debug_stop().why, Why::Step);
    EXPECT_EQ(w.vcpu().debug_stop().address, target);
    EXPECT_EQ(w.m.reg(15), target);
    EXPECT_EQ(arm::cpsr(w.m.state()), target == 0x100 ? psr : psr | arm::k_psr_t);
    EXPECT_EQ(w.step(), Exit::Debug) << "the abort is the next step's";
    EXPECT_EQ(w.m.reg(15), k_ram + 0xc);
    EXPECT_EQ(w.m.reg(14), target + 4);
    arm::write_cpsr_by_instr(w.m.state(), psr, 15, true);
    w.vcpu().state_changed();
  }
  // Vectors that are not mapped abort for ever, but each is a step.
  w.m.state().cp15.vbar = 0;
  w.m.reg(15) = 0x100;
  for (u32 k = 0; k < 3; ++k) {
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.m.reg(15), 0xcu);
  }
}

TEST(EngineExternalDebug, AStepWaitsForNothingAndTakesInterruptsOnRequest) {
  World w;
  w.m.words(k_code, {0xe320f003, 0xe320f002, 0xe1a00000, k_stop});  // wfi; wfe; nop
  w.m.state().psr &= ~arm::k_psr_i;
  w.m.reg(15) = k_code;
  for (const u32 pc : {4, 8}) {
    EXPECT_EQ(w.step(), Exit::Debug);
    EXPECT_EQ(w.m.reg(15), k_code + pc);
  }
  w.vcpu().set_line(k_line_irq, true);
  EXPECT_EQ(w.step(), Exit::Debug);
  EXPECT_EQ(w.m.reg(15), k_code + 12);
  w.m.reg(15) = k_code + 8;
  w.step(true);
  EXPECT_EQ(w.m.reg(15), k_ram + 0x18) << "of which nothing is executed yet";
}

TEST(EngineExternalDebug, StepsGoOverExclusives) {
  World w;
  w.m.words(k_code,
            {0xe1991f9f, 0xe2811001, 0xe1892f91, k_stop});  // ldrex r1, [r9]; add r1, r1, #1; strex r2, r1, [r9]
  w.m.put32(k_data, 41);
  w.m.reg(9) = k_data;
  w.m.reg(2) = 7;
  EXPECT_EQ(w.steps(k_code, 10), 3u);
  EXPECT_EQ(w.m.reg(2), 0u);
  EXPECT_EQ(w.m.get32(k_data), 42u);
}

TEST(EngineExternalDebug, AWatchpointStopsBeforeTheAccess) {
  World w;
  w.m.words(k_code,
            {0xe3a00005, 0xe5991000, 0xe5890000, 0xe5d92003, k_stop});  // mov; ldr r1, [r9]; str r0; ldrb r2, [r9, #3]
  for (u32 k = 0; k < 5; ++k) EXPECT_EQ(w.run(), Exit::Kicked);
  const auto expect_stop = [&](u32 pc, u32 va) {
    EXPECT_EQ(w.m.reg(15), k_code + pc);
    EXPECT_EQ(w.vcpu().debug_stop().why, Why::Watchpoint);
    EXPECT_EQ(w.vcpu().debug_stop().address, va);
  };
  w.m.put32(k_data, 1);
  w.stops({}, {{k_data, 4, false, true}});
  EXPECT_EQ(w.run(), Exit::Debug);
  expect_stop(8, k_data);
  EXPECT_EQ(w.m.get32(k_data), 1u) << "nothing is written yet";
  EXPECT_EQ(w.vcpu().run(), Exit::Debug) << "the same again";
  w.stops({});
  EXPECT_EQ(w.vcpu().run(), Exit::Kicked);
  EXPECT_EQ(w.m.get32(k_data), 5u);
  w.stops({}, {{k_data + 3, 1, true, false}});
  EXPECT_EQ(w.run(), Exit::Debug);
  expect_stop(4, k_data + 3);
  w.stops({}, {{k_data + 4, 4, true, true}});
  EXPECT_EQ(w.run(), Exit::Kicked) << "its neighbour is no matter";
  w.stops({}, {{k_data + 3, 2, true, true}});
  EXPECT_EQ(w.run(), Exit::Debug);
  expect_stop(4, k_data + 3);
}

TEST(EngineExternalDebug, AWatchpointSeesEachKindOfAccess) {
  struct {
    u32 code;
    bool write;
  } const cases[] = {
      {0xe8b90006, false},  // ldm r9!, {r1, r2}
      {0xe8a90006, true},   // stm r9!, {r1, r2}
      {0xe1c920d0, false},  // ldrd r2, r3, [r9]
      {0xe1991f9f, false},  // ldrex r1, [r9]
  };
  for (const auto& c : cases) {
    World w;
    w.m.words(k_code, {c.code, k_stop});
    w.stops({}, {{k_data, 8, !c.write, c.write}});
    EXPECT_EQ(w.run(), Exit::Debug) << std::hex << c.code;
    EXPECT_EQ(w.m.reg(15), k_code);
    EXPECT_EQ(w.m.reg(9), k_data) << "not written back";
    w.stops({}, {{k_data, 8, c.write, !c.write}});
    EXPECT_EQ(w.run(), Exit::Kicked) << std::hex << c.code;
  }
}

}  // namespace
}  // namespace armvisor::engine::test
