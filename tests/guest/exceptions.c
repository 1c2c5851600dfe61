// Exception entry and return (ARM DDI 0406C B1.8, B1.9): LR offsets, SPSR, masks, vectors, in ARM and Thumb code.
#include "lib/guest.h"

// Each site saves LR, as an SVC taken from SVC mode overwrites it.
#define SITE_ARM(name, insn)                                                              \
  __attribute__((naked, noinline, target("arm"))) static void name##_arm(void) {          \
    asm volatile("push {r4, lr}\n" #name "_arm_site: " insn "\n pop {r4, pc}");          \
  }                                                                                       \
  extern u8 name##_arm_site[];
#define SITE_THUMB(name, insn)                                                            \
  __attribute__((naked, noinline, target("thumb"))) static void name##_thumb(void) {      \
    asm volatile("push {r4, lr}\n" #name "_thumb_site: " insn "\n pop {r4, pc}");        \
  }                                                                                       \
  extern u8 name##_thumb_site[];

SITE_ARM(und, "udf #7")
SITE_THUMB(und, "udf #7")
SITE_THUMB(undw, "udf.w #7")
SITE_ARM(svc, "svc #5")
SITE_THUMB(svc, "svc #5")
SITE_ARM(dabt, "ldr r4, [r4]")
SITE_THUMB(dabt, "ldr r4, [r4]")
SITE_THUMB(dabtw, "ldr.w r4, [r4, #4]")
SITE_THUMB(und_it, "cmp r0, r0\n it eq\n 0: udf.w #7")

static void check_entry(u32 kind, u32 mode, u32 site, u32 offset, u32 thumb, void (*fn)(void)) {
  const u32 before = EXC(kind).count;
  asm volatile("cpsie aif\n msr cpsr_f, %0" ::"r"(0x60000000) : "cc");
  fn();
  asm volatile("cpsid aif");
  CHECK_EQ(EXC(kind).count, before + 1);
  CHECK_EQ(EXC(kind).lr, site + offset);
  CHECK_EQ(EXC(kind).spsr & 0x3f, 0x13 | thumb << 5);
  CHECK_EQ(EXC(kind).spsr & 0x1c0, 0);
  CHECK_EQ(EXC(kind).cpsr & 0x3f, mode);
  // I is set by each of these; A by aborts only; F by none of them (B1.9)
  CHECK_EQ(EXC(kind).cpsr & 0x1c0, 0x80 | (kind == EXC_DABT || kind == EXC_PABT ? 0x100 : 0));
}

static void test_undefined(void) {
  test_begin("exceptions: Undefined Instruction");
  check_entry(EXC_UND, 0x1b, (u32)und_arm_site, 4, 0, und_arm);
  check_entry(EXC_UND, 0x1b, (u32)und_thumb_site, 2, 1, und_thumb);
  check_entry(EXC_UND, 0x1b, (u32)undw_thumb_site, 2, 1, undw_thumb);
  test_end();
}

static void test_svc(void) {
  test_begin("exceptions: Supervisor Call");
  check_entry(EXC_SVC, 0x13, (u32)svc_arm_site, 4, 0, svc_arm);
  check_entry(EXC_SVC, 0x13, (u32)svc_thumb_site, 2, 1, svc_thumb);
  test_end();
}

static void call_with_r4(void (*fn)(void), u32 r4) {
  register u32 a asm("r4") = r4;
  asm volatile("blx %1" : "+r"(a) : "r"(fn) : "lr", "memory", "cc", "r0", "r1", "r2", "r3", "r12");
}
static void load_arm(void) { call_with_r4(dabt_arm, 0x0f000000); }
static void load_thumb(void) { call_with_r4(dabt_thumb, 0x0f000000); }
static void load_thumb_wide(void) { call_with_r4(dabtw_thumb, 0x0f000000); }

static void test_data_abort(void) {
  test_begin("exceptions: external Data Abort with the MMU off");
  check_entry(EXC_DABT, 0x17, (u32)dabt_arm_site, 8, 0, load_arm);
  CHECK_EQ(EXC(EXC_DABT).far, 0x0f000000);
  CHECK_EQ(EXC(EXC_DABT).fsr & 0xc0f, 0x008);
  check_entry(EXC_DABT, 0x17, (u32)dabt_thumb_site, 8, 1, load_thumb);
  check_entry(EXC_DABT, 0x17, (u32)dabtw_thumb_site, 8, 1, load_thumb_wide);
  CHECK_EQ(EXC(EXC_DABT).far, 0x0f000004);
  test_end();
}

