// The interpreter with the A32 front end, by hand-assembled words: flow, memory, exceptions, interrupts, code changes.
#include <thread>
#include <utility>
#include <vector>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000;

TEST(EngineRun, LoopCountsAndStops) {
  Machine m;
  m.words(k_code, {
                      0xe3a00000,  // mov r0, #0
                      0xe3a01e7d,  // mov r1, #2000
                      0xe0800001,  // add r0, r0, r1
                      0xe2511001,  // subs r1, r1, #1
                      0x1afffffc,  // bne -2
                      k_stop,
                  });
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 2000u * 2001 / 2);
  EXPECT_EQ(m.reg(15), k_code + 24);
  EXPECT_EQ(m.state().z, 1);
  EXPECT_EQ(m.state().c, 1);
}

// The branch back is decided together with the instruction before it: the flags are looked at behind the loop only.
TEST(EngineRun, FlagsOfALoopThatEndsAreThoseOfItsLastRound) {
  for (const bool side_exits : {true, false}) {
    JitOptions options;
    options.hot = 1;
    options.side_exits = side_exits;
    Machine m(1, {}, options);
    m.words(k_code, {
                        0xe2500001,  // subs r0, r0, #1
                        0x12811001,  // addne r1, r1, #1
                        0x1afffffc,  // bne -4
                        0x03a02001,  // moveq r2, #1
                        k_stop,
                    });
    m.words(k_code + 0x100, {0xe2500001, 0x1afffffd, k_stop});  // subs r0, r0, #1; bne -3
    for (const u32 pc : {k_code, k_code + 0x100})
      for (const u32 rounds : {1u, 200u, 3u, 1u}) {
        m.reg(0) = rounds;
        m.reg(1) = m.reg(2) = 0;
        m.state().z = m.state().c = 0;
        m.state().n = 1;
        EXPECT_EQ(m.run(pc), Exit::Kicked);
        EXPECT_EQ(m.reg(1), pc == k_code ? rounds - 1 : 0);
        EXPECT_EQ(m.reg(2), pc == k_code ? 1u : 0u);
        EXPECT_EQ(arm::cpsr(m.state()) >> 28, 6u) << rounds;
      }
  }
}

TEST(EngineRun, LoadsAndStoresOfEverySize) {
  Machine m;
  m.words(k_code, {
                      0xe5821000,  // str r1, [r2]
                      0xe5d23001,  // ldrb r3, [r2, #1]
                      0xe1d240f0,  // ldrsh r4, [r2]
                      0xe1d250d3,  // ldrsb r5, [r2, #3]
                      0xe1c260f8,  // strd r6, [r2, #8]
                      0xe1c280d8,  // ldrd r8, [r2, #8]
                      k_stop,
                  });
  m.reg(1) = 0x80fe9a7f;
  m.reg(2) = k_data;
  m.reg(6) = 0x11112222;
  m.reg(7) = 0x33334444;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(3), 0x9au);
  EXPECT_EQ(m.reg(4), 0xffff9a7fu);
  EXPECT_EQ(m.reg(5), 0xffffff80u);
  EXPECT_EQ(m.reg(8), 0x11112222u);
  EXPECT_EQ(m.reg(9), 0x33334444u);
  EXPECT_EQ(m.get32(k_data), 0x80fe9a7fu);
}

TEST(EngineRun, DeviceAccessesReachThePort) {
  Machine m;
  m.words(k_code, {
                      0xe5821000,  // str r1, [r2]
                      0xe5923000,  // ldr r3, [r2]
                      k_stop,
                  });
  m.reg(1) = 0x1234;
  m.reg(2) = k_device;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(3), 0x1234u);
  EXPECT_EQ(m.port.reads, 1u);
  EXPECT_EQ(m.port.writes, 1u);
}

TEST(EngineRun, NothingThereIsAnExternalAbort) {
  Machine m;
  m.words(k_ram + 0x10, {k_stop});            // data abort vector
  m.words(k_code, {0xe1a00000, 0xe5923000});  // nop; ldr r3, [r2]
  m.state().cp15.vbar = k_ram;
  m.reg(2) = 0x0a0000f0;
  m.reg(3) = 7;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.state().mode(), arm::k_mode_abt);
  EXPECT_EQ(m.reg(14), k_code + 4 + 8);
  EXPECT_EQ(m.state().cp15.dfar, 0x0a0000f0u);
  EXPECT_EQ(m.state().cp15.dfsr & 0x40f, 8u);
  EXPECT_EQ(m.reg(3), 7u);
}

