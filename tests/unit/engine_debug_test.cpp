// Debug events (ARM DDI 0406C C3) under an engine: breakpoints end blocks that were made and linked before, watchpoints
// are met by accesses that hit before, and both let everything else go on as it did.
#include <random>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_l1 = k_ram + 0x10000, k_kernel = k_ram + 0x18000, k_code = k_ram + 0x200000, k_data = k_ram + 0x300000;
constexpr u32 k_normal = 1u << 12 | 1u << 3 | 1u << 2;  ///< sections: TEX 1, C, B
constexpr u32 k_svc = 0xef000000, k_nop = 0xe1a00000;
constexpr u32 k_undefined = k_ram + 4, k_supervisor = k_ram + 8, k_prefetch = k_ram + 0xc, k_data_abort = k_ram + 0x10;

// CP14 registers: CRn, CRm, op2 in their places.
constexpr u32 cp14(u32 crn, u32 crm, u32 op2) { return crn << 16 | op2 << 5 | crm; }
constexpr u32 k_dscr = cp14(0, 2, 2), k_vcr = cp14(0, 7, 0), k_oslar = cp14(1, 0, 4);
constexpr u32 bvr(u32 n) { return cp14(0, n, 4); }
constexpr u32 bcr(u32 n) { return cp14(0, n, 5); }
constexpr u32 wvr(u32 n) { return cp14(0, n, 6); }
constexpr u32 wcr(u32 n) { return cp14(0, n, 7); }

constexpr u32 k_enable = 1, k_pl1 = 1u << 1, k_user = 2u << 1, k_any_mode = 3u << 1, k_word = 15u << 5;
constexpr u32 k_load = 1u << 3, k_store = 2u << 3, k_any_access = 3u << 3;
constexpr u32 k_break = k_enable | k_any_mode | k_word, k_step = k_enable | k_user | k_word | 4u << 20;
constexpr u32 k_watch = k_enable | k_any_mode | k_any_access | k_word;

enum Moe : u32 { Breakpoint = 1, Bkpt = 3, VectorCatch = 5, Watchpoint = 10 };

/// Vectors that stop the machine, flat translation, monitor debug-mode on.
struct World {
  Machine m;

  explicit World(const char* engine = nullptr) : m(1, {}, options(), engine) {
    for (u32 vector = 0; vector < 0x20; vector += 4) m.put32(k_ram + vector, k_stop);
    for (u32 mib = 0; mib < k_ram_size >> 20; ++mib)
      m.put32(k_l1 + 4 * ((k_ram >> 20) + mib), (k_ram + (mib << 20)) | 3u << 10 | k_normal | 2);
    m.put32(k_l1 + 4 * (k_device >> 20), k_device | 3u << 10 | 1u << 2 | 2);
    arm::CpuState& s = m.state();
    s.cp15.vbar = k_ram;
    s.cp15.sctlr = (s.cp15.sctlr | 1) & ~(1u << 30);
    s.cp15.ttbr0 = k_l1;
    s.cp15.dacr = 1;
    s.cp15.contextidr = 1;
    debug(k_oslar, 0);
    debug(k_dscr, 1u << 15);
  }
  static JitOptions options() {
    JitOptions options;
    options.hot = 4;
    return options;
  }
  void in_mode(u32 mode, bool thumb = false) {
    arm::set_cpsr(m.state(), mode | arm::k_psr_i | arm::k_psr_f | arm::k_psr_a | (thumb ? arm::k_psr_t : 0));
  }
  /// The guest writes a debug register.
  void debug(u32 reg, u32 value) {
    m.words(k_kernel, {0xee000e10 | reg, 0xf57ff06f, k_stop});  // mcr p14, 0, r0, ...; isb
    const u32 r0 = m.reg(0);
    in_mode(arm::k_mode_svc);
    m.reg(0) = value;
    m.run(k_kernel);
    m.reg(0) = r0;
  }
  void breakpoint(u32 n, u32 value, u32 control = k_break) {
    debug(bvr(n), value);
    debug(bcr(n), control);
  }
  void watchpoint(u32 n, u32 value, u32 control = k_watch) {
    debug(wvr(n), value);
    debug(wcr(n), control);
  }
  void run(u32 mode = arm::k_mode_usr, u32 pc = k_code, bool thumb = false) {
    in_mode(mode, thumb);
    for (u32 n = 0; n < 13; ++n) m.reg(n) = n;
    m.reg(9) = k_data;
    EXPECT_EQ(m.run(pc), Exit::Kicked);
  }
  u32 moe() { return m.state().cp15.debug.dscr >> 2 & 15; }
  void expect_stop(u32 vector) { EXPECT_EQ(m.reg(15), vector + 4); }
  void expect_break(u32 at, u32 why = Breakpoint) {
    expect_stop(k_prefetch);
    EXPECT_EQ(m.reg(14), at + 4);
    EXPECT_EQ(m.state().cp15.ifsr & 0x40f, 2u);
    EXPECT_EQ(moe(), why);
  }
  void expect_watch(u32 at, u32 address, bool write) {
    expect_stop(k_data_abort);
    EXPECT_EQ(m.reg(14), at + 8);
    EXPECT_EQ(m.state().cp15.dfsr & 0xc0f, 2u | u32{write} << 11);
    EXPECT_EQ(m.state().cp15.dfar, address);
    EXPECT_EQ(moe(), Watchpoint);
  }
};