static void jump_arm(void) {
  resume_pc[0] = (u32)&&out;
  asm volatile("" ::: "memory");
  asm volatile("push {r4-r11, lr}\n mov r4, %0\n ldr r0, =1f\n str r0, [%1]\n bx r4\n 1: pop {r4-r11, lr}"
               ::"r"(0x0f000000), "r"(&resume_pc[0])
               : "r0", "memory");
out:;
}
static void jump_thumb(void) {
  asm volatile("push {r4-r11, lr}\n mov r4, %0\n ldr r0, =1f\n str r0, [%1]\n bx r4\n 1: pop {r4-r11, lr}"
               ::"r"(0x0f000003), "r"(&resume_pc[0])
               : "r0", "memory");
}

static void test_prefetch_abort(void) {
  test_begin("exceptions: external Prefetch Abort with the MMU off");
  check_entry(EXC_PABT, 0x17, 0x0f000000, 4, 0, jump_arm);
  CHECK_EQ(EXC(EXC_PABT).far, 0x0f000000);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0xc0f, 0x008);
  check_entry(EXC_PABT, 0x17, 0x0f000002, 4, 1, jump_thumb);
  CHECK_EQ(EXC(EXC_PABT).far, 0x0f000002);
  test_end();
}

__attribute__((naked, noinline)) static void bkpt_arm(void) {
  asm volatile("push {r4, lr}\n bkpt_arm_site: bkpt #3\n bkpt_resume: pop {r4, pc}");
}
extern u8 bkpt_arm_site[], bkpt_resume[];

static void test_bkpt(void) {
  test_begin("exceptions: BKPT is a Prefetch Abort with a debug event status");
  resume_pc[0] = (u32)bkpt_resume;
  check_entry(EXC_PABT, 0x17, (u32)bkpt_arm_site, 4, 0, bkpt_arm);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0xc0f, 0x002);
  test_end();
}

static void test_it_saved(void) {
  test_begin("exceptions: ITSTATE is saved in SPSR and restored");
  const u32 before = EXC(EXC_UND).count;
  asm volatile("cpsid aif");
  und_it_thumb();
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  CHECK_EQ(EXC(EXC_UND).spsr & 0x0600fc20, 0x00000820);  // IT EQ, last: ITSTATE 0b00001000
  CHECK_EQ(EXC(EXC_UND).cpsr & 0x0600fc20, 0);
  test_end();
}

// Data Abort in the middle of an IT block; the skipped load leaves the rest of the block to run.
__attribute__((naked, noinline, target("thumb"))) static u32 it_block(u32 address) {
  asm volatile(
      "movs r1, #0\n cmp r1, r1\n itete eq\n moveq r2, #1\n movne r2, #2\n ldreq.w r3, [r0]\n movne r1, #9\n"
      "it eq\n orreq r2, r2, #0x10\n mov r0, r2\n bx lr");
}
static void skip_in_it(struct frame* f, u32 kind) {
  (void)kind;
  f->lr = f->lr - 8 + 4;
  // ITAdvance (A2.5.2) on the saved ITSTATE
  u32 it = (f->spsr >> 10 & 0x3f) << 2 | (f->spsr >> 25 & 3);
  it = (it & 7) ? (it & 0xe0) | (it << 1 & 0x1f) : 0;
  f->spsr = (f->spsr & ~0x0600fc00u) | (it >> 2) << 10 | (it & 3) << 25;
}
static void test_abort_in_it(void) {
  test_begin("exceptions: an abort inside an IT block returns into it");
  exc_hook[EXC_DABT] = skip_in_it;
  CHECK_EQ(it_block(0x0f000000), 0x11);
  exc_hook[EXC_DABT] = 0;
  test_end();
}

// SCTLR.EE gives the E bit on entry.
static void test_sctlr_ee(void) {
  test_begin("exceptions: SCTLR.EE sets CPSR.E on entry");
  write_sctlr(read_sctlr() | 1u << 25);
  const u32 before = EXC(EXC_UND).count;
  asm volatile("udf #1" ::: "memory");
  write_sctlr(read_sctlr() & ~(1u << 25));
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  CHECK_EQ(EXC(EXC_UND).spsr & 0x200, 0);
  CHECK_EQ(EXC(EXC_UND).cpsr & 0x200, 0x200);
  test_end();
}

