// The Advanced SIMD reference functions against Unicorn executing the instruction itself (neon_words.inc), against
// values computed by hand, and against the rules that hold for all of them.
#include <gtest/gtest.h>
#include <unicorn/unicorn.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "ir/vector.h"

namespace armvisor::ir {
namespace {

enum class Shape : u8 {
  Binary,
  Unary,
  Float,
  FloatUnary,
  Narrow,
  NarrowBinary,
  FloatNarrow,
  Widen,
  WidenBinary,
  Permute1,
  Permute2,
  Table
};

struct Row {
  VecOp op;
  unsigned esize_log2;
  bool q;
  u32 imm;
  Shape shape;
  u32 word;
  const char* syntax;
};
constexpr Row k_rows[] = {
#define NEON(op, esize, q, imm, shape, word, syntax) {VecOp::op, esize, (q) != 0, imm, Shape::shape, word, syntax},
#include "neon_words.inc"
#undef NEON
};

std::mt19937_64 rng(7);

u32 special_float() {
  static constexpr u32 values[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001,
                                   0xff900000, 0x00000001, 0x807fffff, 0x00800000, 0x80800001, 0x7f7fffff, 0x3f800000,
                                   0xbf800000, 0x40000000, 0x40400000, 0x4f000000, 0x4f800000, 0xcf000000, 0x3effffff};
  const u32 r = static_cast<u32>(rng());
  switch (rng() % 4) {
    case 0: return values[r % std::size(values)];
    case 1: return r;
    case 2: return (r & 0x80ffffff) | (0x3c000000 + (r & 0x07000000));
    default: return (r & 0x81ffffff) | (rng() % 2 ? 0x00000000 : 0x7e000000);
  }
}

u64 random_lane64(bool fp) {
  if (fp) return special_float() | u64{special_float()} << 32;
  u64 r = rng();
  switch (rng() % 6) {
    case 0: {  // extremes of each byte
      static constexpr u8 bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x40, 0x81};
      for (int i = 0; i < 8; ++i) r = r << 8 | bytes[rng() % 8];
      return r;
    }
    case 1: return r & 0x0f0f0f0f0f0f0f0f;
    case 2: {
      static constexpr u64 words[] = {0x8000000080000000,
                                      0x7fffffff7fffffff,
                                      0x8000800080008000,
                                      0x7fff7fff7fff7fff,
                                      0x8000000000000000,
                                      0x7fffffffffffffff,
                                      0,
                                      ~u64{0}};
      return words[r % 8];
    }
    default: return r;
  }
}

struct Sample {
  std::array<u64, 8> d;  ///< D0-D7
  u32 fpscr;
};

Sample random_sample(const Row& row) {
  const bool fp = row.shape == Shape::Float || row.shape == Shape::FloatUnary || row.shape == Shape::FloatNarrow;
  Sample s;
  for (auto& d : s.d) d = random_lane64(fp);
  if (row.shape == Shape::Table && rng() % 4) s.d[6] &= 0x1f1f1f1f1f1f1f1f | rng();
  if (rng() % 8 == 0) s.d[2] = s.d[4];
  // AHP, QC and cumulative flags at random; the rounding mode, FZ and DN must not matter.
  s.fpscr = static_cast<u32>(rng()) & (arm::k_fpscr_ahp | arm::k_fpscr_dn | arm::k_fpscr_fz | arm::k_fpscr_rmode);
  return s;
}

VecArgs args_of(const Row& row, const Sample& s) {
  const V128 q0{s.d[0], s.d[1]}, q1{s.d[2], s.d[3]}, q2{s.d[4], s.d[5]};
  VecArgs v{q1, q2, q0, row.esize_log2, row.q, row.imm, s.fpscr, 0};
  switch (row.shape) {
    case Shape::Unary:
    case Shape::FloatUnary:
    case Shape::Narrow:
    case Shape::FloatNarrow:
    case Shape::Widen: v.a = q2; break;
    case Shape::Permute1:
    case Shape::Permute2: v.a = q0; break;
    case Shape::Table: v.c = {s.d[6], s.d[0]}; break;
    default: break;
  }
  return v;
}

/// D0-D7 and FPSCR after the instruction, by the reference function; of permutations one result register.
void expect(const Row& row, const VecArgs& v, V128 r, const Sample& in, const Sample& out) {
  const bool wide = row.shape == Shape::Widen || row.shape == Shape::WidenBinary;
  const bool narrow = row.shape == Shape::Narrow || row.shape == Shape::NarrowBinary || row.shape == Shape::FloatNarrow;
  const bool whole = wide || (row.q && !narrow);
  const unsigned at = row.shape == Shape::Permute2 ? 4 : 0;
  const V128 got{out.d[at], out.d[at + 1]};
  const V128 want{r.lo, whole ? r.hi : in.d[at + 1]};
  constexpr u32 mask = arm::k_fpscr_cumulative | arm::k_fpscr_qc;
  ASSERT_TRUE(got == want && (out.fpscr & mask) == v.fpscr_set)
      << row.syntax << std::hex << " a " << v.a.hi << ":" << v.a.lo << " b " << v.b.hi << ":" << v.b.lo << " c "
      << v.c.hi << ":" << v.c.lo << "\n reference " << want.hi << ":" << want.lo << " " << v.fpscr_set
      << "\n unicorn   " << got.hi << ":" << got.lo << " " << (out.fpscr & mask) << " fpscr " << in.fpscr;
}

/// A Cortex-A15 that runs one instruction on many samples.
class Oracle {
 public:
  Oracle() {
    check(uc_open(UC_ARCH_ARM, UC_MODE_ARM, &uc_));
    check(uc_ctl_set_cpu_model(uc_, UC_CPU_ARM_CORTEX_A15));
    check(uc_mem_map(uc_, k_code, 0x100000, UC_PROT_ALL));
    check(uc_mem_map(uc_, k_data, 0x100000, UC_PROT_ALL));
    enable_vfp();
  }
  ~Oracle() { uc_close(uc_); }

