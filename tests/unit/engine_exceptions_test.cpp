// Exception entry, exception return and registers of other modes: the engine under test ends in the same state as the
// interpreter, from random states and on the second time too, when generated code knows where to go on.
#include <random>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_arm = k_ram + 0x9000, k_thumb = k_ram + 0xa000, k_stack = k_ram + 0x20000;
constexpr u32 k_sctlr_te = 1u << 30, k_sctlr_ee = 1u << 25, k_sctlr_nmfi = 1u << 27;
constexpr u32 k_modes[] = {arm::k_mode_usr, arm::k_mode_fiq, arm::k_mode_irq, arm::k_mode_svc,
                           arm::k_mode_abt, arm::k_mode_und, arm::k_mode_sys, 0x14};
constexpr u32 k_bx = 0xe12fff10;  // bx r0
constexpr u32 k_instructions[] = {
    0xef000000,  // svc #0
    0xe1b0f00e,  // movs pc, lr
    0xe25ef004,  // subs pc, lr, #4
    0xf8900a00,  // rfeia r0
    0xf8b00a00,  // rfeia r0!
    0xe8d08002,  // ldmia r0, {r1, pc}^
    0xe14f1000,  // mrs r1, spsr
    0xe16ff001,  // msr spsr_fsxc, r1
    0xe161f001,  // msr spsr_c, r1
    0xe8c07f00,  // stmia r0, {r8-r14}^
    0xe8d07f00,  // ldmia r0, {r8-r14}^
    0xe8d06000,  // ldmia r0, {r13, r14}^
    0xe121f001,  // msr cpsr_c, r1
    0xe129f001,  // msr cpsr_fc, r1
    0xf1080080,  // cpsie i
    0xf1020013,  // cps #svc
    0xf102001f,  // cps #sys
    0xf96d0513,  // srsdb sp!, #svc
    0xf96d0512,  // srsdb sp!, #irq
    0xee031f10,  // mcr p15, 0, r1, c3, c0, 0: DACR
    0xf57ff06f,  // isb
    k_bx,
};

class Random {
 public:
  explicit Random(u32 seed) : engine_(seed) {}
  u32 operator()() { return static_cast<u32>(engine_()); }
  u32 below(u32 n) { return (*this)() % n; }

 private:
  std::mt19937 engine_;
};

u32 random_psr(Random& random) {
  u32 psr = (random() & 0xf80f03c0) | k_modes[random.below(8)] | (random.below(2) ? arm::k_psr_t : 0);
  if (random.below(4)) psr &= ~arm::k_psr_e;
  if (random.below(4) == 0) psr |= arm::it_to_psr(static_cast<u8>(random.below(14) << 4 | 8));
  return psr;
}

/// Where code of the state that `psr` tells stops soon.
u32 target_of(u32 psr) { return psr & arm::k_psr_t ? k_thumb : k_arm; }

arm::CpuState random_state(const arm::CpuState& reset, Random& random) {
  arm::CpuState s = reset;
  s.cp15.vbar = k_ram;
  s.cp15.sctlr &= ~(k_sctlr_te | k_sctlr_ee | k_sctlr_nmfi);
  if (random.below(4) == 0) s.cp15.sctlr |= k_sctlr_te;
  if (random.below(4) == 0) s.cp15.sctlr |= k_sctlr_ee;
  if (random.below(8) == 0) s.cp15.sctlr |= k_sctlr_nmfi;
  for (u32& r : s.r) r = random();
  for (u32 k = 0; k < 6; ++k) {
    s.bank_r13[k] = k_stack + 0x1000 + 16 * random.below(64);
    s.bank_r14[k] = random();
    s.bank_spsr[k] = random_psr(random);
  }
  for (u32 k = 0; k < 5; ++k) {
    s.usr_r8_12[k] = random();
    s.fiq_r8_12[k] = random();
  }
  u32 psr = random_psr(random) & ~(arm::k_psr_t | arm::k_psr_it_low | arm::k_psr_it_high);
  if (!arm::mode_is_valid(psr)) psr ^= arm::k_mode_svc ^ 0x14;
  arm::set_cpsr(s, psr);
  s.r[0] = k_stack;
  s.r[1] = random_psr(random);
  s.r[13] = k_stack + 0x800;
  s.r[14] = target_of(arm::spsr(s)) + 4 * random.below(8) + random.below(4);
  return s;
}