// A copy of the vectors elsewhere, reached through VBAR: branches are relative, so each is made anew.
static u32 other_vectors[8] __attribute__((aligned(32)));
static void test_vbar(void) {
  test_begin("exceptions: VBAR moves the vectors");
  for (u32 k = 0; k < 8; ++k) {
    const u32 target = (u32)&vectors[k];
    other_vectors[k] = 0xea000000 | (((target - (u32)&other_vectors[k] - 8) >> 2) & 0xffffff);
  }
  sync_code(other_vectors, sizeof other_vectors);
  WRITE_CP15(0, c12, c0, 0, (u32)other_vectors);
  CHECK_EQ(READ_CP15(0, c12, c0, 0), (u32)other_vectors);
  check_entry(EXC_UND, 0x1b, (u32)und_arm_site, 4, 0, und_arm);
  check_entry(EXC_SVC, 0x13, (u32)svc_thumb_site, 2, 1, svc_thumb);
  WRITE_CP15(0, c12, c0, 0, (u32)vectors);
  test_end();
}

// High vectors: 0xffff0000 is mapped to a page with branches through a literal.
static void test_high_vectors(void) {
  test_begin("exceptions: high vectors (SCTLR.V)");
  u32* page = (u32*)test_pages[0];
  for (u32 k = 0; k < 8; ++k) {
    page[k] = 0xe59ff018;  // ldr pc, [pc, #24]
    page[8 + k] = (u32)&vectors[k];
  }
  sync_code(page, 64);
  mmu_short_tables();
  for (u32 k = 0; k < 256; ++k) short_l2[k] = 0;
  short_l1[0xfff] = (u32)short_l2 | 1;
  short_l2[0xf0] = short_page((u32)page, 3, 0, 0);
  mmu_short_on();
  write_sctlr(read_sctlr() | 1u << 13);
  check_entry(EXC_UND, 0x1b, (u32)und_thumb_site, 2, 1, und_thumb);
  check_entry(EXC_SVC, 0x13, (u32)svc_arm_site, 4, 0, svc_arm);
  write_sctlr(read_sctlr() & ~(1u << 13));
  mmu_off();
  test_end();
}

// Exception return forms: MOVS PC, SUBS PC, LDM ^ with PC; each goes from ABT mode to SVC in Thumb or ARM state.
__attribute__((naked, noinline)) static u32 returns(void) {
  asm volatile(
      "push {r4-r8, lr}\n mov r8, #0\n mrs r4, cpsr\n bic r4, r4, #0x1f\n orr r5, r4, #0x13\n"
      "cps #0x17\n mov r6, sp\n mov r7, lr\n"
      "msr spsr_cxsf, r5\n adr lr, 1f\n movs pc, lr\n udf #0\n"
      "1: add r8, r8, #1\n cps #0x17\n msr spsr_cxsf, r5\n adr lr, 2f\n add lr, lr, #4\n subs pc, lr, #4\n udf #0\n"
      "2: add r8, r8, #1\n cps #0x17\n msr spsr_cxsf, r5\n adr r0, 3f\n push {r0}\n ldmia sp!, {pc}^\n udf #0\n"
      "3: add r8, r8, #1\n cps #0x17\n orr r1, r5, #0x20\n msr spsr_cxsf, r1\n adr r0, 4f\n movs pc, r0\n udf #0\n"
      ".thumb\n .balign 4\n 4: adds.w r8, r8, #1\n cps #0x17\n msr spsr_cxsf, r5\n ldr lr, =5f\n adds.w lr, lr, #4\n subs pc, lr, #4\n"
      ".arm\n .balign 4\n 5: add r8, r8, #1\n cps #0x17\n mov sp, r6\n mov lr, r7\n cps #0x13\n mov r0, r8\n pop {r4-r8, pc}\n .ltorg");
}
static void test_returns(void) {
  test_begin("exceptions: return instructions");
  CHECK_EQ(returns(), 5);
  test_end();
}

void test_main(void) {
  test_undefined();
  test_svc();
  test_data_abort();
  test_prefetch_abort();
  test_bkpt();
  test_it_saved();
  test_abort_in_it();
  test_sctlr_ee();
  test_vbar();
  test_high_vectors();
  test_returns();
}