/// r1 = 100 rounds of r2 += 1 in two blocks of a page; then SVC.
constexpr std::initializer_list<u32> k_loop = {
    0xe3a01064,  // mov r1, #100
    0xe2822001,  // add r2, r2, #1
    0xe3110001,  // tst r1, #1
    0x0a000000,  // beq +8
    0xe2833001,  // add r3, r3, #1
    0xe2511001,  // subs r1, r1, #1
    0x1afffff9,  // bne -> add r2
    k_svc,
};

TEST(EngineDebug, ABreakpointIsMetInCodeThatHasRun) {
  for (const u32 mode : {arm::k_mode_usr, arm::k_mode_sys}) {
    World w;
    w.m.words(k_code, k_loop);
    for (u32 k = 0; k < 5; ++k) w.run(mode);
    w.expect_stop(k_supervisor);
    w.breakpoint(0, k_code + 16);
    w.run(mode);
    w.expect_break(k_code + 16);
    EXPECT_EQ(w.m.reg(2), 4u) << "two rounds had begun";
    EXPECT_EQ(w.m.reg(3), 3u);
    w.debug(bcr(0), 0);
    w.run(mode);
    w.expect_stop(k_supervisor);
    EXPECT_EQ(w.m.reg(2), 102u);
    EXPECT_EQ(w.m.reg(3), 53u);
    w.debug(bcr(0), k_break);
    w.run(mode);
    w.expect_break(k_code + 16);
  }
}

TEST(EngineDebug, ABreakpointElsewhereChangesNothing) {
  World w;
  w.m.words(k_code, k_loop);
  w.breakpoint(0, k_code + 0x100);
  for (u32 k = 0; k < 5; ++k) {
    w.run();
    w.expect_stop(k_supervisor);
    EXPECT_EQ(w.m.reg(2), 102u);
    EXPECT_EQ(w.m.reg(3), 53u);
  }
}

TEST(EngineDebug, ABreakpointIsOfItsModesOnly) {
  World w;
  w.m.words(k_code, k_loop);
  w.breakpoint(0, k_code + 4, k_enable | k_user | k_word);
  w.run(arm::k_mode_svc);
  w.expect_stop(k_supervisor);
  w.run(arm::k_mode_usr);
  w.expect_break(k_code + 4);
  w.debug(bcr(0), k_enable | k_pl1 | k_word);
  w.run(arm::k_mode_usr);
  w.expect_stop(k_supervisor);
  w.run(arm::k_mode_irq);
  w.expect_break(k_code + 4);
}

TEST(EngineDebug, AnInstructionWhoseConditionFailsIsABreakpointToo) {
  World w;
  w.m.words(k_code, {0xe3500000, 0x12811001, 0x02822001, k_svc});  // cmp r0, #0; addne r1; addeq r2; svc
  w.breakpoint(1, k_code + 4);
  w.run();
  w.expect_break(k_code + 4);
  w.breakpoint(1, k_code + 8);
  w.run();
  w.expect_break(k_code + 8);
  EXPECT_EQ(w.m.state().bank_spsr[static_cast<u32>(arm::Bank::Abt)] >> 28, 6u) << "flags of the compare";
}