/// (A write of the same would kill the code there all the same.)
void put(Machine& m, u32 pa, u32 word) {
  if (m.get32(pa) != word) m.put32(pa, word);
}

/// Vectors in the state of SCTLR.TE, places to return to in both states, and what RFE and LDM load.
void fill(Machine& m, const arm::CpuState& s, u32 instruction, Random random) {
  const bool te = s.cp15.sctlr & k_sctlr_te, big = s.psr & arm::k_psr_e;
  constexpr u32 k_thumb_stop = 0x8000f7e0;  // hvc #0
  for (u32 vector = 0; vector < 0x20; vector += 4) put(m, k_ram + vector, te ? k_thumb_stop : k_stop);
  for (u32 at = 0; at < 0x100; at += 4) {
    put(m, k_arm + at, k_stop);
    put(m, k_thumb + at, 0xde00de00);  // udf #0
  }
  put(m, k_code, instruction);
  put(m, k_code + 4, k_stop);
  const u32 psr = random_psr(random);
  const bool is_rfe = instruction >> 24 == 0xf8;
  const u32 words[] = {is_rfe ? target_of(psr) : random(),
                       is_rfe ? psr : target_of(arm::spsr(s)),
                       random(),
                       random(),
                       random(),
                       random(),
                       random()};
  for (u32 k = 0; k < std::size(words); ++k) put(m, k_stack + 4 * k, big ? __builtin_bswap32(words[k]) : words[k]);
}

std::vector<u32> visible(const arm::CpuState& s, Machine& m) {
  std::vector<u32> v = {arm::cpsr(s), s.r[15], s.cp15.dacr, s.cp15.ifsr, s.cp15.dfsr};
  for (const u32 mode : k_modes) {
    if (!arm::mode_is_valid(mode)) continue;
    for (u32 n = 0; n < 15; ++n) v.push_back(arm::read_mode_reg(s, mode, n));
    if (arm::bank_of(mode) != arm::Bank::Usr) v.push_back(arm::read_mode_reg(s, mode, 16));
  }
  for (u32 at = 0; at < 0x80; at += 4) v.push_back(m.get32(k_stack + at));
  return v;
}

std::vector<u32> run_once(Machine& m, const arm::CpuState& initial, u32 lines) {
  m.state() = initial;
  m.engine->vcpu(0).set_line(k_line_irq, lines & k_line_irq);
  m.run(k_code);
  return visible(m.state(), m);
}

TEST(EngineExceptions, EndAsTheInterpreterDoes) {
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
  const std::string name = engine ? engine : "interp";
  Machine tested;
  ::setenv("ARMVISOR_TEST_ENGINE", "interp", 1);
  Machine reference;
  ::setenv("ARMVISOR_TEST_ENGINE", name.c_str(), 1);
  const arm::CpuState reset = reference.state();
  for (u32 seed = 0; seed < 6000; ++seed) {
    Random random(seed);
    const u32 instruction = k_instructions[seed % std::size(k_instructions)];
    arm::CpuState initial = random_state(reset, random);
    if (instruction == k_bx) initial.r[0] = random.below(2) ? k_thumb | 1 : k_arm;
    const u32 lines = random.below(8) == 0 ? k_line_irq : 0u;
    fill(reference, initial, instruction, random);
    const std::vector<u32> expected = run_once(reference, initial, lines);
    for (const char* time : {"first", "second"}) {
      fill(tested, initial, instruction, random);
      ASSERT_EQ(run_once(tested, initial, lines), expected)
          << std::hex << instruction << " from CPSR " << arm::cpsr(initial) << ", " << time << " time, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace armvisor::engine::test
