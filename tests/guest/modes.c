// Modes and banked registers (ARM DDI 0406C B1.3): banking of R8-R14 and SPSR, CPSR and SPSR fields, privilege of MSR.
#include "lib/guest.h"

static const u32 modes[] = {0x11, 0x12, 0x17, 0x1b};

// Sets or reads SP, LR and SPSR of a mode. ARM code; runs in SVC mode with interrupts masked.
__attribute__((naked, noinline)) static void set_bank(u32 mode, u32 sp, u32 lr, u32 spsr) {
  asm volatile(
      "push {r4, r5}\n mrs r4, cpsr\n bic r5, r4, #0x1f\n orr r5, r5, r0\n msr cpsr_c, r5\n"
      "mov sp, r1\n mov lr, r2\n msr spsr_cxsf, r3\n msr cpsr_c, r4\n pop {r4, r5}\n bx lr");
}
__attribute__((naked, noinline)) static void get_bank(u32 mode, u32* out) {
  asm volatile(
      "push {r4, r5}\n mrs r4, cpsr\n bic r5, r4, #0x1f\n orr r5, r5, r0\n msr cpsr_c, r5\n"
      "str sp, [r1]\n str lr, [r1, #4]\n mrs r2, spsr\n str r2, [r1, #8]\n msr cpsr_c, r4\n pop {r4, r5}\n bx lr");
}

static void test_banks(void) {
  test_begin("modes: SP, LR and SPSR are banked");
  u32 saved[4][3], got[3];
  for (u32 k = 0; k < 4; ++k) get_bank(modes[k], saved[k]);
  for (u32 k = 0; k < 4; ++k) set_bank(modes[k], 0x1000 + k, 0x2000 + k, 0xf00001d0 | k);
  for (u32 k = 0; k < 4; ++k) {
    get_bank(modes[k], got);
    CHECK_EQ(got[0], 0x1000 + k);
    CHECK_EQ(got[1], 0x2000 + k);
    CHECK_EQ(got[2], 0xf00001d0 | k);
  }
  for (u32 k = 0; k < 4; ++k) set_bank(modes[k], saved[k][0], saved[k][1], saved[k][2]);
  test_end();
}

__attribute__((naked, noinline)) static void fiq_bank(u32* out) {
  asm volatile(
      "push {r4-r12}\n mov r1, r0\n mov r8, #8\n mov r9, #9\n mov r10, #10\n mov r11, #11\n mov r12, #12\n"
      "cps #0x11\n mov r8, #0x80\n mov r9, #0x90\n mov r10, #0xa0\n mov r11, #0xb0\n mov r12, #0xc0\n"
      "cps #0x13\n stmia r1!, {r8-r12}\n cps #0x11\n stmia r1!, {r8-r12}\n"
      // LDM and STM of the user registers, from FIQ mode
      "stmia r1, {r8-r12}^\n nop\n add r1, r1, #20\n mov r2, #0x55\n str r2, [r1]\n ldmia r1, {r9}^\n nop\n"
      "cps #0x13\n str r9, [r1]\n pop {r4-r12}\n bx lr");
}

static void test_fiq(void) {
  test_begin("modes: R8-R12 of FIQ, user registers by LDM and STM");
  u32 out[16];
  fiq_bank(out);
  for (u32 k = 0; k < 5; ++k) {
    CHECK_EQ(out[k], 8 + k);
    CHECK_EQ(out[5 + k], (8 + k) << 4);
    CHECK_EQ(out[10 + k], 8 + k);
  }
  CHECK_EQ(out[15], 0x55);
  test_end();
}

static u32 user_msr(u32 arg) {
  u32 after;
  asm volatile(
      "msr cpsr_cxsf, %1\n mrs %0, cpsr\n" : "=&r"(after) : "r"(arg) : "cc", "memory");
  return after;
}

static void test_user_msr(void) {
  test_begin("modes: MSR in USR mode changes only the flags");
  const u32 masks = READ_CPSR() & 0x1c0;
  const u32 got = call_user(user_msr, 0xf80f0013);
  CHECK_EQ(got & 0xf80f03ff, 0xf80f0010 | masks);
  CHECK_EQ(READ_CPSR() & 0x1f, 0x13);
  test_end();
}

static u32 user_privileged(u32 arg) {
  (void)arg;
  u32 v = 0x1234;
  asm volatile("mrc p15, 0, %0, c1, c0, 0" : "+r"(v));  // SCTLR: UNDEFINED at PL0
  asm volatile("cpsid if");                            // no effect at PL0
  u32 id;
  asm volatile("mrc p15, 0, %0, c13, c0, 3" : "=r"(id));  // TPIDRURO may be read
  return v + id;
}

static void test_user_cp15(void) {
  test_begin("modes: system registers at PL0");
  WRITE_CP15(0, c13, c0, 3, 0x40000);
  irq_disable();
  const u32 before = EXC(EXC_UND).count;
  CHECK_EQ(call_user(user_privileged, 0), 0x41234);
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  CHECK_EQ(EXC(EXC_UND).spsr & 0x1f, 0x10);
  CHECK_EQ(EXC(EXC_UND).cpsr & 0x1f, 0x1b);
  test_end();
}

static void test_masks(void) {
  test_begin("modes: CPS and MSR change masks, SETEND changes E");
  asm volatile("cpsie aif" ::: "memory");
  CHECK_EQ(READ_CPSR() & 0x1c0, 0);
  asm volatile("cpsid i");
  CHECK_EQ(READ_CPSR() & 0x1c0, 0x80);
  asm volatile("cpsid af");
  CHECK_EQ(READ_CPSR() & 0x1c0, 0x1c0);
  asm volatile("setend be");
  const u32 big = READ_CPSR();
  asm volatile("setend le");
  CHECK_EQ(big & 0x200, 0x200);
  CHECK_EQ(READ_CPSR() & 0x200, 0);
  asm volatile("msr cpsr_f, %0" ::"r"(0xa8000000) : "cc");
  CHECK_EQ(READ_CPSR() >> 27, 0x15);
  test_end();
}

__attribute__((naked, noinline)) static u32 srs_rfe(u32* out) {
  asm volatile(
      "push {r4-r7, lr}\n mov r4, r0\n cps #0x17\n mov r5, sp\n mrs r6, spsr\n mov r7, lr\n"
      "adr lr, 1f\n mov r1, #0x1d3\n orr r1, r1, #0xf0000000\n msr spsr_cxsf, r1\n"
      "srsdb sp!, #0x17\n sub r2, r5, sp\n str r2, [r4]\n ldr r2, [sp]\n sub r2, r2, lr\n str r2, [r4, #4]\n"
      "ldr r2, [sp, #4]\n str r2, [r4, #8]\n rfeia sp!\n"
      "1: mrs r2, cpsr\n str r2, [r4, #12]\n cps #0x17\n sub r2, r5, sp\n str r2, [r4, #16]\n"
      "mov lr, r7\n msr spsr_cxsf, r6\n cps #0x13\n pop {r4-r7, pc}");
}

static void test_srs_rfe(void) {
  test_begin("modes: SRS and RFE");
  u32 out[5];
  srs_rfe(out);
  CHECK_EQ(out[0], 8);
  CHECK_EQ(out[1], 0);
  CHECK_EQ(out[2], 0xf00001d3);
  CHECK_EQ(out[3] & 0xf00001ff, 0xf00001d3);
  CHECK_EQ(out[4], 0);
  test_end();
}

void test_main(void) {
  test_banks();
  test_fiq();
  test_user_msr();
  test_user_cp15();
  test_masks();
  test_srs_rfe();
}