  void run(u32 word, std::vector<Sample>& samples) {
    const u32 code[] = {
        0xe4940004, 0xeee10a10, 0xecb20b10, word,        // ldr r0,[r4],#4; vmsr fpscr,r0; vldmia r2!,{d0-d7}
        0xeca30b10, 0xeef11a10, 0xe4851004, 0xe2566001,  // vstmia r3!,{d0-d7}; vmrs r1; str r1,[r5],#4; subs r6
        0x1afffff6};                                     // bne
    const u32 n = static_cast<u32>(samples.size());
    std::vector<u64> d;
    std::vector<u32> f;
    for (const auto& s : samples) {
      d.insert(d.end(), s.d.begin(), s.d.end());
      f.push_back(s.fpscr);
    }
    const u32 registers[] = {k_data, k_data + 0x40000, k_data + 0x80000, k_data + 0xc0000, n};
    check(uc_mem_write(uc_, next_, code, sizeof code));
    check(uc_mem_write(uc_, registers[0], d.data(), d.size() * 8));
    check(uc_mem_write(uc_, registers[2], f.data(), f.size() * 4));
    for (int i = 0; i < 5; ++i) check(uc_reg_write(uc_, UC_ARM_REG_R2 + i, &registers[i]));
    check(uc_emu_start(uc_, next_, next_ + sizeof code, 0, 0));
    check(uc_mem_read(uc_, registers[1], d.data(), d.size() * 8));
    check(uc_mem_read(uc_, registers[3], f.data(), f.size() * 4));
    for (u32 i = 0; i < n; ++i) {
      std::memcpy(samples[i].d.data(), &d[i * 8], 64);
      samples[i].fpscr = f[i];
    }
    next_ += 64;
  }