TEST(EngineDebug, ABreakpointInThumbCodeIsOfAHalfWord) {
  World w;
  // movs r1, #1; movs r2, #2; it eq; moveq r3, #3; svc #0
  w.m.words(k_code, {0x22022101, 0x2303bf08, 0xdf00bf00});
  w.breakpoint(0, k_code, k_enable | k_any_mode | 12u << 5);
  w.run(arm::k_mode_usr, k_code, true);
  w.expect_break(k_code + 2);
  EXPECT_EQ(w.m.reg(1), 1u);
  EXPECT_EQ(w.m.reg(2), 2u);
  w.debug(bvr(0), k_code + 4);
  w.run(arm::k_mode_usr, k_code, true);
  w.expect_break(k_code + 6);
  const u32 spsr = w.m.state().bank_spsr[static_cast<u32>(arm::Bank::Abt)];
  EXPECT_EQ(spsr & 0x0600fc20, 0x00000820u) << "ITSTATE of the instruction";
  EXPECT_EQ(w.m.reg(2), 2u);
}

TEST(EngineDebug, ALinkedBreakpointIsOfAContext) {
  World w;
  w.m.words(k_code, k_loop);
  w.breakpoint(5, 0x1234, k_enable | k_any_mode | k_word | 3u << 20);
  w.breakpoint(0, k_code + 4, k_break | 1u << 20 | 5u << 16);
  w.run();
  w.expect_stop(k_supervisor);
  w.m.state().cp15.contextidr = 0x1234;
  w.run();
  w.expect_break(k_code + 4);
  w.debug(bcr(0), 0);
  w.debug(bcr(5), k_enable | k_user | k_word | 2u << 20);
  w.run();
  w.expect_break(k_code);
}

TEST(EngineDebug, AMismatchStepsOneInstruction) {
  World w;
  w.m.words(k_code, k_loop);
  w.run();
  u32 at = k_code;
  u32 r1 = 0, r2 = 2, cpsr = 0;
  for (const u32 next : {4, 8, 12, 20, 24, 4, 8, 12, 16}) {
    w.breakpoint(3, at, k_step);
    w.in_mode(arm::k_mode_usr);
    arm::set_cpsr(w.m.state(), arm::cpsr(w.m.state()) | (cpsr & 0xf0000000));
    w.m.reg(1) = r1;
    w.m.reg(2) = r2;
    w.m.run(at);
    at = k_code + next;
    w.expect_break(at);
    r1 = w.m.reg(1);
    r2 = w.m.reg(2);
    cpsr = w.m.state().bank_spsr[static_cast<u32>(arm::Bank::Abt)];
  }
  EXPECT_EQ(r1, 99u);
  EXPECT_EQ(r2, 4u);
}

TEST(EngineDebug, BkptNeedsNoDebugMode) {
  World w;
  w.debug(k_dscr, 0);
  w.m.words(k_code, {k_nop, 0xe1200070, k_svc});
  w.run();
  w.expect_break(k_code + 4, Bkpt);
}

TEST(EngineDebug, VectorsAreCaught) {
  World w;
  w.m.words(k_code, {k_nop, k_svc});
  w.run();
  w.expect_stop(k_supervisor);
  w.debug(k_vcr, 1u << 2);
  w.run();
  w.expect_break(k_supervisor, VectorCatch);
  w.m.words(k_code, {0xe7f000f0});
  w.run();
  w.expect_stop(k_undefined);
  w.debug(k_vcr, 0);
  w.m.words(k_code, {k_nop, k_svc});
  w.run();
  w.expect_stop(k_supervisor);
}

TEST(EngineDebug, AnAccessThatHitMeetsTheWatchpoint) {
  for (const u32 mode : {arm::k_mode_usr, arm::k_mode_sys}) {
    World w;
    w.m.words(k_code, {0xe5892004, 0xe5993004, 0xe5994008, k_svc});  // str r2, [r9, #4]; ldr r3, [r9, #4]; ldr r4, ...
    for (u32 k = 0; k < 5; ++k) w.run(mode);
    w.expect_stop(k_supervisor);
    w.m.put32(k_data + 4, 0x55555555);
    w.watchpoint(0, k_data + 4);
    w.run(mode);
    w.expect_watch(k_code, k_data + 4, true);
    EXPECT_EQ(w.m.get32(k_data + 4), 0x55555555u) << "not stored";
    w.debug(wcr(0), (k_watch & ~k_store));
    w.run(mode);
    w.expect_watch(k_code + 4, k_data + 4, false);
    EXPECT_EQ(w.m.reg(3), 3u) << "not loaded";
    w.debug(wvr(0), k_data + 12);
    w.run(mode);
    w.expect_stop(k_supervisor);
    w.debug(wvr(0), k_data + 8);
    w.run(mode);
    w.expect_watch(k_code + 8, k_data + 8, false);
    w.debug(wcr(0), 0);
    for (u32 k = 0; k < 3; ++k) w.run(mode);
    w.expect_stop(k_supervisor);
    EXPECT_EQ(w.m.reg(3), 2u);
  }
}

