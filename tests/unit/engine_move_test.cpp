// The same code at several virtual addresses: what depends on the address must follow it, and a change of the bytes
// must reach every copy.
#include "engine_machine.h"
#include "measure/counters.h"

namespace armvisor::engine::test {
namespace {

using measure::Counter;

constexpr u32 k_code = k_ram + 0x8000, k_table = k_ram + 0x4000, k_pages = k_ram + 0x10000, k_base = 0x50000000;
constexpr u32 k_copies = 7;
constexpr u32 k_blocks = 4;  ///< of place_code()

bool compiled() {
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
  return engine && std::string_view(engine) == "jit" && !std::getenv("ARMVISOR_TEST_VERIFY");
}
u64 count(const Machine& m, Counter c) { return m.engine->stats().vcpus[0][c]; }
/// (Not multiples of each other, so that the pages have different places in every table.)
u32 base_of(u32 copy) { return k_base + copy * 0x1313000 + (copy % 3) * 0x5000; }

/// Two pages of code, in the page of `k_code` and the next, at k_copies addresses; RAM at its own.
void map(Machine& m) {
  m.put32(k_table + (k_ram >> 20) * 4, k_ram | 0x1c0e);
  for (u32 copy = 0; copy < k_copies; ++copy)
    for (u32 page = 0; page < 2; ++page) {
      const u32 va = base_of(copy) + page * 0x1000, table = k_pages + copy * 0x400;
      m.put32(k_table + (va >> 20) * 4, table | 1);
      m.put32(table + (va >> 12 & 0xff) * 4, (k_code + page * 0x1000) | 0x7e);
    }
  m.state().cp15.ttbr0 = k_table;
  m.state().cp15.dacr = 1;
  m.state().cp15.sctlr |= 1;
}

void place_code(Machine& m) {
  m.words(k_code, {
                      0xe59f0020,  // ldr r0, [pc, #32]: the literal below
                      0xe28f1010,  // add r1, pc, #16
                      0xe3a05003,  // mov r5, #3
                      0xeb0003fb,  // bl to the next page
                      0xe2555001,  // subs r5, r5, #1
                      0x1afffffd,  // bne -1
                      0xe1a0200f,  // mov r2, pc
                      0xe1a04faf,  // mov r4, pc, lsr #31
                      k_stop,
                      0,
                      0x12345678,
                  });
  m.words(k_code + 0x1000, {
                               0xe1a0300e,  // mov r3, lr
                               0xe12fff1e,  // bx lr
                           });
}

void expect_run(Machine& m, u32 copy, u32 literal) {
  SCOPED_TRACE(copy);
  const u32 base = base_of(copy);
  for (u32 n = 0; n < 6; ++n) m.reg(n) = 0;
  EXPECT_EQ(m.run(base), Exit::Kicked);
  EXPECT_EQ(m.reg(0), literal);
  EXPECT_EQ(m.reg(1), base + 28);
  EXPECT_EQ(m.reg(2), base + 32);
  EXPECT_EQ(m.reg(3), base + 16);
  EXPECT_EQ(m.reg(4), (base + 36) >> 31);
  EXPECT_EQ(m.reg(5), 0u);
  EXPECT_EQ(m.reg(15), base + 36);
}

TEST(EngineMove, CodeFollowsItsAddress) {
  Machine m;
  map(m);
  place_code(m);
  for (u32 round = 0; round < 3; ++round)
    for (u32 copy = 0; copy < k_copies; ++copy) expect_run(m, copy, 0x12345678);
  if (!compiled()) return;
  // Only the first is translated.
  EXPECT_EQ(count(m, Counter::CodeTranslation), k_blocks);
  EXPECT_EQ(count(m, Counter::CodeMove), k_blocks * (k_copies - 1));
}

/// A branch to an absolute address does not follow the block that it ends.
TEST(EngineMove, AnAbsoluteBranchStays) {
  Machine m;
  map(m);
  static_assert(k_ram == 0x40000000);
  m.words(k_ram, {k_stop});
  m.words(k_code, {
                      0xe1a0200f,  // mov r2, pc
                      0xe3a0f101,  // mov pc, #0x40000000
                  });
  for (u32 copy = 0; copy < k_copies; ++copy) {
    EXPECT_EQ(m.run(base_of(copy)), Exit::Kicked);
    EXPECT_EQ(m.reg(2), base_of(copy) + 8);
    EXPECT_EQ(m.reg(15), k_ram + 4);
  }
  if (!compiled()) return;
  EXPECT_EQ(count(m, Counter::CodeMove), 0u);
}

TEST(EngineMove, AChangeReachesEveryCopy) {
  Machine m;
  map(m);
  place_code(m);
  for (u32 copy = 0; copy < k_copies; ++copy) expect_run(m, copy, 0x12345678);
  m.put32(k_code + 40, 0x87654321);      // a literal
  m.put32(k_code + 0x1000, 0xe24e3000);  // sub r3, lr, #0
  for (u32 copy = 0; copy < k_copies; ++copy) expect_run(m, copy, 0x87654321);
  m.put32(k_code + 0x1000, 0xe28e3000);  // add r3, lr, #0
  m.put32(k_code + 8, 0xe3a05005);       // mov r5, #5
  for (u32 copy = k_copies; copy-- > 0;) expect_run(m, copy, 0x87654321);
}

TEST(EngineMove, MoreCopiesThanAreKept) {
  Machine m;
  map(m);
  place_code(m);
  // More virtual addresses for the same pages than there are places for copies.
  for (u32 page = 0; page < 2; ++page)
    for (u32 copy = 0; copy < 40; ++copy)
      m.put32(k_pages + (0x90 + 2 * copy + page) * 4, (k_code + page * 0x1000) | 0x7e);
  for (u32 round = 0; round < 2; ++round)
    for (u32 copy = 0; copy < 40; ++copy) {
      const u32 base = k_base + (0x90 + 2 * copy) * 0x1000;
      EXPECT_EQ(m.run(base), Exit::Kicked);
      EXPECT_EQ(m.reg(1), base + 28);
      EXPECT_EQ(m.reg(3), base + 16);
    }
}

}  // namespace
}  // namespace armvisor::engine::test
