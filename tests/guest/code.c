// Code that changes: self-modifying code with the architecture's maintenance (ARM DDI 0406C A3.5.4), remapped code, and
// code written by one vCPU and executed by another.
#include "lib/guest.h"

#define PAGE(n) (TEST_VA + (n) * 0x1000u)
typedef u32 (*function)(u32);

static u32* const page0 = (u32*)test_pages[0];
static u32* const page1 = (u32*)test_pages[1];

static void write_function(u32* at, u32 value) {
  at[0] = 0xe3a00000 | (value & 0xff);  // mov r0, #value
  at[1] = 0xe12fff1e;                   // bx lr
}

static void test_rewrite(void) {
  test_begin("code: rewritten code runs after cache maintenance");
  function f = (function)page0;
  for (u32 k = 0; k < 300; ++k) {
    write_function(page0, k);
    sync_code(page0, 8);
    CHECK_EQ(f(0), k & 0xff);
  }
  test_end();
}

static void test_hot_rewrite(void) {
  test_begin("code: a hot function is rewritten");
  function f = (function)page0;
  u32 sum = 0;
  for (u32 k = 0; k < 3; ++k) {
    write_function(page0, 10 + k);
    sync_code(page0, 8);
    for (u32 n = 0; n < 5000; ++n) sum += f(n);
  }
  CHECK_EQ(sum, 5000 * 33);
  test_end();
}

// The store, the maintenance and the stored instruction stand in one straight run of code.
__attribute__((naked, noinline)) static u32 patch_ahead(u32 insn) {
  asm volatile(
      "adr r1, 1f\n str r0, [r1]\n mcr p15, 0, r1, c7, c11, 1\n dsb\n mcr p15, 0, r1, c7, c5, 1\n"
      "mcr p15, 0, r1, c7, c5, 6\n dsb\n isb\n mov r0, #0\n 1: mov r0, #1\n bx lr");
}
static void test_patch_ahead(void) {
  test_begin("code: an instruction patched just ahead");
  CHECK_EQ(patch_ahead(0xe3a00042), 0x42);
  CHECK_EQ(patch_ahead(0xe3a00043), 0x43);
  CHECK_EQ(patch_ahead(0xe1a00000), 0);
  test_end();
}

static void test_thumb_rewrite(void) {
  test_begin("code: Thumb halfwords are rewritten one at a time");
  u16* code = (u16*)(test_pages[0] + 0x100);
  function f = (function)((u32)code | 1);
  code[0] = 0x2001;  // movs r0, #1
  code[1] = 0x3001;  // adds r0, #1
  code[2] = 0x4770;  // bx lr
  sync_code(code, 6);
  CHECK_EQ(f(0), 2);
  code[1] = 0x3005;
  sync_code(code, 6);
  CHECK_EQ(f(0), 6);
  *(u8*)&code[0] = 7;
  sync_code(code, 6);
  CHECK_EQ(f(0), 12);
  test_end();
}

static void test_remap(void) {
  test_begin("code: a page of code is remapped");
  write_function(page0, 0x10);
  write_function(page1, 0x11);
  sync_code(page0, 8);
  sync_code(page1, 8);
  function f = (function)PAGE(0);
  for (u32 k = 0; k < 50; ++k) {
    short_l2[0] = short_page((u32)test_pages[k & 1], 3, 0, 0);
    dsb();
    WRITE_CP15(0, c8, c7, 1, PAGE(0));
    WRITE_CP15(0, c7, c5, 0, 0);  // ICIALLU
    dsb();
    isb();
    CHECK_EQ(f(0), 0x10 + (k & 1));
  }
  test_end();
}

static void map_code(u32 page, const void* frame) {
  short_l2[page] = short_page((u32)frame, 3, 0, 0);
  dsb();
  WRITE_CP15(0, c8, c7, 1, PAGE(page));  // TLBIMVA
  dsb();
  isb();
}

// A loop of n rounds with a 32-bit Thumb instruction across the end of page 0: addw r1, r1, #step.
static const u16 straddle_first[] = {0x2100, 0xbf00, 0xbf00, 0xbf00, 0xf201};
static void write_straddle_second(void* frame, u32 step) {
  const u16 code[] = {0x0100 | step, 0x3801, 0xd1f8, 0x4608, 0x4770};  // subs r0, #1; bne; mov r0, r1; bx lr
  for (u32 k = 0; k < 5; ++k) ((u16*)frame)[k] = code[k];
  sync_code(frame, sizeof code);
}
static void test_straddle(void) {
  test_begin("code: a hot instruction across two pages follows its second page");
  u16* first = (u16*)(test_pages[0] + 0x1000 - sizeof straddle_first);
  for (u32 k = 0; k < 5; ++k) first[k] = straddle_first[k];
  sync_code(first, sizeof straddle_first);
  write_straddle_second(page1, 1);
  write_straddle_second(test_pages[2], 2);
  map_code(0, page0);
  function f = (function)((PAGE(1) - sizeof straddle_first) | 1);
  for (u32 k = 0; k < 20; ++k) {
    map_code(1, test_pages[1 + (k & 1)]);
    CHECK_EQ(f(3000), 3000 * (1 + (k & 1)));
  }
  for (u32 k = 0; k < 5; ++k) {
    write_straddle_second(test_pages[2], 10 + k);
    CHECK_EQ(f(3000), 3000 * (10 + k));
  }
  map_code(0, test_pages[3]);
  u16* other = (u16*)(test_pages[3] + 0x1000 - sizeof straddle_first);
  for (u32 k = 0; k < 5; ++k) other[k] = straddle_first[k];
  other[4] = 0xf2a1;  // subw r1, r1, #step
  sync_code(other, sizeof straddle_first);
  CHECK_EQ(f(3000), -3000 * 14);
  test_end();
}