TEST(EngineRun, FetchFromNothingIsAPrefetchAbort) {
  Machine m;
  m.words(k_ram + 0xc, {k_stop});
  m.state().cp15.vbar = k_ram;
  EXPECT_EQ(m.run(0x20000000), Exit::Kicked);
  EXPECT_EQ(m.state().mode(), arm::k_mode_abt);
  EXPECT_EQ(m.reg(14), 0x20000004u);
  EXPECT_EQ(m.state().cp15.ifar, 0x20000000u);
}

TEST(EngineRun, SupervisorCallAndReturn) {
  Machine m;
  m.words(k_ram + 8, {0xe2800001, 0xe1b0f00e});  // add r0, r0, #1; movs pc, lr
  m.words(k_code, {0xef000000, 0xef000000, k_stop});
  m.state().cp15.vbar = k_ram;
  arm::change_mode(m.state(), arm::k_mode_sys);
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 2u);
  EXPECT_EQ(m.state().mode(), arm::k_mode_sys);
}

TEST(EngineRun, InterruptIsTakenWhenUnmasked) {
  Machine m;
  m.words(k_ram + 0x18, {k_stop});
  m.words(k_code, {
                      0xe3a00001,  // mov r0, #1
                      0xf1080080,  // cpsie i
                      0xe3a00002,  // mov r0, #2
                      k_stop,
                  });
  m.state().cp15.vbar = k_ram;
  m.engine->vcpu(0).set_line(k_line_irq, true);
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.state().mode(), arm::k_mode_irq);
  EXPECT_EQ(m.reg(0), 1u);
  EXPECT_EQ(m.reg(14), k_code + 8 + 4);
}

TEST(EngineRun, WfiWaitsUnlessALineIsHigh) {
  Machine m;
  m.words(k_code, {0xe320f003, 0xe3a00005, k_stop});  // wfi; mov r0, #5
  EXPECT_EQ(m.run(k_code), Exit::Wait);
  EXPECT_EQ(m.reg(15), k_code + 4);
  m.engine->vcpu(0).set_line(k_line_irq, true);
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 5u);
}

TEST(EngineRun, StoreToCodeIsSeenAfterBarrier) {
  Machine m;
  m.words(k_code, {
                      0xe3a00000,  // mov r0, #0
                      0xe2800001,  // 4: add r0, r0, #1     <- becomes add r0, r0, #16
                      0xe5821000,  // str r1, [r2]
                      0xf57ff06f,  // isb
                      0xe2533001,  // subs r3, r3, #1
                      0x1afffffa,  // bne 4
                      k_stop,
                  });
  m.reg(1) = 0xe2800010;
  m.reg(2) = k_code + 4;
  m.reg(3) = 3;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 1u + 16 + 16);
}

TEST(EngineRun, DataBesideCodeKeepsTheBlocks) {
  Machine m;
  m.words(k_code, {
                      0xe5821000,  // str r1, [r2]
                      0xe2533001,  // subs r3, r3, #1
                      0x1afffffc,  // bne -2
                      k_stop,
                  });
  const auto run = [&](u32 address) {
    m.reg(2) = address;
    m.reg(3) = 1000;
    EXPECT_EQ(m.run(k_code), Exit::Kicked);
    m.engine->await_compiler();
    return m.engine->stats();
  };
  for (int k = 0; k < 4 && m.warm; ++k) run(k_code + 2 * k_page_size);  // until nothing is interpreted any more
  const auto before = run(k_code + 2 * k_page_size), after = run(k_code + 0x800);
  EXPECT_EQ(after[measure::MachineCounter::BlocksKilled], before[measure::MachineCounter::BlocksKilled]);
  EXPECT_EQ(after[measure::MachineCounter::BlocksPublished], before[measure::MachineCounter::BlocksPublished]);
  if (m.warm) return;  // interpreted blocks are replaced, and published again
  EXPECT_EQ(after[measure::MachineCounter::BlocksKilled], 0u);
  EXPECT_LE(after[measure::MachineCounter::BlocksPublished], 4u);
}

