// Blocks and loops that are compiled on a thread of their own: they come, and they are what memory says when it is
// written meanwhile.
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

using measure::MachineCounter;

constexpr u32 k_code = k_ram + 0x8000, k_function = k_ram + 0x20000;

JitOptions options() {
  JitOptions o;
  EXPECT_TRUE(parse_jit_options("background-always,hot=50", o));
  return o;
}

/// Its blocks are interpreted twice. (Machine's own choice is never.)
class Background : public testing::Test {
 protected:
  Background() { ::setenv("ARMVISOR_TEST_JIT", "warm=2", 1); }
  ~Background() override { ::unsetenv("ARMVISOR_TEST_JIT"); }
};

TEST_F(Background, HotBlocksAndLoopsComeCompiled) {
  if (!jit_available()) GTEST_SKIP() << "no code generator for this host";
  Machine m(1, {}, options(), "jit");
  m.words(k_code, {
                      0xe3a04064,  // mov r4, #100
                      0xe3a00000,  // mov r0, #0
                      0xe0800004,  // add r0, r0, r4
                      0xe2544001,  // subs r4, r4, #1
                      0x1afffffc,  // bne -2
                      k_stop,
                  });
  for (u32 k = 0; k < 4; ++k) {
    EXPECT_EQ(m.run(k_code), Exit::Kicked);
    EXPECT_EQ(m.reg(0), 5050u);
    m.engine->await_compiler();
  }
  EXPECT_EQ(m.engine->stats()[MachineCounter::RegionsAside], 1u);
  Machine calls(1, {}, options(), "jit");
  calls.words(k_code, {
                          0xe3a00000,                      // mov r0, #0
                          0xeb000003,                      // bl f
                          0xeb000004,                      // bl g
                          0xeb000005,                      // bl h
                          0xeb000006,                      // bl i
                          k_stop, 0xe2800001, 0xe12fff1e,  // f: add r0, r0, #1; bx lr
                          0xe2800002, 0xe12fff1e,          // g: add r0, r0, #2; bx lr
                          0xe2800003, 0xe12fff1e,          // h: add r0, r0, #3; bx lr
                          0xe2800004, 0xe12fff1e,          // i: add r0, r0, #4; bx lr
                      });
  for (u32 k = 0; k < 4; ++k) {
    EXPECT_EQ(calls.run(k_code), Exit::Kicked);
    EXPECT_EQ(calls.reg(0), 10u);
    calls.engine->await_compiler();
  }
  EXPECT_EQ(calls.engine->stats()[MachineCounter::BlocksAside], 9u) << "five of the caller, one of each function";
}

TEST_F(Background, OneBlockIsCompiledForWhoWaits) {  // it would wait for others
  if (!jit_available()) GTEST_SKIP() << "no code generator for this host";
  Machine m(1, {}, options(), "jit");
  m.words(k_code, {0xe2800001, k_stop});  // add r0, r0, #1
  m.engine->await_compiler();             // there is nothing to do
  for (u32 k = 0; k < 3; ++k) EXPECT_EQ(m.run(k_code), Exit::Kicked);
  m.engine->await_compiler();
  EXPECT_EQ(m.engine->stats()[MachineCounter::BlocksAside], 1u);
}

TEST_F(Background, CodeThatIsWrittenMeanwhileIsNew) {
  if (!jit_available()) GTEST_SKIP() << "no code generator for this host";
  Machine m(1, {}, options(), "jit");
  m.words(k_code, {
                      0xe20470ff,  // and r7, r4, #255
                      0xe1867007,  // orr r7, r6, r7
                      0xe5857000,  // str r7, [r5]
                      0xee070f15,  // mcr p15, 0, r0, c7, c5, 0
                      0xf57ff04f,  // dsb
                      0xf57ff06f,  // isb
                      0xe2048007,  // and r8, r4, #7
                      0xe2888001,  // add r8, r8, #1
                      0xe12fff35,  // blx r5
                      0xe207a0ff,  // and r10, r7, #255
                      0xe150000a,  // cmp r0, r10
                      0x12899001,  // addne r9, r9, #1
                      0xe2588001,  // subs r8, r8, #1
                      0x1afffff9,  // bne -5
                      0xe2544001,  // subs r4, r4, #1
                      0x1affffef,  // bne to the first
                      k_stop,
                  });
  m.words(k_function, {
                          0xe3a00000,  // mov r0, #0, or what is written there
                          0xe3a01003,  // mov r1, #3
                          0xe2511001,  // subs r1, r1, #1
                          0x1afffffd,  // bne -1
                          0xe12fff1e,  // bx lr
                      });
  m.reg(5) = k_function;
  m.reg(6) = 0xe3a00000;
  m.reg(9) = 0;
  m.reg(4) = 4;  // the thread has the caller's blocks, whenever it gets a CPU
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  m.engine->await_compiler();
  EXPECT_GT(m.engine->stats()[MachineCounter::BlocksAside], 0u);
  m.reg(4) = 60000;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
  EXPECT_EQ(m.reg(4), 0u);
  EXPECT_EQ(m.reg(9), 0u) << "calls that ran old code";
}

}  // namespace
}  // namespace armvisor::engine::test