/// Each of these accesses the word at k_data + 8, or the bytes from k_data + 6 on, and no word before it.
TEST(EngineDebug, EveryKindOfAccessMeetsAWatchpoint) {
  struct Access {
    const char* name;
    u32 insn, dfar;
    bool write;
  };
  constexpr Access k_accesses[] = {
      {"ldrb", 0xe5d9300a, k_data + 10, false},
      {"strb", 0xe5c9300a, k_data + 10, true},
      {"ldrsh", 0xe1d930f8, k_data + 8, false},
      {"strh", 0xe1c930b8, k_data + 8, true},
      {"ldr unaligned", 0xe5993006, k_data + 8, false},
      {"str unaligned", 0xe5893006, k_data + 8, true},
      {"ldrd", 0xe1c940d8, k_data + 8, false},
      {"strd", 0xe1c940f8, k_data + 8, true},
      {"ldm", 0xe899003f, k_data + 8, false},
      {"stm", 0xe889003f, k_data + 8, true},
      {"ldrt", 0xe4b93008, 0, false},
      {"vldr d", 0xed990b02, k_data + 8, false},
      {"vstr d", 0xed890b02, k_data + 8, true},
      {"vldm", 0xec990b08, k_data + 8, false},
      {"vld1", 0xf429070f, 0, false},
      {"vst1 q", 0xf4090a8f, k_data + 8, true},
      {"pld", 0xf5d9f008, 0, false},
  };
  World w;
  w.m.state().cp15.cpacr = 0x00f00000;
  w.m.state().fpexc = 1u << 30;
  for (const Access& a : k_accesses) {
    for (const bool armed : {false, true, false, true}) {
      SCOPED_TRACE(std::string(a.name) + (armed ? ", armed" : ""));
      w.watchpoint(2, k_data + 8, armed ? k_watch : 0);
      w.m.words(k_code, {a.insn, k_svc});
      w.run();
      if (armed && a.dfar)
        w.expect_watch(k_code, a.dfar, a.write);
      else
        w.expect_stop(k_supervisor);
    }
  }
}

TEST(EngineDebug, ExclusivesAcrossAPageAndUnprivilegedAccessesMeetWatchpoints) {
  World w;
  w.m.words(k_code, {0xe1995f9f, 0xe1896f92, k_svc});  // ldrex r5, [r9]; strex r6, r2, [r9]
  w.run();
  w.expect_stop(k_supervisor);
  w.watchpoint(0, k_data, k_watch & ~k_store);
  w.run();
  w.expect_watch(k_code, k_data, false);
  w.debug(wcr(0), k_watch & ~k_load);
  w.run();
  w.expect_watch(k_code + 4, k_data, true);
  w.m.words(k_code, {0xe5193002, k_svc});  // ldr r3, [r9, #-2]
  w.debug(wcr(0), k_watch);
  w.run();
  w.expect_watch(k_code, k_data, false);
  w.m.words(k_code, {0xe4b93000, 0xe5993000, k_svc});  // ldrt r3, [r9]; ldr r3, [r9]
  w.debug(wcr(0), k_enable | k_user | k_any_access | k_word);
  w.run(arm::k_mode_svc);
  w.expect_watch(k_code, k_data, false);
  w.debug(wcr(0), k_enable | k_pl1 | k_any_access | k_word);
  w.run(arm::k_mode_svc);
  w.expect_watch(k_code + 4, k_data, false);
}