TEST(EngineRun, CodeWithoutVfpServesWhateverItsState) {
  Machine m;
  m.words(k_code, {0xe2800001, k_stop});  // add r0, r0, #1
  const auto run = [&](bool enabled) {
    m.state().fpexc = enabled ? 1u << 30 : 0;
    EXPECT_EQ(m.run(k_code), Exit::Kicked);
    m.engine->await_compiler();
    return m.engine->stats()[measure::MachineCounter::BlocksPublished];
  };
  m.state().cp15.cpacr = 0xf << 20;
  u64 made = 0;
  for (int k = 0; k < 12; ++k) made = run(true);  // until it is compiled
  for (int k = 0; k < 4; ++k) EXPECT_EQ(run(k & 1), made);
  EXPECT_EQ(m.reg(0), 16u);
}

TEST(EngineRun, VfpIsOnOrOffAsTheStateSays) {
  Machine m;
  m.words(k_ram + 4, {k_stop});  // Undefined Instruction vector
  m.words(k_code, {
                      0xe2800001,  // add r0, r0, #1
                      0xee000a10,  // vmov s0, r0
                      0xee101a10,  // vmov r1, s0
                      k_stop,
                  });
  m.state().cp15.cpacr = 0xf << 20;
  m.state().cp15.vbar = k_ram;
  const u32 mode = m.state().mode();
  for (u32 k = 1; k <= 9; ++k) {
    const bool enabled = k % 3 != 1;
    arm::write_cpsr_by_instr(m.state(), mode, 15, true);
    m.state().fpexc = enabled ? 1u << 30 : 0;
    EXPECT_EQ(m.run(k_code), Exit::Kicked);
    EXPECT_EQ(m.reg(0), k);
    EXPECT_EQ(m.state().mode(), enabled ? mode : arm::k_mode_und);
    if (enabled) {
      EXPECT_EQ(m.reg(1), k);
    }
  }
}

TEST(EngineRun, AFlushCostsALookupAPageNotABlock) {
  constexpr u32 k_calls = 8, k_rounds = 100;
  Machine m;
  u32 at = k_code;
  const auto word = [&](u32 w) { m.words(std::exchange(at, at + 4), {w}); };
  word(0xee080f17);  // TLBIALL
  word(0xf57ff04f);  // dsb
  word(0xf57ff06f);  // isb
  for (u32 k = 0; k < k_calls; ++k) {
    word(0xe2844020);  // add r4, r4, #32
    word(0xe12fff34);  // blx r4
  }
  word(0xe2444c01);                                        // sub r4, r4, #256
  word(0xe2533001);                                        // subs r3, r3, #1
  word(0x1a000000 | ((k_code - at - 8) >> 2 & 0xffffff));  // bne
  word(k_stop);
  for (u32 k = 1; k <= k_calls; ++k) m.words(k_code + 0x400 + 32 * k, {0xe12fff1e});  // bx lr
  m.reg(4) = k_code + 0x400;
  m.reg(3) = k_rounds;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(3), 0u);
  const measure::VcpuSnapshot counters = m.engine->stats().vcpus[0];
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
  const bool in_place = engine && std::string_view(engine) == "jit" && !std::getenv("ARMVISOR_TEST_VERIFY") &&
                        !std::getenv("ARMVISOR_TEST_TRAPS") && !std::getenv("ARMVISOR_TEST_MMU");
  if (in_place) {
    EXPECT_EQ(counters[measure::Counter::FlushAll], k_rounds);
    EXPECT_LT(counters[measure::Counter::CodeLookup], k_rounds * 4);
  }
}

TEST(EngineRun, DmaOverCodeInvalidates) {
  Machine m;
  m.words(k_code, {0xe3a00001, k_stop});
  m.run(k_code);
  EXPECT_EQ(m.reg(0), 1u);
  m.words(k_code, {0xe3a00002});
  m.run(k_code);
  EXPECT_EQ(m.reg(0), 2u);
}

TEST(EngineRun, UnalignedAcrossPagesWithTheMmuOn) {
  Machine m;
  // One section: VA 0x40000000 -> PA 0x40000000, Normal write-back, full access; TTBR0 table at k_ram + 0x4000.
  m.put32(k_ram + 0x4000 + 0x400 * 4, k_ram | 0x0c0e | 0x1000);
  m.state().cp15.ttbr0 = k_ram + 0x4000;
  m.state().cp15.dacr = 1;
  m.state().cp15.sctlr |= 1;
  m.words(k_code, {
                      0xe5821000,  // str r1, [r2]
                      0xe5923000,  // ldr r3, [r2]
                      k_stop,
                  });
  m.reg(1) = 0xa1b2c3d4;
  m.reg(2) = k_data + 0xffe;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(3), 0xa1b2c3d4u);
  EXPECT_EQ(m.get32(k_data + 0xffc), 0xc3d40000u);
  EXPECT_EQ(m.get32(k_data + 0x1000), 0x0000a1b2u);
}