 private:
  static constexpr u32 k_code = 0x10000, k_data = 0x400000;
  void check(uc_err e) { ASSERT_EQ(e, UC_ERR_OK) << uc_strerror(e); }
  void enable_vfp() {
    const u32 code[] = {0xe3a0060f, 0xee010f50, 0xe3a00101, 0xeee80a10};  // mov r0,#0xf00000; CPACR; #0x40000000; FPEXC
    check(uc_mem_write(uc_, next_, code, sizeof code));
    check(uc_emu_start(uc_, next_, next_ + sizeof code, 0, 0));
    next_ += 64;
  }
  uc_engine* uc_ = nullptr;
  u32 next_ = k_code;
};

TEST(VectorOracle, EveryInstructionGivesWhatUnicornGives) {
  Oracle oracle;
  for (const Row& row : k_rows) {
    std::vector<Sample> in(info(row.op).fp ? 1000 : 300);
    for (auto& s : in) s = random_sample(row);
    std::vector<Sample> out = in;
    ASSERT_NO_FATAL_FAILURE(oracle.run(row.word, out));
    for (size_t i = 0; i < in.size(); ++i) {
      VecArgs v = args_of(row, in[i]);
      const V128 r = info(row.op).function(v);
      ASSERT_NO_FATAL_FAILURE(expect(row, v, r, in[i], out[i]));
    }
  }
}

TEST(VectorTable, EveryOperationHasAnInstructionInTheOracle) {
  std::array<bool, static_cast<unsigned>(VecOp::Count)> seen{};
  for (const Row& row : k_rows) seen[static_cast<unsigned>(row.op)] = true;
  for (unsigned i = 0; i < seen.size(); ++i) EXPECT_TRUE(seen[i]) << info(static_cast<VecOp>(i)).name;
}

bool ignores_q(Shape s) {
  return s == Shape::Narrow || s == Shape::NarrowBinary || s == Shape::FloatNarrow || s == Shape::Widen ||
         s == Shape::WidenBinary || s == Shape::Table;
}

TEST(VectorRules, DeadLanesHaveNoInfluenceAndFlagsAreDeclared) {
  for (const Row& row : k_rows) {
    u32 allowed = (info(row.op).fp ? arm::k_fpscr_cumulative : 0) | (info(row.op).qc ? arm::k_fpscr_qc : 0);
    for (int i = 0; i < 50; ++i) {
      VecArgs v = args_of(row, random_sample(row));
      const V128 r = info(row.op).function(v);
      ASSERT_EQ(v.fpscr_set & ~allowed, 0u) << row.syntax;
      if (row.q || ignores_q(row.shape)) continue;
      ASSERT_EQ(r.hi, 0u) << row.syntax;
      VecArgs other = v;
      other.a.hi = rng(), other.b.hi = rng(), other.c.hi = rng();
      other.fpscr_set = 0;
      ASSERT_EQ(info(row.op).function(other), r) << row.syntax;
      ASSERT_EQ(other.fpscr_set, v.fpscr_set) << row.syntax;
    }
  }
}

// --- by hand

struct Outcome {
  V128 r;
  u32 set;
};
Outcome eval(VecOp op, unsigned esize, bool q, V128 a, V128 b = {}, V128 c = {}, u32 imm = 0, u32 fpscr = 0) {
  VecArgs v{a, b, c, static_cast<unsigned>(std::countr_zero(esize)), q, imm, fpscr, 0};
  const V128 r = info(op).function(v);
  return {r, v.fpscr_set};
}

TEST(VectorHand, SaturationSetsQc) {
  EXPECT_EQ(eval(VecOp::QAddS, 8, false, {0x7f80017f, 0}, {0x01ff0100, 0}).r.lo, 0x7f80027fu);
  EXPECT_EQ(eval(VecOp::QAddS, 8, false, {0x7f, 0}, {0x01, 0}).set, arm::k_fpscr_qc);
  EXPECT_EQ(eval(VecOp::QAddS, 8, false, {0x7e, ~u64{0}}, {0x01, 1}).set, 0u);
  EXPECT_EQ(eval(VecOp::QDMulH, 32, true, {0x80000000, 0}, {0x80000000, 0}).r.lo, 0x7fffffffu);
  EXPECT_EQ(eval(VecOp::QAbs, 16, false, {0x8000, 0}).r.lo, 0x7fffu);
  EXPECT_EQ(eval(VecOp::QMovUN, 16, true, {0xffff0100, 0}).r.lo, 0x00ffu);
}

TEST(VectorHand, ShiftsByRegisterGoBothWaysAndPastTheSize) {
  EXPECT_EQ(eval(VecOp::ShlRegS, 64, true, {~u64{0}, 5}, {0x80, 0x7f}).r, (V128{~u64{0}, 0}));
  EXPECT_EQ(eval(VecOp::RShlRegS, 64, true, {~u64{0}, u64{1} << 63}, {0xff, 0xc0}).r, (V128{0, 0}));
  EXPECT_EQ(eval(VecOp::RShlRegU, 64, true, {~u64{0}, ~u64{0}}, {0xc0, 0xbf}).r, (V128{1, 0}));
  EXPECT_EQ(eval(VecOp::QShlRegS, 64, true, {u64{1} << 63, 1}, {1, 63}).r, (V128{u64{1} << 63, ~u64{0} >> 1}));
}

TEST(VectorHand, BitwiseAndPermutations) {
  EXPECT_EQ(eval(VecOp::Bsl, 8, false, {0xff00, 0}, {0x00ff, 0}, {0xf0f0, 0}).r.lo, 0xf00fu);
  EXPECT_EQ(eval(VecOp::Ext, 8, false, {0x0706050403020100, 0}, {0x0f0e0d0c0b0a0908, 0}, {}, 3).r.lo,
            0x0a09080706050403u);
  EXPECT_EQ(eval(VecOp::Zip1, 8, false, {0x0706050403020100, 0}, {0x0f0e0d0c0b0a0908, 0}).r.lo, 0x0b030a0209010800u);
  EXPECT_EQ(eval(VecOp::Uzp2, 16, false, {0x0003000200010000, 0}, {0x0007000600050004, 0}).r.lo, 0x0007000500030001u);
  EXPECT_EQ(
      eval(VecOp::Tbl, 8, false, {0x1716151413121110, 0}, {}, {0x0807000102030405, 0xaa00000000000000}, 0x101).r.lo,
      0xaa17101112131415u);
}

TEST(VectorHand, FloatingPointUsesTheStandardControls) {
  // FPSCR asks for rounding up and no flush: neither reaches Advanced SIMD.
  const auto sum = eval(VecOp::FAdd, 32, false, {0x3f800000, 0}, {0x30000000, 0}, {}, 0, 1u << 22);
  EXPECT_EQ(sum.r.lo, 0x3f800000u);
  EXPECT_EQ(sum.set, arm::k_fpscr_ixc);
  EXPECT_EQ(eval(VecOp::FMul, 32, false, {0xff812345, 0}, {0x3f800000, 0}).r.lo, 0x7fc00000u);
  EXPECT_EQ(eval(VecOp::FMax, 32, false, {0x80000000, 0}, {0x00000001, 0}).set, arm::k_fpscr_idc);
  EXPECT_EQ(eval(VecOp::FNarrow16, 32, true, {0x47800000, 0}, {}, {}, 0, arm::k_fpscr_ahp).r.lo, 0x7c00u);
}

}  // namespace
}  // namespace armvisor::ir
