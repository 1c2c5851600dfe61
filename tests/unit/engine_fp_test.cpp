// What the compiling engine makes of VFP and Advanced SIMD against the interpreter, which calls the reference
// functions: every operation, alone and with its operands and result in use around it, on numbers where hosts differ
// from the architecture. Extension registers and FPSCR must be the same.
#include <gtest/gtest.h>

#include <random>

#include "arm/fp.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

struct Row {
  u32 word;
  const char* syntax;
};
constexpr Row k_vfp[] = {
#define VFP(word, syntax) {word, syntax},
#include "vfp_words.inc"
#undef VFP
};
constexpr Row k_neon[] = {
#define NEON(op, esize, q, imm, shape, word, syntax) {word, syntax},
#include "neon_words.inc"
#undef NEON
};

constexpr u32 k_code = k_ram + 0x8000;

class Samples {
 public:
  u64 doubleword() {
    static constexpr u64 k_doubles[] = {0,
                                        0x8000000000000000,
                                        0x7ff0000000000000,
                                        0xfff0000000000000,
                                        0x7ff8000000000000,
                                        0xfff8000000001234,
                                        0x7ff0000000000001,
                                        0xfff4000000000000,
                                        1,
                                        0x800fffffffffffff,
                                        0x0010000000000000,
                                        0x8010000000000001,
                                        0x7fefffffffffffff,
                                        0x3ff0000000000000,
                                        0xbff0000000000000,
                                        0x3fe0000000000000,
                                        0x41dfffffffc00000,
                                        0x41e0000000000000,
                                        0xc1e0000000200000,
                                        0x41efffffffe00000,
                                        0x41effffffff00000,
                                        0x41f0000000000000,
                                        0x380fffffffffffff,
                                        0x3810000000000000,
                                        0x369fffffffffffff};
    const u64 r = random_();
    switch (random_() % 8) {
      case 0: return k_doubles[r % std::size(k_doubles)];
      case 1: return (r & 0x800fffffffffffff) | (u64{0x3f8} + r % 0x60) << 52;
      case 2: return r & 0x801fffffffffffff;
      case 3: return bytes();
      default: return single() | u64{single()} << 32;
    }
  }
  u32 fpscr(bool any_mode) {
    const u32 r = static_cast<u32>(random_());
    const u32 modes = arm::k_fpscr_dn | arm::k_fpscr_fz | arm::k_fpscr_rmode | arm::k_fpscr_ahp;
    return (any_mode && r % 4 == 0 ? r >> 2 & modes : 0) | (r % 3 == 0 ? r & 0xf8000000 : 0);
  }

 private:
  u32 single() {
    static constexpr u32 k_singles[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                        0x7f800001, 0xff900000, 0x00000001, 0x807fffff, 0x00800000, 0x80800001,
                                        0x7f7fffff, 0x3f800000, 0xbf800000, 0x40000000, 0x40400000, 0x4f000000,
                                        0x4effffff, 0x4f800000, 0xcf000000, 0x3effffff, 0x1fffffff, 0x20000000,
                                        0x20000001, 0x26000000, 0x25ffffff, 0xa0000000, 0xbf000000, 0x5f000000};
    const u32 r = static_cast<u32>(random_());
    switch (random_() % 6) {
      case 0:
      case 1: return k_singles[r % std::size(k_singles)];
      case 2: return (r & 0x81ffffff) | (r & 1 ? 0u : 0x7e000000u);
      case 3: return (r & 0x83ffffff) | 0x1c000000;  // products near the least normal number
      default: return (r & 0x80ffffff) | (0x3c000000 + (r >> 3 & 0x07000000));
    }
  }
  u64 bytes() {
    static constexpr u8 k_bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x40, 0x81, 7, 8, 0x1f, 0x20, 0x10};
    u64 r = 0;
    for (int k = 0; k < 8; ++k) r = r << 8 | k_bytes[random_() % std::size(k_bytes)];
    return r;
  }
  std::mt19937_64 random_{11};
};

struct State {
  std::array<u64, 8> d;
  u32 fpscr;
  bool operator==(const State&) const = default;
};

class Side {
 public:
  explicit Side(const char* engine) {
    const char* const before = std::getenv("ARMVISOR_TEST_ENGINE");
    const std::string kept = before ? before : "";
    ::setenv("ARMVISOR_TEST_ENGINE", engine, 1);
    machine_ = std::make_unique<Machine>();
    before ? ::setenv("ARMVISOR_TEST_ENGINE", kept.c_str(), 1) : ::unsetenv("ARMVISOR_TEST_ENGINE");
    machine_->state().cp15.cpacr = 0xf00000;
    machine_->state().fpexc = 1u << 30;
  }
  State run(u32 at, const State& in) {
    arm::CpuState& s = machine_->state();
    std::copy(in.d.begin(), in.d.end(), s.d.begin());
    arm::set_fpscr(s, in.fpscr);
    EXPECT_EQ(machine_->run(at), Exit::Kicked);
    State out;
    std::copy_n(s.d.begin(), 8, out.d.begin());
    out.fpscr = arm::fpscr(s);
    return out;
  }
  Machine& machine() { return *machine_; }

 private:
  std::unique_ptr<Machine> machine_;
};

std::string text(const State& s) {
  std::ostringstream out;
  out << std::hex;
  for (const u64 d : s.d) out << d << " ";
  out << "fpscr " << s.fpscr;
  return out.str();
}

template <std::size_t N>
void compare(const Row (&rows)[N], bool any_mode, u32 samples) {
  Side subject("jit"), reference("interp");
  Samples random;
  u32 at = k_code;
  for (const Row& row : rows) {
    // Alone; and with its operands read before and its result after: vorr q3, q1, q1; WORD; vorr d6, d6, d0.
    const u32 alone = at, among = at + 8;
    for (Side* side : {&subject, &reference}) {
      side->machine().words(alone, {row.word, k_stop});
      side->machine().words(among, {0xf2226152, row.word, 0xf2266110, k_stop});
    }
    at += 32;
    for (u32 k = 0; k < samples; ++k) {
      State in;
      for (u64& d : in.d) d = random.doubleword();
      if (k % 8 == 0) in.d[2] = in.d[4];
      in.fpscr = random.fpscr(any_mode);
      const u32 start = k % 4 == 3 ? among : alone;
      const State got = subject.run(start, in), want = reference.run(start, in);
      ASSERT_EQ(got, want) << row.syntax << (start == among ? " among others" : "") << "\n in   " << text(in)
                           << "\n jit  " << text(got) << "\n want " << text(want);
    }
  }
}

TEST(EngineFp, VfpGivesTheBitsAndFlagsOfTheReference) {
  if (!jit_available()) GTEST_SKIP() << "no compiler for this host";
  compare(k_vfp, true, 3000);
}

TEST(EngineFp, AdvancedSimdGivesTheBitsAndFlagsOfTheReference) {
  if (!jit_available()) GTEST_SKIP() << "no compiler for this host";
  compare(k_neon, true, 400);
}

}  // namespace
}  // namespace armvisor::engine::test