TEST(EngineDebug, AWatchpointOfManyPages) {
  World w;
  w.m.words(k_code, {0xe5993000, 0xe5194004, k_svc});  // ldr r3, [r9]; ldr r4, [r9, #-4]
  for (u32 k = 0; k < 3; ++k) w.run();
  w.watchpoint(0, k_data - 0x10000, k_enable | k_any_mode | k_any_access | 0xffu << 5 | 16u << 24);
  w.run();
  w.expect_watch(k_code + 4, k_data - 4, false);
  w.debug(wcr(0), 0);
  w.run();
  w.expect_stop(k_supervisor);
}

TEST(EngineDebug, AbortsOfTheMmuComeFirst) {
  World w;
  w.watchpoint(0, 0x20000000);
  w.m.words(k_code, {0xe3a09202, 0xe5993000, k_svc});  // mov r9, #0x20000000; ldr r3, [r9]
  w.run();
  w.expect_stop(k_data_abort);
  EXPECT_EQ(w.m.state().cp15.dfsr & 0x40f, 5u) << "translation fault, first level";
}

TEST(EngineDebug, ADeviceIsNotAskedWhereAWatchpointIs) {
  World w;
  w.m.words(k_code, {0xe3a09409, 0xe5893010, 0xe5993010, k_svc});  // mov r9, #0x09000000; str; ldr
  w.watchpoint(1, k_device + 0x10);
  w.run();
  w.expect_watch(k_code + 4, k_device + 0x10, true);
  EXPECT_EQ(w.m.port.writes, 0u);
  w.debug(wcr(1), k_watch & ~k_store);
  w.run();
  w.expect_watch(k_code + 8, k_device + 0x10, false);
  EXPECT_EQ(w.m.port.reads, 0u);
}

/// Random short programs with random breakpoints and watchpoints do the same here and on the interpreter.
TEST(EngineDebug, RandomProgramsMeetTheSameEvents) {
  std::mt19937 random(1);
  const auto below = [&](u32 n) { return static_cast<u32>(random() % n); };
  constexpr u32 k_instructions[] = {
      0xe2822001, 0xe0933002, 0x12844001, 0x02855001, 0xe0a66003, 0xe5897000, 0xe5998004, 0xe5c9200b, 0xe1c940d8,
      0xe889003c, 0xe899003c, 0xe1d960f2, 0x05992008, 0x15893010, 0xe1530002, 0xe3110003, 0xe1a0a1a2,
  };
  World here, there("interp");
  u32 events = 0;
  for (u32 round = 0; round < 300; ++round) {
    std::vector<u32> code = {0xe3a01005};  // mov r1, #5
    for (u32 k = 0; k < 12; ++k) code.push_back(k_instructions[below(std::size(k_instructions))]);
    code.push_back(0xe2511001);  // subs r1, r1, #1
    code.push_back(0x1afffff1);  // bne -> behind the mov
    code.push_back(k_svc);
    const u32 pc = k_code + 0x100 * below(16), mode = below(2) ? arm::k_mode_usr : arm::k_mode_sys;
    const u32 value = pc + 4 * below(20), data = k_data + 4 * below(5);
    const u32 control = below(3) ? 0 : k_break, watch = below(3) ? 0 : k_watch & ~(below(2) ? k_load : 0);
    for (World* w : {&here, &there}) {
      for (u32 k = 0; k < code.size(); ++k) w->m.put32(pc + 4 * k, code[k]);
      w->debug(wcr(0), 0);
      w->breakpoint(0, value, control);
      w->watchpoint(0, data, watch);
      for (u32 k = 0; k < 8; ++k) w->m.put32(k_data + 4 * k, 0);
      w->run(mode, pc);
    }
    for (u32 n = 0; n < 16; ++n) ASSERT_EQ(here.m.reg(n), there.m.reg(n)) << "round " << round << " r" << n;
    const arm::CpuState &a = here.m.state(), &b = there.m.state();
    ASSERT_EQ(arm::spsr(a), arm::spsr(b)) << "round " << round;
    ASSERT_EQ(a.cp15.dfar, b.cp15.dfar) << "round " << round;
    ASSERT_EQ(a.cp15.debug.dscr, b.cp15.debug.dscr) << "round " << round;
    for (u32 k = 0; k < 8; ++k) ASSERT_EQ(here.m.get32(k_data + 4 * k), there.m.get32(k_data + 4 * k)) << round;
    events += here.m.reg(15) != k_supervisor + 4;
  }
  EXPECT_GT(events, 60u);
}

}  // namespace
}  // namespace armvisor::engine::test
