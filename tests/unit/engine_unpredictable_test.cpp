// UNPREDICTABLE words that are executed here because software has them, and their neighbours that are not:
// docs/engine/translation.md, "UNDEFINED and UNPREDICTABLE". And words that look like them and are defined.
#include <vector>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000, k_target = k_ram + 0x9001;

/// Memory from k_data has its own addresses, inverted, in it. R1 to R12 have their numbers, R3 and SP are k_data.
class EngineUnpredictable : public ::testing::Test {
 protected:
  EngineUnpredictable() {
    for (u32 vector = 0; vector < 0x20; vector += 4) m.put32(k_ram + vector, k_stop);
    for (u32 at = k_data - 16; at < k_data + 16; at += 4) m.put32(at, ~at);
    m.words(k_target & ~1u, {0x8000f7e0});  // HVC #0
    arm::CpuState& s = m.state();
    s.cp15.vbar = k_ram;
    s.cp15.cpacr = 0x00f00000;
    for (u32 n = 1; n < 13; ++n) s.r[n] = n;
    s.r[3] = s.r[13] = k_data;
  }
  /// False: the instruction is UNDEFINED.
  bool thumb(std::initializer_list<u16> halves) {
    std::vector<u16> code(halves);
    code.insert(code.end(), {0xf7e0, 0x8000});  // HVC #0
    std::vector<u8> bytes;
    for (const u16 half : code) bytes.insert(bytes.end(), {static_cast<u8>(half), static_cast<u8>(half >> 8)});
    EXPECT_TRUE(m.ram.write(GuestPa(k_code), bytes));
    return go(arm::k_psr_t);
  }
  bool a32(u32 word) {
    m.words(k_code, {word, k_stop});
    return go(0);
  }
  bool go(u32 t) {
    arm::set_cpsr(m.state(), arm::k_mode_svc | arm::k_psr_i | arm::k_psr_f | arm::k_psr_a | t | flags);
    m.run(k_code);
    EXPECT_TRUE(m.state().mode() == arm::k_mode_svc || m.state().mode() == arm::k_mode_und);
    return m.state().mode() == arm::k_mode_svc;
  }

  Machine m;
  u32 flags = 0;  ///< of CPSR at the start
};

TEST_F(EngineUnpredictable, ThumbLdmOfOneRegisterLoadsIt) {
  EXPECT_TRUE(thumb({0xe893, 0x0002}));  // ldm.w r3, {r1}
  EXPECT_EQ(m.reg(1), ~k_data);
  EXPECT_EQ(m.reg(3), k_data);
  EXPECT_TRUE(thumb({0xe8b3, 0x4000}));  // ldm.w r3!, {lr}
  EXPECT_EQ(m.reg(14), ~k_data);
  EXPECT_EQ(m.reg(3), k_data + 4);
  EXPECT_TRUE(thumb({0xe933, 0x0100}));  // ldmdb r3!, {r8}
  EXPECT_EQ(m.reg(8), ~k_data);
  EXPECT_EQ(m.reg(3), k_data);
  EXPECT_TRUE(thumb({0xe893, 0x0008}));  // ldm.w r3, {r3}
  EXPECT_EQ(m.reg(3), ~k_data);
}

TEST_F(EngineUnpredictable, ThumbPopOfPcAlone) {
  m.put32(k_data, k_target);
  EXPECT_TRUE(thumb({0xe8bd, 0x8000}));  // pop.w {pc}
  EXPECT_EQ(m.reg(15), (k_target & ~1u) + 4);
  EXPECT_EQ(m.reg(13), k_data + 4);
}

TEST_F(EngineUnpredictable, ThumbStmOfOneRegisterStoresIt) {
  EXPECT_TRUE(thumb({0xe883, 0x0010}));  // stm.w r3, {r4}
  EXPECT_EQ(m.get32(k_data), 4u);
  EXPECT_EQ(m.reg(3), k_data);
  EXPECT_TRUE(thumb({0xe8a3, 0x0020}));  // stm.w r3!, {r5}
  EXPECT_EQ(m.get32(k_data), 5u);
  EXPECT_EQ(m.reg(3), k_data + 4);
  EXPECT_TRUE(thumb({0xe92d, 0x0040}));  // push.w {r6}
  EXPECT_EQ(m.get32(k_data - 4), 6u);
  EXPECT_EQ(m.reg(13), k_data - 4);
  EXPECT_TRUE(thumb({0xe90d, 0x0080}));  // stmdb sp, {r7}
  EXPECT_EQ(m.get32(k_data - 8), 7u);
}