static void test_alias(void) {
  test_begin("code: code written through another mapping");
  short_l2[0] = short_page((u32)page0, 3, 0, 0);
  short_l2[1] = short_page((u32)page0, 3, 0, 0);
  tlb_flush_all();
  function f = (function)PAGE(0);
  for (u32 k = 0; k < 50; ++k) {
    write_function((u32*)PAGE(1), k + 1);
    sync_code((void*)PAGE(1), 8);
    sync_code((void*)PAGE(0), 8);
    CHECK_EQ(f(0), k + 1);
  }
  test_end();
}

static void test_asid_code(void) {
  test_begin("code: two address spaces run different code at one address");
  write_function(page0, 0x20);
  write_function(page1, 0x21);
  sync_code(page0, 8);
  sync_code(page1, 8);
  static u32 table[2][4096] __attribute__((aligned(16384), section(".bss.aligned")));
  static u32 leaf[2][256] __attribute__((aligned(1024), section(".bss.aligned")));
  for (u32 t = 0; t < 2; ++t) {
    for (u32 k = 0; k < 4096; ++k) table[t][k] = short_l1[k];
    table[t][TEST_VA >> 20] = (u32)leaf[t] | 1;
    leaf[t][0] = short_page((u32)test_pages[t], 3, 0, 1);
  }
  tlb_flush_all();
  function f = (function)PAGE(0);
  for (u32 k = 0; k < 200; ++k) {
    const u32 t = k & 1;
    WRITE_CP15(0, c13, c0, 1, 0);
    WRITE_CP15(0, c2, c0, 0, (u32)table[t] | 0x4a);
    WRITE_CP15(0, c13, c0, 1, t + 1);
    WRITE_CP15(0, c7, c5, 6, 0);
    CHECK_EQ(f(0), 0x20 + t);
  }
  WRITE_CP15(0, c13, c0, 1, 0);
  WRITE_CP15(0, c2, c0, 0, (u32)short_l1 | 0x4a);
  tlb_flush_all();
  test_end();
}

// --- several vCPUs: CPU 0 writes code, the other runs it. DCCMVAU and ICIMVAU reach all CPUs of the inner-shareable
// domain; the other CPU needs only an ISB.
static volatile u32 step, result;
static void runner(u32 cpu) {
  (void)cpu;
  mmu_short_on();
  for (u32 k = 1; k <= 200; ++k) {
    while (step != 2 * k - 1) asm volatile("yield");
    dmb();
    isb();
    result = ((function)page0)(0);
    dmb();
    step = 2 * k;
  }
}
static void test_cross(void) {
  test_begin("code: one CPU writes code that another runs");
  if (cpus_present() > 1) {
    step = 0;
    CHECK_EQ(cpu_start(1, runner), 0);
    for (u32 k = 1; k <= 200; ++k) {
      write_function(page0, k);
      sync_code(page0, 8);
      step = 2 * k - 1;
      while (step != 2 * k) asm volatile("yield");
      dmb();
      CHECK_EQ(result, k & 0xff);
    }
    cpu_wait_off(1);
  }
  test_end();
}

// TLB maintenance of the inner-shareable domain reaches the other CPUs.
static void tlb_reader(u32 cpu) {
  (void)cpu;
  mmu_short_on();
  for (u32 k = 1; k <= 100; ++k) {
    while (step != 2 * k - 1) asm volatile("yield");
    dmb();
    result = *(volatile u32*)(PAGE(2) + 0x800);
    dmb();
    step = 2 * k;
  }
}
static void test_shootdown(void) {
  test_begin("code: broadcast TLB maintenance");
  if (cpus_present() > 1) {
    *(u32*)(test_pages[2] + 0x800) = 1000;
    *(u32*)(test_pages[3] + 0x800) = 1001;
    step = 0;
    short_l2[2] = short_page((u32)test_pages[2], 3, 0, 0);
    dsb();
    CHECK_EQ(cpu_start(1, tlb_reader), 0);
    for (u32 k = 1; k <= 100; ++k) {
      short_l2[2] = short_page((u32)test_pages[2 + (k & 1)], 3, 0, 0);
      dsb();
      WRITE_CP15(0, c8, c3, 3, PAGE(2));  // TLBIMVAAIS
      dsb();
      isb();
      step = 2 * k - 1;
      while (step != 2 * k) asm volatile("yield");
      dmb();
      CHECK_EQ(result, 1000 + (k & 1));
    }
    cpu_wait_off(1);
  }
  test_end();
}

void test_main(void) {
  mmu_short_tables();
  mmu_short_on();
  test_rewrite();
  test_hot_rewrite();
  test_patch_ahead();
  test_thumb_rewrite();
  test_remap();
  test_straddle();
  test_alias();
  test_asid_code();
  test_cross();
  test_shootdown();
}
