// Enabling of VFP and Advanced SIMD (ARM DDI 0406C B1.11): CPACR, FPEXC and CPACR.ASEDIS; the lazy switch of operating
// systems; registers and flags.
#include "lib/guest.h"

#define CPACR_CP10_11(x) ((x) << 20 | (x) << 22)

static void set_cpacr(u32 v) { WRITE_CP15(0, c1, c0, 2, v); }
// Coprocessor forms, so that the assembler needs no -mfpu: VMSR FPEXC, VMRS.
static void set_fpexc(u32 v) { asm volatile(".fpu neon-vfpv4\n vmsr fpexc, %0" ::"r"(v)); }
static u32 get_fpexc(void) {
  u32 v = 0;
  asm volatile(".fpu neon-vfpv4\n vmrs %0, fpexc" : "+r"(v));
  return v;
}
static void vfp_add(void) { asm volatile(".fpu neon-vfpv4\n vadd.f32 s0, s0, s1"); }
static void neon_add(void) { asm volatile(".fpu neon-vfpv4\n vadd.i32 q0, q0, q1"); }
static u32 user_vfp_add(u32 a) {
  vfp_add();
  return a;
}

#define UNDS(statement)                      \
  ({                                         \
    const u32 before_ = EXC(EXC_UND).count;  \
    statement;                               \
    EXC(EXC_UND).count - before_;            \
  })

static void test_enable(void) {
  test_begin("vfp: CPACR and FPEXC.EN");
  set_cpacr(0);
  CHECK_EQ(UNDS(vfp_add()), 1);
  CHECK_EQ(UNDS(set_fpexc(1u << 30)), 1);
  set_cpacr(CPACR_CP10_11(1u));
  CHECK_EQ(UNDS(set_fpexc(0)), 0);
  CHECK_EQ(UNDS(vfp_add()), 1);  // enabled by CPACR, not by FPEXC
  CHECK_EQ(UNDS(neon_add()), 1);
  CHECK_EQ(UNDS(set_fpexc(1u << 30)), 0);
  CHECK_EQ(get_fpexc() & 1u << 30, 1u << 30);
  CHECK_EQ(UNDS(vfp_add()), 0);
  CHECK_EQ(UNDS(neon_add()), 0);
  CHECK_EQ(UNDS(call_user(user_vfp_add, 0)), 1);  // PL1 only
  set_cpacr(CPACR_CP10_11(3u));
  CHECK_EQ(UNDS(call_user(user_vfp_add, 0)), 0);
  test_end();
}

static void test_asedis(void) {
  test_begin("vfp: what CPACR.ASEDIS and D32DIS read as is what they do");
  set_cpacr(CPACR_CP10_11(3u) | 1u << 31);
  const u32 kept = READ_CP15(0, c1, c0, 2) >> 31;
  CHECK_EQ(UNDS(neon_add()), kept);
  CHECK_EQ(UNDS(vfp_add()), 0);
  set_cpacr(CPACR_CP10_11(3u));
  test_end();
}

// The lazy switch: an Undefined Instruction enables VFP and runs the instruction again.
static void lazy_hook(struct frame* f, u32 kind) {
  (void)kind;
  set_fpexc(1u << 30);
  f->lr -= (f->spsr & 0x20) ? 2 : 4;
}
__attribute__((naked, noinline, target("thumb"))) static u32 thumb_vfp(u32 a) {
  asm volatile(".fpu neon-vfpv4\n vmov s4, r0\n vmov r0, s4\n bx lr");
}
static u32 arm_vfp(u32 a) {
  u32 v;
  asm volatile(".fpu neon-vfpv4\n vmov s3, %1\n vmov %0, s3" : "=r"(v) : "r"(a));
  return v;
}
static void test_lazy(void) {
  test_begin("vfp: lazy enable on first use, in ARM and Thumb");
  exc_hook[EXC_UND] = lazy_hook;
  for (u32 k = 0; k < 20; ++k) {
    set_fpexc(0);
    CHECK_EQ(UNDS(CHECK_EQ(arm_vfp(0x1234 + k), 0x1234 + k)), 1);
    set_fpexc(0);
    CHECK_EQ(UNDS(CHECK_EQ(thumb_vfp(0x5678 + k), 0x5678 + k)), 1);
  }
  exc_hook[EXC_UND] = 0;
  test_end();
}

static void test_arithmetic(void) {
  test_begin("vfp: arithmetic, flags, registers");
  u32 v, fpscr;
  asm volatile(".fpu neon-vfpv4\n vmsr fpscr, %1\n vmov.f32 s0, #1.5\n vmov.f32 s1, #2.25\n vmul.f32 s2, s0, s1\n vmov %0, s2"
               : "=r"(v)
               : "r"(0));
  CHECK_EQ(v, 0x40580000);  // 3.375
  asm volatile(".fpu neon-vfpv4\n vmov.f64 d0, #1.0\n vmov.f64 d1, #3.0\n vdiv.f64 d2, d0, d1\n vmov %0, s5\n vmrs %1, fpscr"
               : "=r"(v), "=r"(fpscr));
  CHECK_EQ(v, 0x3fd55555);
  CHECK_EQ(fpscr & 0x9f, 0x10);  // inexact
  asm volatile(".fpu neon-vfpv4\n vmsr fpscr, %1\n vmov.f32 s0, #1.0\n vsub.f32 s1, s0, s0\n vdiv.f32 s2, s0, s1\n vmrs %0, fpscr"
               : "=r"(fpscr)
               : "r"(0));
  CHECK_EQ(fpscr & 0x9f, 0x02);  // division by zero
  u32 n;
  asm volatile(".fpu neon-vfpv4\n vmov.f32 s0, #1.0\n vmov.f32 s1, #2.0\n vcmp.f32 s0, s1\n vmrs apsr_nzcv, fpscr\n mrs %0, cpsr"
               : "=r"(n)::"cc");
  CHECK_EQ(n >> 28, 8);
  asm volatile(".fpu neon-vfpv4\n vmov.i32 q8, #5\n vmov.i32 q9, #7\n vmul.i32 q10, q8, q9\n vmov.32 %0, d21[1]" : "=r"(v));
  CHECK_EQ(v, 35);
  test_end();
}

static void test_identification(void) {
  test_begin("vfp: FPSID, MVFR0, MVFR1 of a VFPv4 with 32 registers");
  u32 fpsid, mvfr0, mvfr1;
  asm volatile(".fpu neon-vfpv4\n vmrs %0, fpsid\n vmrs %1, mvfr0\n vmrs %2, mvfr1" : "=r"(fpsid), "=r"(mvfr0), "=r"(mvfr1));
  CHECK_EQ(fpsid >> 24, 0x41);
  CHECK_EQ(mvfr0, 0x10110222);
  CHECK_EQ(mvfr1, 0x11111111);
  test_end();
}

void test_main(void) {
  test_enable();
  test_asedis();
  test_lazy();
  test_arithmetic();
  test_identification();
}