TEST_F(EngineUnpredictable, ThumbListsThatStayUndefined) {
  EXPECT_FALSE(thumb({0xe893, 0x0000}));  // none
  EXPECT_FALSE(thumb({0xe883, 0x0000}));
  EXPECT_FALSE(thumb({0xe8b3, 0x0008}));  // ldm.w r3!, {r3}
  EXPECT_FALSE(thumb({0xe8a3, 0x0008}));  // stm.w r3!, {r3}
  EXPECT_FALSE(thumb({0xe893, 0x2000}));  // SP
  EXPECT_FALSE(thumb({0xe883, 0x2000}));
  EXPECT_FALSE(thumb({0xe883, 0x8000}));  // a store of PC
  EXPECT_FALSE(thumb({0xe893, 0xc000}));  // LR and PC
  EXPECT_FALSE(thumb({0xe89f, 0x0002}));  // from PC
  flags = 0x40000000;
  EXPECT_FALSE(thumb({0xbf06, 0xe893, 0x8000, 0xbf00}));  // PC that is not last in an IT block
}

TEST_F(EngineUnpredictable, MovsInAnItBlockLeavesTheFlags) {
  flags = 0x60000000;
  m.reg(2) = 0x80000000;
  EXPECT_TRUE(thumb({0xbf08, 0x0011}));  // it eq; movs r1, r2
  EXPECT_EQ(m.reg(1), 0x80000000u);
  EXPECT_EQ(arm::cpsr(m.state()) & 0xf0000000, 0x60000000u);
  EXPECT_TRUE(thumb({0x0011}));
  EXPECT_EQ(arm::cpsr(m.state()) & 0xf0000000, 0xa0000000u);
}

TEST_F(EngineUnpredictable, CmpOfLowRegistersInTheHighForm) {
  EXPECT_TRUE(thumb({0x4511}));  // cmp r1, r2
  EXPECT_EQ(arm::cpsr(m.state()) & 0xf0000000, 0x80000000u);
  EXPECT_FALSE(thumb({0x45f9}));  // cmp r9, pc
}

TEST_F(EngineUnpredictable, ThumbMovesSpToAndFromSystemRegisters) {
  EXPECT_TRUE(thumb({0xee0d, 0xdf50}));  // mcr p15, 0, sp, c13, c0, 2: TPIDRURW
  EXPECT_TRUE(thumb({0xee1d, 0x4f50}));  // mrc p15, 0, r4, c13, c0, 2
  EXPECT_EQ(m.reg(4), k_data);
  m.reg(13) = 0;
  EXPECT_TRUE(thumb({0xee1d, 0xdf50}));  // mrc p15, 0, sp, c13, c0, 2
  EXPECT_EQ(m.reg(13), k_data);
  EXPECT_FALSE(thumb({0xee0d, 0xff50}));  // from PC
}

// Only before ARMv6 was this UNPREDICTABLE (A8.8.65 and others).
TEST_F(EngineUnpredictable, ABaseMayBeItsOwnIndex) {
  const u32 half = k_data / 2;
  m.reg(1) = half;
  EXPECT_TRUE(a32(0xe7b10001));  // ldr r0, [r1, r1]!
  EXPECT_EQ(m.reg(0), ~k_data);
  EXPECT_EQ(m.reg(1), k_data);
  EXPECT_TRUE(a32(0xe6912081));  // ldr r2, [r1], r1, lsl #1
  EXPECT_EQ(m.reg(2), ~k_data);
  EXPECT_EQ(m.reg(1), 3 * k_data);
  m.reg(4) = half;
  EXPECT_TRUE(a32(0xe1a460d4));  // ldrd r6, r7, [r4, r4]!
  EXPECT_EQ(m.reg(6), ~k_data);
  EXPECT_EQ(m.reg(7), ~(k_data + 4));
  EXPECT_EQ(m.reg(4), k_data);
  EXPECT_TRUE(a32(0xe00450b4));  // strh r5, [r4], -r4
  EXPECT_EQ(m.get32(k_data) & 0xffff, 5u);
  EXPECT_EQ(m.reg(4), 0u);
  EXPECT_FALSE(a32(0xe7b11001));  // ldr r1, [r1, r1]!: what is loaded may not be the base
}

}  // namespace
}  // namespace armvisor::engine::test