TEST(EngineRun, UnalignedToStronglyOrderedFaults) {
  Machine m;
  m.words(k_ram + 0x10, {k_stop});
  m.words(k_code, {0xe5923000});
  m.state().cp15.vbar = k_ram;
  m.reg(2) = k_data + 2;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.state().mode(), arm::k_mode_abt);
  EXPECT_EQ(m.state().cp15.dfsr & 0x40f, 1u);
}

TEST(EngineRun, IsrShowsTheInputsThatAreHigh) {
  Machine m;
  m.words(k_code, {0xee1c0f11, k_stop});  // mrc p15, 0, r0, c12, c1, 0
  constexpr u32 k_i = 1u << 7, k_f = 1u << 6;
  m.run(k_code);
  EXPECT_EQ(m.reg(0), 0u);
  m.engine->vcpu(0).set_line(k_line_irq, true);
  m.run(k_code);
  EXPECT_EQ(m.reg(0), k_i) << "though masked";
  m.engine->vcpu(0).set_line(k_line_fiq, true);
  m.run(k_code);
  EXPECT_EQ(m.reg(0), k_i | k_f);
  m.engine->vcpu(0).set_line(k_line_irq, false);
  m.run(k_code);
  EXPECT_EQ(m.reg(0), k_f);
}

TEST(EngineRun, RomExecutesAndChanges) {
  Machine m;
  m.port.rom.assign(4096, 0);
  const u32 first[] = {0xe3a00007, k_stop};
  std::memcpy(m.port.rom.data(), first, sizeof first);
  EXPECT_EQ(m.run(k_rom), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 7u);
  m.port.rom[0] = 9;
  m.engine->rom_changed(GuestPa(k_rom), 4096);
  EXPECT_EQ(m.run(k_rom), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 9u);
}

TEST(EngineRun, ThumbInstructionAcrossPages) {
  Machine m;
  // At 0x...ffe: movw r0, #0x1234 (f241 2034), then bx lr.
  m.put32(k_ram + 0x8ffc, 0xf241'bf00);
  m.put32(k_ram + 0x9000, 0x4770'2034);
  m.words(k_code, {
                      0xe28fe000,  // add lr, pc, #0  (address of k_stop: pc reads +8)
                      0xe12fff11,  // bx r1
                      k_stop,
                  });
  m.reg(1) = k_ram + 0x8ffc + 1;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 0x1234u);
  m.put32(k_ram + 0x9000, 0x4770'2035);  // the second half changes: movw r0, #0x1235
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(0), 0x1235u);
}

TEST(EngineRun, AttentionInsideAnItBlockKeepsItstate) {
  Machine m;
  // The 64 instructions that end with IT fill a block, so that the next one begins with ITSTATE not 0.
  std::vector<u16> code = {0x42a3};                // loop: cmp r3, r4
  code.insert(code.end(), 62, 0xbf00);             // nop
  for (const u16 half : {0xbf28,                   // it cs
                         0x3101,                   // addcs r1, #1: never, for r3 < r4
                         0x3801,                   // subs r0, #1
                         0xd1bc, 0xf7e0, 0x8000})  // bne loop; hvc #0
    code.push_back(half);
  for (u32 k = 0; k < code.size(); k += 2)
    m.put32(k_code + 2 * k, code[k] | (k + 1 < code.size() ? u32{code[k + 1]} << 16 : 0));
  m.state().psr |= arm::k_psr_t;
  m.reg(0) = 300000;
  m.reg(3) = 1;
  m.reg(4) = 2;
  std::atomic<bool> stop = false;
  std::thread pest([&] {
    while (!stop) m.engine->vcpu(0).set_line(k_line_irq, true);  // masked
  });
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  stop = true;
  pest.join();
  EXPECT_EQ(m.reg(0), 0u);
  EXPECT_EQ(m.reg(1), 0u);
}

}  // namespace
}  // namespace armvisor::engine::test
