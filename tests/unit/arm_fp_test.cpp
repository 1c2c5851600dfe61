// arm/fp against the host's SSE unit where the two architectures agree, and by hand where they do not. SSE detects
// tininess after rounding and picks NaNs by position; the comparison states both differences.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "arm/fp.h"

namespace armvisor::arm {
namespace {

constexpr int k_rounds = 400'000;

template <class T>
using Float = std::conditional_t<sizeof(T) == 4, float, double>;

u32 mxcsr_of(Rounding r) {
  constexpr u32 rc[] = {0, 2, 1, 3};
  return 0x1f80 | rc[static_cast<u32>(r)] << 13;
}

u32 arm_flags(u32 csr) {
  return ((csr & 1) ? k_fpscr_ioc : 0) | ((csr & 4) ? k_fpscr_dzc : 0) | ((csr & 8) ? k_fpscr_ofc : 0) |
         ((csr & 16) ? k_fpscr_ufc : 0) | ((csr & 32) ? k_fpscr_ixc : 0);
}

// One host instruction between loading and storing MXCSR, so that nothing is moved across or folded.
#define HOST(...) HOST_WITH("x", __VA_ARGS__)
#define HOST_WITH(constraint, insn, x, y, rounding, flags)            \
  do {                                                                \
    u32 csr_ = mxcsr_of(rounding), normal_ = 0x1f80, out_;            \
    asm volatile("ldmxcsr %2\n\t" insn "\n\tstmxcsr %1\n\tldmxcsr %4" \
                 : "+&x"(x), "=&m"(out_)                              \
                 : "m"(csr_), constraint(y), "m"(normal_));           \
    flags = arm_flags(out_);                                          \
  } while (0)

template <class T>
struct Bits {
  static constexpr T inf = sizeof(T) == 4 ? T(0x7f800000) : T(0x7ff0000000000000);
  static constexpr T quiet = sizeof(T) == 4 ? T(0x00400000) : T(0x0008000000000000);
  static constexpr T sign = T{1} << (sizeof(T) * 8 - 1);
  static constexpr T min_normal = sizeof(T) == 4 ? T(0x00800000) : T(0x0010000000000000);
};
template <class T>
bool nan(T a) {
  return (a & ~Bits<T>::sign) > Bits<T>::inf;
}
template <class T>
bool snan(T a) {
  return nan(a) && !(a & Bits<T>::quiet);
}

std::mt19937_64 rng(1);

/// Random patterns with many specials, denormals, neighbouring exponents and few-bit fractions.
template <class T>
T operand() {
  const u64 kind = rng() % 16;
  T r = static_cast<T>(rng());
  const T sign = r & Bits<T>::sign;
  const T frac = r & (Bits<T>::min_normal - 1);
  const unsigned f = sizeof(T) == 4 ? 23 : 52;
  const T e_max = Bits<T>::inf >> f;
  switch (kind) {
    case 0: return sign;
    case 1: return sign | Bits<T>::inf;
    case 2: return sign | Bits<T>::inf | frac;
    case 3: return sign | frac;
    case 4: return sign | (frac >> (rng() % f));
    case 5: return sign | T(1 + rng() % 4) << f | frac;
    case 6: return sign | T(e_max - 1 - rng() % 4) << f | frac;
    case 7: return sign | T(e_max / 2) << f;
    case 8: return sign | T(e_max / 2 + rng() % 8) << f | (frac & ~T{0} << (rng() % f));
    case 9: return sign | T(e_max / 2 - f + rng() % (2 * f)) << f | (T{1} << (rng() % f));
    case 10: return sign | T(e_max / 2 + rng() % 3) << f | (Bits<T>::min_normal - 1 - (rng() % 4));
    case 11: return sign | T(e_max / 4 + rng() % (e_max / 8)) << f | frac;
    default: return sign | T(e_max / 2 - 8 + rng() % 16) << f | frac;
  }
}

/// What ARM gives for operands that hold a NaN, by FPProcessNaNs with default NaN off.
template <class T>
T chosen_nan(std::initializer_list<T> operands) {
  for (T x : operands)
    if (snan(x)) return x | Bits<T>::quiet;
  for (T x : operands)
    if (nan(x)) return x;
  return Bits<T>::inf | Bits<T>::quiet;
}

template <class T>
void check(const char* what, std::initializer_list<T> in, Rounding r, T got, u32 got_flags, T host, u32 host_flags) {
  if (nan(host)) host = chosen_nan(in);
  // The one case where the exact result is tiny but the rounded one is not.
  if ((host & ~Bits<T>::sign) == Bits<T>::min_normal && (got_flags & k_fpscr_ixc))
    host_flags |= got_flags & k_fpscr_ufc;
  ASSERT_TRUE(got == host && got_flags == host_flags)
      << what << std::hex << " " << u64(*in.begin()) << " " << u64(*(in.end() - 1)) << " rounding " << int(r) << ": "
      << u64(got) << "/" << got_flags << " host " << u64(host) << "/" << host_flags;
}

template <class T, class Fn, class Host>
void compare2(const char* what, Fn fn, Host host) {
  for (int i = 0; i < k_rounds; ++i) {
    const T a = operand<T>(), b = operand<T>();
    FpEnv env;
    env.rounding = static_cast<Rounding>(i & 3);
    u32 flags = 0;
    const T h = host(a, b, env.rounding, flags);
    const T g = fn(a, b, env);
    check<T>(what, {a, b}, env.rounding, g, env.flags, h, flags);
    if (testing::Test::HasFatalFailure()) return;
  }
}

#define COMPARE2(T, suffix, fn, insn)                                    \
  compare2<T>(insn suffix, fn<T>, [](T a, T b, Rounding r, u32& flags) { \
    auto x = std::bit_cast<Float<T>>(a);                                 \
    const auto y = std::bit_cast<Float<T>>(b);                           \
    HOST(insn suffix " %3, %0", x, y, r, flags);                         \
    return std::bit_cast<T>(x);                                          \
  })

TEST(FpHost, AddAgrees) {
  COMPARE2(u32, "ss", fp_add, "add");
  COMPARE2(u64, "sd", fp_add, "add");
}
TEST(FpHost, SubAgrees) {
  COMPARE2(u32, "ss", fp_sub, "sub");
  COMPARE2(u64, "sd", fp_sub, "sub");
}
TEST(FpHost, MulAgrees) {
  COMPARE2(u32, "ss", fp_mul, "mul");
  COMPARE2(u64, "sd", fp_mul, "mul");
}
TEST(FpHost, DivAgrees) {
  COMPARE2(u32, "ss", fp_div, "div");
  COMPARE2(u64, "sd", fp_div, "div");
}

TEST(FpHost, SqrtAgrees) {
  auto run = []<class T>(T, auto host) {
    for (int i = 0; i < k_rounds; ++i) {
      const T a = operand<T>();
      FpEnv env;
      env.rounding = static_cast<Rounding>(i & 3);
      u32 flags = 0;
      const T h = host(a, env.rounding, flags);
      const T g = fp_sqrt(a, env);
      check<T>("sqrt", {a}, env.rounding, g, env.flags, h, flags);
      if (testing::Test::HasFatalFailure()) return;
    }
  };
  run(u32{}, [](u32 a, Rounding r, u32& flags) {
    float x = std::bit_cast<float>(a), y = x;
    HOST("sqrtss %3, %0", x, y, r, flags);
    return std::bit_cast<u32>(x);
  });
  run(u64{}, [](u64 a, Rounding r, u32& flags) {
    double x = std::bit_cast<double>(a), y = x;
    HOST("sqrtsd %3, %0", x, y, r, flags);
    return std::bit_cast<u64>(x);
  });
}

template <class T, class Host>
void compare_fma(Host host) {
  for (int i = 0; i < 2 * k_rounds; ++i) {
    T n = operand<T>(), m = operand<T>(), a = operand<T>();
    FpEnv env;
    env.rounding = static_cast<Rounding>(i & 3);
    u32 flags = 0;
    if (i % 3 == 0) {  // near-total cancellation
      FpEnv e;
      a = fp_mul(n, m, e) ^ Bits<T>::sign ^ T(rng() % 3);
    }
    const T h = host(a, n, m, env.rounding, flags);
    const T g = fp_mul_add(a, n, m, env);
    // ARM: 0 * inf plus a quiet NaN is Invalid with the default NaN; SSE propagates the NaN quietly.
    const T an = n & ~Bits<T>::sign, am = m & ~Bits<T>::sign;
    const bool zero_inf = (an == 0 && am == Bits<T>::inf) || (am == 0 && an == Bits<T>::inf);
    if (zero_inf && nan(a) && !snan(a)) {
      ASSERT_EQ(g, Bits<T>::inf | Bits<T>::quiet);
      ASSERT_EQ(env.flags, k_fpscr_ioc);
      continue;
    }
    check<T>("fma", {a, n, m}, env.rounding, g, env.flags, h, flags);
    if (testing::Test::HasFatalFailure()) return;
  }
}

#define HOST_FMA(T, insn)                                                        \
  [](T a, T n, T m, Rounding r, u32& flags) {                                    \
    auto x = std::bit_cast<Float<T>>(a);                                         \
    const auto y = std::bit_cast<Float<T>>(n), z = std::bit_cast<Float<T>>(m);   \
    u32 csr = mxcsr_of(r), normal = 0x1f80, out;                                 \
    asm volatile("ldmxcsr %2\n\t" insn " %4, %3, %0\n\tstmxcsr %1\n\tldmxcsr %5" \
                 : "+&x"(x), "=&m"(out)                                          \
                 : "m"(csr), "x"(y), "x"(z), "m"(normal));                       \
    flags = arm_flags(out);                                                      \
    return std::bit_cast<T>(x);                                                  \
  }

TEST(FpHost, FusedMultiplyAddAgrees) {
  if (!__builtin_cpu_supports("fma")) GTEST_SKIP() << "the host has no FMA";
  compare_fma<u32>(HOST_FMA(u32, "vfmadd231ss"));
  compare_fma<u64>(HOST_FMA(u64, "vfmadd231sd"));
}

TEST(FpHost, ConversionsBetweenSizesAgree) {
  for (int i = 0; i < k_rounds; ++i) {
    const Rounding r = static_cast<Rounding>(i & 3);
    FpEnv env{r};
    u32 flags = 0;
    const u64 d = i & 4 ? operand<u64>() : u64(operand<u32>()) << 32 ^ (u64(0x38000000) << 32) ^ (rng() & 0xffffffff);
    float f = 0;
    double x = std::bit_cast<double>(d);
    HOST("cvtsd2ss %3, %0", f, x, r, flags);
    const u32 g = fp_double_to_single(d, env);
    const u32 h = std::bit_cast<u32>(f);
    if ((h & 0x7fffffff) == 0x00800000 && (env.flags & k_fpscr_ixc)) flags |= env.flags & k_fpscr_ufc;
    ASSERT_TRUE(g == h && env.flags == flags)
        << std::hex << d << " " << g << " " << h << " " << env.flags << " " << flags;

    const u32 s = operand<u32>();
    f = std::bit_cast<float>(s);
    HOST("cvtss2sd %3, %0", x, f, r, flags);
    env.flags = 0;
    const u64 wide = fp_single_to_double(s, env);
    ASSERT_TRUE(wide == std::bit_cast<u64>(x) && env.flags == flags) << std::hex << s << " " << wide;
  }
}

TEST(FpHost, HalfPrecisionAgrees) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "the host has no F16C (asked by way of AVX2)";
  for (u32 h = 0; h < 0x10000; ++h) {
    float x = 0, y = std::bit_cast<float>(h);
    u32 flags = 0;
    HOST("vcvtph2ps %3, %0", x, y, Rounding::Nearest, flags);
    FpEnv env;
    ASSERT_EQ(fp_half_to_single(static_cast<u16>(h), env), std::bit_cast<u32>(x)) << std::hex << h;
    ASSERT_EQ(env.flags, flags) << std::hex << h;
  }
  for (int i = 0; i < k_rounds; ++i) {
    const u32 s = i & 1 ? operand<u32>() : (operand<u32>() & 0x87ffffff) | 0x30000000 | (rng() & 0x0fffe000);
    const Rounding r = static_cast<Rounding>(i >> 1 & 3);
    float x = 0, y = std::bit_cast<float>(s);
    u32 flags = 0;
    HOST("vcvtps2ph $4, %3, %0", x, y, r, flags);
    FpEnv env{r};
    const u16 g = fp_single_to_half(s, env), h = static_cast<u16>(std::bit_cast<u32>(x));
    if ((h & 0x7fff) == 0x0400 && (env.flags & k_fpscr_ixc)) flags |= env.flags & k_fpscr_ufc;
    ASSERT_TRUE(g == h && env.flags == flags)
        << std::hex << s << " " << g << " " << h << " " << env.flags << " " << flags;
  }
}

template <class T>
void integers_agree() {
  for (int i = 0; i < k_rounds; ++i) {
    const Rounding r = static_cast<Rounding>(i & 3);
    const unsigned width = i & 4 ? 32 : 64;
    const T a = operand<T>();
    const Float<T> x = std::bit_cast<Float<T>>(a);
    u32 flags;
    s64 host = 0;
    u32 csr = mxcsr_of(r), normal = 0x1f80, out;
    if constexpr (sizeof(T) == 4)
      asm volatile("ldmxcsr %2\n\tcvtss2si %3, %0\n\tstmxcsr %1\n\tldmxcsr %4"
                   : "=&r"(host), "=&m"(out)
                   : "m"(csr), "x"(x), "m"(normal));
    else
      asm volatile("ldmxcsr %2\n\tcvtsd2si %3, %0\n\tstmxcsr %1\n\tldmxcsr %4"
                   : "=&r"(host), "=&m"(out)
                   : "m"(csr), "x"(x), "m"(normal));
    flags = arm_flags(out);
    if (nan(a))
      host = 0;
    else if (flags & k_fpscr_ioc)
      host = a & Bits<T>::sign ? INT64_MIN : INT64_MAX;
    if (width == 32 && (host > INT32_MAX || host < INT32_MIN)) {
      host = host < 0 ? INT32_MIN : INT32_MAX;
      flags = k_fpscr_ioc;
    }
    FpEnv env;
    ASSERT_EQ(s64(fp_to_fixed(a, width, 0, false, r, env)), host) << std::hex << u64(a) << " " << int(r);
    ASSERT_EQ(env.flags, flags) << std::hex << u64(a);

    const s64 n = s64(rng()) >> (rng() % 64);
    Float<T> y = 0;
    if constexpr (sizeof(T) == 4)
      HOST_WITH("r", "cvtsi2ssq %3, %0", y, n, r, flags);
    else
      HOST_WITH("r", "cvtsi2sdq %3, %0", y, n, r, flags);
    FpEnv env2{r};
    ASSERT_EQ(fixed_to_fp<T>(u64(n), 64, 0, false, env2), std::bit_cast<T>(y)) << n;
    ASSERT_EQ(env2.flags, flags) << n;
  }
}
TEST(FpHost, IntegersAgree) {
  integers_agree<u32>();
  integers_agree<u64>();
}

TEST(FpHost, ComparisonAgrees) {
  for (int i = 0; i < k_rounds; ++i) {
    const u32 a = operand<u32>(), b = i % 4 ? operand<u32>() : a;
    const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
    const u32 want = nan(a) || nan(b) ? 0x30000000u : x < y ? 0x80000000u : x == y ? 0x60000000u : 0x20000000u;
    FpEnv env;
    ASSERT_EQ(fp_compare(a, b, false, env), want);
    ASSERT_EQ(env.flags, snan(a) || snan(b) ? k_fpscr_ioc : 0);
    FpEnv e;
    ASSERT_EQ(fp_compare(a, b, true, e), want);
    ASSERT_EQ(e.flags, nan(a) || nan(b) ? k_fpscr_ioc : 0);
    FpEnv q;
    ASSERT_EQ(fp_eq(a, b, q), want == 0x60000000u);
    ASSERT_EQ(q.flags, env.flags);
    ASSERT_EQ(fp_ge(a, b, q), want == 0x60000000u || want == 0x20000000u);
    ASSERT_EQ(fp_gt(b, a, q), want == 0x80000000u);
    ASSERT_EQ(q.flags, e.flags);
  }
}

// --- flush-to-zero: inputs and results, against the unflushed function on flushed inputs

template <class T>
bool denormal(T a) {
  return (a & ~Bits<T>::sign) != 0 && (a & ~Bits<T>::sign) < Bits<T>::min_normal;
}

template <class T, class Fn>
void flush_agrees(Fn fn) {
  for (int i = 0; i < k_rounds; ++i) {
    T a = operand<T>(), b = operand<T>();
    const Rounding r = static_cast<Rounding>(i & 3);
    FpEnv fz{r, true};
    const T got = fn(a, b, fz);
    const u32 idc = denormal(a) || denormal(b) ? k_fpscr_idc : 0;
    if (denormal(a)) a &= Bits<T>::sign;
    if (denormal(b)) b &= Bits<T>::sign;
    FpEnv truncating{Rounding::Zero};
    const T truncated = fn(a, b, truncating);
    const bool tiny = denormal(truncated) || ((truncated & ~Bits<T>::sign) == 0 && (truncating.flags & k_fpscr_ixc));
    FpEnv plain{r};
    const T full = fn(a, b, plain);
    ASSERT_EQ(got, tiny ? truncated & Bits<T>::sign : full) << std::hex << u64(a) << " " << u64(b);
    ASSERT_EQ(fz.flags, idc | (tiny ? k_fpscr_ufc : plain.flags)) << std::hex << u64(a) << " " << u64(b);
  }
}

TEST(FpFlushToZero, TinyResultsAreZerosWithUnderflowAlone) {
  flush_agrees<u32>(fp_add<u32>);
  flush_agrees<u32>(fp_mul<u32>);
  flush_agrees<u32>(fp_div<u32>);
  flush_agrees<u64>(fp_mul<u64>);
  flush_agrees<u64>(fp_div<u64>);
}

TEST(FpFlushToZero, TininessIsBeforeRounding) {
  // (1 - 2^-24) * 2^-126 rounds to the smallest normal number; it is tiny all the same.
  FpEnv env;
  EXPECT_EQ(fp_mul<u32>(0x3f7fffff, 0x00800000, env), 0x00800000u);
  EXPECT_EQ(env.flags, k_fpscr_ufc | k_fpscr_ixc);
  FpEnv fz{Rounding::Nearest, true};
  EXPECT_EQ(fp_mul<u32>(0x3f7fffff, 0x00800000, fz), 0u);
  EXPECT_EQ(fz.flags, k_fpscr_ufc);
}

TEST(FpFlushToZero, ConversionsFlushTheSideThatIsNotHalf) {
  FpEnv fz{Rounding::Nearest, true};
  EXPECT_EQ(fp_single_to_double(0x80000001, fz), u64{1} << 63);
  EXPECT_EQ(fz.flags, k_fpscr_idc);
  fz.flags = 0;
  EXPECT_EQ(fp_half_to_single(0x0001, fz), 0x33800000u);
  EXPECT_EQ(fp_single_to_half(0x33800000, fz), 0x0001);
  EXPECT_EQ(fz.flags, 0u);
  EXPECT_EQ(fp_to_fixed<u32>(0x00000001, 32, 0, false, Rounding::PlusInf, fz), 0u);
  EXPECT_EQ(fz.flags, k_fpscr_idc);
  fz.flags = 0;
  EXPECT_EQ(fp_compare<u32>(0x00000001, 0x80000000, false, fz), 0x60000000u);
  EXPECT_EQ(fz.flags, k_fpscr_idc);
}

// --- NaNs

TEST(FpNan, SignallingComesBeforeQuietAndFirstBeforeSecond) {
  FpEnv env;
  EXPECT_EQ(fp_add<u32>(0x7fc00001, 0xff800002, env), 0xffc00002u);
  EXPECT_EQ(env.flags, k_fpscr_ioc);
  env.flags = 0;
  EXPECT_EQ(fp_mul<u32>(0x7fc00001, 0xffc00002, env), 0x7fc00001u);
  EXPECT_EQ(env.flags, 0u);
  EXPECT_EQ(fp_mul_add<u32>(0x7fc00001, 0x7fc00002, 0x7f800003, env), 0x7fc00003u);
  EXPECT_EQ(fp_mul_add<u32>(0x7f800001, 0x7fc00002, 0x7f800003, env), 0x7fc00001u);
}

TEST(FpNan, DefaultNanReplacesEveryNan) {
  FpEnv dn{Rounding::Nearest, false, true};
  EXPECT_EQ(fp_add<u32>(0xffc12345, 0x3f800000, dn), 0x7fc00000u);
  EXPECT_EQ(dn.flags, 0u);
  EXPECT_EQ(fp_max<u64>(0x3ff0000000000000, 0xfff0000000000001, dn), 0x7ff8000000000000u);
  EXPECT_EQ(dn.flags, k_fpscr_ioc);
  EXPECT_EQ(fp_single_to_half(0xff812345, dn), 0x7e00);
  EXPECT_EQ(fp_single_to_double(0xffc00001, dn), 0x7ff8000000000000u);
}

TEST(FpNan, ZeroTimesInfinityPlusNan) {
  FpEnv env;
  EXPECT_EQ(fp_mul_add<u32>(0xffc12345, 0, 0x7f800000, env), 0x7fc00000u);
  EXPECT_EQ(env.flags, k_fpscr_ioc);
  EXPECT_EQ(fp_mul_add<u32>(0xff812345, 0, 0x7f800000, env), 0xffc12345u);
  EXPECT_EQ(env.flags, k_fpscr_ioc);
}

TEST(FpMaxMin, ZerosAreOrderedAndDenormalsFlushed) {
  FpEnv env;
  EXPECT_EQ(fp_max<u32>(0x80000000, 0, env), 0u);
  EXPECT_EQ(fp_min<u32>(0, 0x80000000, env), 0x80000000u);
  EXPECT_EQ(fp_max<u32>(0x3f800000, 0xff800000, env), 0x3f800000u);
  EXPECT_EQ(fp_min<u32>(0x3f800000, 0xff800000, env), 0xff800000u);
  FpEnv fz{Rounding::Nearest, true};
  EXPECT_EQ(fp_max<u32>(0x00000001, 0xbf800000, fz), 0u);
  EXPECT_EQ(fz.flags, k_fpscr_idc);
}

// --- alternative half precision

TEST(FpHalf, AlternativeFormatHasNoInfinitiesAndNoNans) {
  FpEnv ahp{Rounding::Nearest, false, false, true};
  EXPECT_EQ(fp_half_to_single(0x7c00, ahp), 0x47800000u);  // 65536
  EXPECT_EQ(fp_half_to_single(0xffff, ahp), 0xc7ffe000u);  // -131008
  EXPECT_EQ(fp_single_to_half(0x47ffe000, ahp), 0x7fff);
  EXPECT_EQ(ahp.flags, 0u);
  EXPECT_EQ(fp_single_to_half(0x47fff000, ahp), 0x7fff);  // rounds past the largest number
  EXPECT_EQ(ahp.flags, k_fpscr_ioc);
  ahp.flags = 0;
  EXPECT_EQ(fp_single_to_half(0xff800000, ahp), 0xffff);
  EXPECT_EQ(ahp.flags, k_fpscr_ioc);
  ahp.flags = 0;
  EXPECT_EQ(fp_single_to_half(0xffc00001, ahp), 0x8000);
  EXPECT_EQ(ahp.flags, k_fpscr_ioc);
}

TEST(FpHalf, OverflowDependsOnTheRounding) {
  FpEnv nearest, zero{Rounding::Zero};
  EXPECT_EQ(fp_single_to_half(0x477ff000, nearest), 0x7c00);
  EXPECT_EQ(nearest.flags, k_fpscr_ofc | k_fpscr_ixc);
  EXPECT_EQ(fp_single_to_half(0x477ff000, zero), 0x7bff);
  EXPECT_EQ(zero.flags, k_fpscr_ixc);
}

// --- fixed point

TEST(FpFixed, SaturatesAndScales) {
  FpEnv env;
  EXPECT_EQ(fp_to_fixed<u32>(0x3fc00000, 16, 8, false, Rounding::Zero, env), 0x180u);  // 1.5
  EXPECT_EQ(fp_to_fixed<u32>(0xbfc00000, 16, 8, false, Rounding::Zero, env), ~u64{0} - 0x17f);
  EXPECT_EQ(env.flags, 0u);
  EXPECT_EQ(fp_to_fixed<u32>(0x47000000, 16, 0, false, Rounding::Zero, env), 0x7fffu);  // 32768
  EXPECT_EQ(env.flags, k_fpscr_ioc);
  env.flags = 0;
  EXPECT_EQ(fp_to_fixed<u32>(0xbf800000, 32, 0, true, Rounding::Zero, env), 0u);  // -1
  EXPECT_EQ(env.flags, k_fpscr_ioc);
  env.flags = 0;
  EXPECT_EQ(fp_to_fixed<u32>(0xbf000000, 32, 0, true, Rounding::Nearest, env), 0u);  // -0.5
  EXPECT_EQ(env.flags, k_fpscr_ixc);
  env.flags = 0;
  EXPECT_EQ(fp_to_fixed<u64>(0x41f0000000000000, 32, 0, true, Rounding::Zero, env), 0xffffffffu);
  EXPECT_EQ(fp_to_fixed<u64>(0xfff0000000000000, 32, 0, false, Rounding::Zero, env), 0xffffffff80000000u);
  EXPECT_EQ(fp_to_fixed<u64>(0x7ff8000000000000, 32, 0, false, Rounding::Zero, env), 0u);
  EXPECT_EQ(env.flags, k_fpscr_ioc);
  env.flags = 0;
  EXPECT_EQ(fp_to_fixed<u64>(0x4004000000000000, 32, 0, false, Rounding::TieAway, env), 3u);  // 2.5
  EXPECT_EQ(fp_to_fixed<u64>(0x4004000000000000, 32, 0, false, Rounding::Nearest, env), 2u);
}

TEST(FpFixed, IntegersOfNarrowWidth) {
  FpEnv env;
  EXPECT_EQ(fixed_to_fp<u32>(0xffff8000, 16, 15, false, env), 0xbf800000u);
  EXPECT_EQ(fixed_to_fp<u32>(0xffff8000, 16, 15, true, env), 0x3f800000u);
  EXPECT_EQ(fixed_to_fp<u64>(0x80000000, 32, 0, false, env), 0xc1e0000000000000u);
  EXPECT_EQ(env.flags, 0u);
}

// --- estimates and steps

TEST(FpEstimate, MatchesTheManualsRealArithmetic) {
  for (u32 q = 256; q < 512; ++q) {
    const double r = 1.0 / ((q + 0.5) / 512.0);
    const u32 s = static_cast<u32>(256.0 * r + 0.5);
    EXPECT_EQ(unsigned_recip_estimate(q << 23 | 0x1234), s << 23) << q;
    FpEnv env;
    EXPECT_EQ(fp_recip_estimate(0x3f000000 | (q & 0xff) << 15, env), 0x3f800000u | (s & 0xff) << 15) << q;
  }
  for (u32 q = 128; q < 256; ++q) {
    const u32 low = static_cast<u32>(256.0 / std::sqrt((q + 0.5) / 512.0) + 0.5);
    const u32 high = static_cast<u32>(256.0 / std::sqrt((q + 0.5) / 256.0) + 0.5);
    EXPECT_EQ(unsigned_rsqrt_estimate(q << 23), low << 23) << q;
    EXPECT_EQ(unsigned_rsqrt_estimate(q << 24), high << 23) << q;
    FpEnv env;
    EXPECT_EQ(fp_rsqrt_estimate(0x3e800000 | (q & 0x7f) << 16, env), 0x3f800000u | (low & 0xff) << 15) << q;
    EXPECT_EQ(fp_rsqrt_estimate(0x3f000000 | (q & 0x7f) << 16, env), 0x3f800000u | (high & 0xff) << 15) << q;
  }
  EXPECT_EQ(unsigned_recip_estimate(0x7fffffff), ~0u);
  EXPECT_EQ(unsigned_rsqrt_estimate(0x3fffffff), ~0u);
}

TEST(FpEstimate, SpecialOperands) {
  auto recip = [](u32 a, u32 want, u32 flags) {
    FpEnv env = FpEnv::standard(0);
    EXPECT_EQ(fp_recip_estimate(a, env), want) << std::hex << a;
    EXPECT_EQ(env.flags, flags) << std::hex << a;
  };
  recip(0x80000000, 0xff800000, k_fpscr_dzc);
  recip(0x00000001, 0x7f800000, k_fpscr_dzc | k_fpscr_idc);
  recip(0xff800000, 0x80000000, 0);
  recip(0xfe800000, 0x80000000, k_fpscr_ufc);  // -2^126
  recip(0x7e7fffff, 0x00800000, 0);
  recip(0xff800001, 0x7fc00000, k_fpscr_ioc);
  auto rsqrt = [](u32 a, u32 want, u32 flags) {
    FpEnv env = FpEnv::standard(0);
    EXPECT_EQ(fp_rsqrt_estimate(a, env), want) << std::hex << a;
    EXPECT_EQ(env.flags, flags) << std::hex << a;
  };
  rsqrt(0x80000000, 0xff800000, k_fpscr_dzc);
  rsqrt(0x7f800000, 0, 0);
  rsqrt(0xbf800000, 0x7fc00000, k_fpscr_ioc);
  rsqrt(0x40800000, 0x3eff8000, 0);  // 4
}

TEST(FpStep, ZeroTimesInfinityGivesTheConstant) {
  FpEnv env = FpEnv::standard(0);
  EXPECT_EQ(fp_recip_step(0, 0x7f800000, env), 0x40000000u);
  EXPECT_EQ(fp_rsqrt_step(0xff800000, 0x80000000, env), 0x3fc00000u);
  EXPECT_EQ(fp_recip_step(0x00000001, 0x7f800000, env), 0x40000000u);
  EXPECT_EQ(env.flags, k_fpscr_idc);
  env.flags = 0;
  EXPECT_EQ(fp_recip_step(0x3f800000, 0x3f800000, env), 0x3f800000u);
  EXPECT_EQ(fp_rsqrt_step(0x3f800000, 0x3f800000, env), 0x3f800000u);
  EXPECT_EQ(fp_rsqrt_step(0x40400000, 0x3f800000, env), 0u);
  EXPECT_EQ(env.flags, 0u);
}

}  // namespace
}  // namespace armvisor::arm
