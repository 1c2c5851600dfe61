// The short-descriptor format (ARM DDI 0406C B3.5): faults with DFSR, DFAR, IFSR, IFAR; permissions, domains, XN, access
// flag, TTBR0/TTBR1 split, ASIDs and TLB maintenance.
#include "lib/guest.h"

#define PAGE(n) (TEST_VA + (n) * 0x1000u)
#define FS_TRANSLATION_1 0x5
#define FS_TRANSLATION_2 0x7
#define FS_ACCESS_FLAG_1 0x3
#define FS_ACCESS_FLAG_2 0x6
#define FS_DOMAIN_1 0x9
#define FS_DOMAIN_2 0xb
#define FS_PERMISSION_1 0xd
#define FS_PERMISSION_2 0xf
#define WNR 0x800

static void map(u32 n, u32 descriptor) {
  short_l2[n] = descriptor;
  dsb();
  WRITE_CP15(0, c8, c7, 3, PAGE(n));  // TLBIMVAA
  dsb();
  isb();
}

static u32 user_read(u32 va) { return *(volatile u32*)va; }
static u32 user_write(u32 va) { return *(volatile u32*)va = 1; }

static void expect_dabt(u32 count, u32 va, u32 fsr, int line) {
  check_eq(EXC(EXC_DABT).count, count, "number of Data Aborts", line);
  check_eq(EXC(EXC_DABT).far, va, "DFAR", line);
  check_eq(EXC(EXC_DABT).fsr & 0x1cff, fsr, "DFSR", line);
}
#define EXPECT_DABT(statement, va, fsr)        \
  do {                                         \
    const u32 count_ = EXC(EXC_DABT).count;    \
    statement;                                 \
    expect_dabt(count_ + 1, va, fsr, __LINE__); \
  } while (0)
#define EXPECT_NO_DABT(statement)           \
  do {                                      \
    const u32 count_ = EXC(EXC_DABT).count; \
    statement;                              \
    CHECK_EQ(EXC(EXC_DABT).count, count_);  \
  } while (0)

static void test_translation(void) {
  test_begin("short descriptors: translation faults");
  EXPECT_DABT(user_read(0x90000004), 0x90000004, FS_TRANSLATION_1);
  EXPECT_DABT(user_write(0x90000008), 0x90000008, FS_TRANSLATION_1 | WNR);
  EXPECT_DABT(user_read(PAGE(3) + 8), PAGE(3) + 8, FS_TRANSLATION_2);
  EXPECT_DABT(user_write(PAGE(3) + 8), PAGE(3) + 8, FS_TRANSLATION_2 | WNR);
  map(3, short_page((u32)test_pages[0], 3, 0, 0));
  EXPECT_NO_DABT(user_write(PAGE(3) + 8));
  CHECK_EQ(*(u32*)&test_pages[0][8], 1);
  map(3, 0);
  EXPECT_DABT(user_read(PAGE(3) + 8), PAGE(3) + 8, FS_TRANSLATION_2);
  test_end();
}

static void test_permissions(void) {
  test_begin("short descriptors: AP[2:0] at both privileges");
  // AP, then what PL1 read, PL1 write, PL0 read, PL0 write may do
  static const u8 table[][5] = {{0, 0, 0, 0, 0}, {1, 1, 1, 0, 0}, {2, 1, 1, 1, 0},
                                {3, 1, 1, 1, 1}, {5, 1, 0, 0, 0}, {7, 1, 0, 1, 0}};
  for (u32 k = 0; k < sizeof table / sizeof table[0]; ++k) {
    map(0, short_page((u32)test_pages[0], table[k][0], 0, 0));
    for (u32 how = 0; how < 4; ++how) {
      const u32 before = EXC(EXC_DABT).count;
      if (how == 0) user_read(PAGE(0));
      if (how == 1) user_write(PAGE(0));
      if (how == 2) call_user(user_read, PAGE(0));
      if (how == 3) call_user(user_write, PAGE(0));
      check_eq(EXC(EXC_DABT).count - before, !table[k][1 + how], "permission of AP", (int)(k * 16 + how));
      if (!table[k][1 + how]) CHECK_EQ(EXC(EXC_DABT).fsr & 0xc0f, FS_PERMISSION_2 | ((how & 1) ? WNR : 0));
    }
  }
  // sections: PL1 only
  short_l1[0x900] = (RAM_BASE & 0xfff00000) | 2 | SHORT_NORMAL | 1u << 10;
  tlb_flush_all();
  EXPECT_NO_DABT(user_read(0x90000000));
  EXPECT_DABT(call_user(user_read, 0x90010000), 0x90010000, FS_PERMISSION_1);
  short_l1[0x900] = 0;
  tlb_flush_all();
  test_end();
}

static u32 ldrt(u32 va) {
  u32 v = 0;
  asm volatile("ldrt %0, [%1]" : "+r"(v) : "r"(va) : "memory");
  return v;
}
static void strt(u32 va) { asm volatile("strt %1, [%0]" ::"r"(va), "r"(0) : "memory"); }

static void test_unprivileged(void) {
  test_begin("short descriptors: LDRT and STRT are checked as PL0");
  map(0, short_page((u32)test_pages[0], 1, 0, 0));
  EXPECT_NO_DABT(user_read(PAGE(0)));
  EXPECT_DABT(ldrt(PAGE(0)), PAGE(0), FS_PERMISSION_2);
  map(0, short_page((u32)test_pages[0], 2, 0, 0));
  EXPECT_NO_DABT(ldrt(PAGE(0)));
  EXPECT_DABT(strt(PAGE(0)), PAGE(0), FS_PERMISSION_2 | WNR);
  test_end();
}

static void test_domains(void) {
  test_begin("short descriptors: domains");
  short_l1[TEST_VA >> 20] = (u32)short_l2 | 1 | 5u << 5;
  short_l1[0x900] = (RAM_BASE & 0xfff00000) | 2 | SHORT_NORMAL | 3u << 10 | 6u << 5;
  tlb_flush_all();
  map(0, short_page((u32)test_pages[0], 5, 0, 0));  // read-only
  WRITE_CP15(0, c3, c0, 0, 1);                      // domains 5 and 6: no access
  EXPECT_DABT(user_read(PAGE(0)), PAGE(0), FS_DOMAIN_2 | 5u << 4);
  EXPECT_DABT(user_read(0x90010000), 0x90010000, FS_DOMAIN_1 | 6u << 4);
  WRITE_CP15(0, c3, c0, 0, 1 | 1u << 10 | 1u << 12);  // client
  EXPECT_NO_DABT(user_read(PAGE(0)));
  EXPECT_NO_DABT(user_read(0x90010000));
  EXPECT_DABT(user_write(PAGE(0)), PAGE(0), FS_PERMISSION_2 | WNR | 5u << 4);
  WRITE_CP15(0, c3, c0, 0, 1 | 3u << 10 | 3u << 12);  // manager: permissions are not checked
  EXPECT_NO_DABT(user_write(PAGE(0)));
  WRITE_CP15(0, c3, c0, 0, 1);
  short_l1[TEST_VA >> 20] = (u32)short_l2 | 1;
  short_l1[0x900] = 0;
  tlb_flush_all();
  test_end();
}

static void test_access_flag(void) {
  test_begin("short descriptors: access flag (SCTLR.AFE)");
  // With AFE AP[0] is the access flag, for the identity map too: AP = 3 has it set.
  write_sctlr(read_sctlr() | 1u << 29);
  tlb_flush_all();
  map(0, short_page((u32)test_pages[0], 2, 0, 0));
  EXPECT_DABT(user_read(PAGE(0)), PAGE(0), FS_ACCESS_FLAG_2);
  short_l1[0x900] = (RAM_BASE & 0xfff00000) | 2 | SHORT_NORMAL | 2u << 10;
  dsb();
  EXPECT_DABT(user_read(0x90010000), 0x90010000, FS_ACCESS_FLAG_1);
  short_l1[0x900] |= 1u << 10;
  dsb();
  EXPECT_NO_DABT(user_read(0x90010000));  // faults of the access flag are not cached
  short_l2[0] = short_page((u32)test_pages[0], 1, 0, 0);
  dsb();
  EXPECT_NO_DABT(user_write(PAGE(0)));  // AP[2:1] = 0: PL1 read and write
  EXPECT_DABT(call_user(user_read, PAGE(0)), PAGE(0), FS_PERMISSION_2);
  write_sctlr(read_sctlr() & ~(1u << 29));
  short_l1[0x900] = 0;
  tlb_flush_all();
  test_end();
}

__attribute__((naked, noinline)) static void call_at(u32 va, volatile u32* resume) {
  asm volatile("push {r4, lr}\n adr r2, 1f\n str r2, [r1]\n blx r0\n 1: pop {r4, pc}");
}

static void test_execute_never(void) {
  test_begin("short descriptors: instruction faults and XN");
  u32* code = (u32*)test_pages[1];
  code[0] = 0xe12fff1e;  // bx lr
  code[1] = 0xe12fff1e;
  sync_code(code, 8);
  map(1, short_page((u32)code, 3, 0, 0));
  u32 before = EXC(EXC_PABT).count;
  call_at(PAGE(1), resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before);
  map(1, short_page((u32)code, 3, 1, 0));
  call_at(PAGE(1) + 4, resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before + 1);
  CHECK_EQ(EXC(EXC_PABT).far, PAGE(1) + 4);
  CHECK_EQ(EXC(EXC_PABT).lr, PAGE(1) + 8);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0x40f, FS_PERMISSION_2);
  EXPECT_NO_DABT(user_read(PAGE(1)));
  map(1, 0);
  call_at(PAGE(1), resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before + 2);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0x40f, FS_TRANSLATION_2);
  call_at(0x90000000, resume_pc);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0x40f, FS_TRANSLATION_1);
  CHECK_EQ(EXC(EXC_PABT).far, 0x90000000);
  test_end();
}

static void test_straddle(void) {
  test_begin("short descriptors: accesses and instructions across pages");
  map(4, short_page((u32)test_pages[4], 3, 0, 0));
  map(5, 0);
  EXPECT_DABT(user_read(PAGE(5) - 2), PAGE(5), FS_TRANSLATION_2);
  *(u32*)&test_pages[4][0xffc] = 0x11223344;
  EXPECT_DABT(user_write(PAGE(5) - 2), PAGE(5), FS_TRANSLATION_2 | WNR);
  CHECK_EQ(*(u32*)&test_pages[4][0xffc], 0x11223344);
  map(5, short_page((u32)test_pages[6], 3, 0, 0));
  *(u32*)&test_pages[6][0] = 0xaabbccdd;
  EXPECT_NO_DABT(CHECK_EQ(user_read(PAGE(5) - 2), 0xccdd1122));
  // a 32-bit Thumb instruction whose second halfword is in the next page: mov.w r0, r0; bx lr
  *(u16*)&test_pages[4][0xffe] = 0xea4f;
  *(u16*)&test_pages[6][0] = 0x0000;
  *(u16*)&test_pages[6][2] = 0x4770;
  sync_code(&test_pages[4][0xffe], 2);
  sync_code(&test_pages[6][0], 4);
  u32 before = EXC(EXC_PABT).count;
  call_at(PAGE(5) - 1, resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before);
  map(5, short_page((u32)test_pages[6], 3, 1, 0));
  call_at(PAGE(5) - 1, resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before + 1);
  CHECK_EQ(EXC(EXC_PABT).far, PAGE(5));
  CHECK_EQ(EXC(EXC_PABT).lr, PAGE(5) - 2 + 4);
  test_end();
}

// LDM that aborts in its middle leaves the base register and PC-relevant state as before.
static u32 ldm_abort(u32 base) {
  register u32 b asm("r0") = base;
  asm volatile("ldmia r0!, {r4, r5, r6, r7}" : "+r"(b)::"r4", "r5", "r6", "r7", "memory");
  return b;
}
static void test_ldm_abort(void) {
  test_begin("short descriptors: LDM with writeback that aborts restores its base");
  map(5, 0);
  EXPECT_DABT(CHECK_EQ(ldm_abort(PAGE(5) - 8), PAGE(5) - 8), PAGE(5), FS_TRANSLATION_2);
  test_end();
}

static void test_asid(void) {
  test_begin("short descriptors: ASIDs tag what is not global");
  *(u32*)test_pages[0] = 100;
  *(u32*)test_pages[1] = 101;
  *(u32*)test_pages[2] = 102;
  WRITE_CP15(0, c13, c0, 1, 1);
  map(0, short_page((u32)test_pages[0], 3, 0, 1));
  CHECK_EQ(user_read(PAGE(0)), 100);
  WRITE_CP15(0, c13, c0, 1, 2);
  short_l2[0] = short_page((u32)test_pages[1], 3, 0, 1);
  dsb();
  CHECK_EQ(user_read(PAGE(0)), 101);
  WRITE_CP15(0, c13, c0, 1, 1);
  WRITE_CP15(0, c8, c7, 2, 1);  // TLBIASID
  dsb();
  isb();
  CHECK_EQ(user_read(PAGE(0)), 101);
  short_l2[0] = short_page((u32)test_pages[2], 3, 0, 1);
  dsb();
  WRITE_CP15(0, c8, c7, 1, PAGE(0) | 1);  // TLBIMVA
  dsb();
  isb();
  CHECK_EQ(user_read(PAGE(0)), 102);
  WRITE_CP15(0, c13, c0, 1, 2);
  WRITE_CP15(0, c8, c7, 3, PAGE(0));  // TLBIMVAA
  dsb();
  isb();
  CHECK_EQ(user_read(PAGE(0)), 102);
  WRITE_CP15(0, c13, c0, 1, 0);
  test_end();
}

static u32 other_l1[4096] __attribute__((aligned(16384), section(".bss.aligned")));
static void test_ttbr1(void) {
  test_begin("short descriptors: TTBCR.N splits between TTBR0 and TTBR1");
  for (u32 k = 0; k < 4096; ++k) other_l1[k] = short_l1[k];
  other_l1[0x900] = (RAM_BASE & 0xfff00000) | 2 | SHORT_NORMAL | 3u << 10;
  short_l1[0x900] = 0;
  WRITE_CP15(0, c2, c0, 1, (u32)other_l1 | 0x4a);
  WRITE_CP15(0, c2, c0, 2, 1);  // N = 1: from 0x80000000 on TTBR1
  tlb_flush_all();
  EXPECT_NO_DABT(user_read(0x90010000));
  CHECK_EQ(user_read(0x90010000), user_read(RAM_BASE + 0x10000));
  WRITE_CP15(0, c2, c0, 2, 0);
  tlb_flush_all();
  EXPECT_DABT(user_read(0x90010000), 0x90010000, FS_TRANSLATION_1);
  short_l1[0x900] = other_l1[0x900];
  tlb_flush_all();
  EXPECT_NO_DABT(user_read(0x90010000));
  short_l1[0x900] = 0;
  WRITE_CP15(0, c2, c0, 2, 0);
  tlb_flush_all();
  test_end();
}

static void test_large(void) {
  test_begin("short descriptors: large pages and supersections");
  for (u32 k = 16; k < 32; ++k)
    short_l2[k] = (RAM_BASE + 0x10000) | 1 | 1u << 3 | 1u << 2 | 3u << 4;  // 64 KiB at 0x40010000
  for (u32 k = 0; k < 16; ++k) short_l1[0xa00 + k] = RAM_BASE | 1u << 18 | 2 | SHORT_NORMAL | 3u << 10;
  tlb_flush_all();
  CHECK_EQ(user_read(PAGE(16) + 0x4004), user_read(RAM_BASE + 0x14004));
  CHECK_EQ(user_read(0xa0010008), user_read(RAM_BASE + 0x10008));
  for (u32 k = 16; k < 32; ++k) short_l2[k] = 0;
  for (u32 k = 0; k < 16; ++k) short_l1[0xa00 + k] = 0;
  tlb_flush_all();
  test_end();
}

static void test_ats(void) {
  test_begin("short descriptors: address translation operations and PAR");
  map(0, short_page((u32)test_pages[0], 1, 0, 0));
  WRITE_CP15(0, c7, c8, 0, PAGE(0) + 0x123);  // ATS1CPR
  CHECK_EQ(READ_CP15(0, c7, c4, 0) & 0xfffff001, (u32)test_pages[0]);
  WRITE_CP15(0, c7, c8, 2, PAGE(0));  // ATS1CUR
  CHECK_EQ(READ_CP15(0, c7, c4, 0) & 0x7f, 1 | FS_PERMISSION_2 << 1);
  WRITE_CP15(0, c7, c8, 1, 0x90000000);  // ATS1CPW
  CHECK_EQ(READ_CP15(0, c7, c4, 0) & 0x3f, 1 | FS_TRANSLATION_1 << 1);
  test_end();
}

static void test_external(void) {
  test_begin("short descriptors: external aborts on accesses and walks");
  short_l1[0x900] = 0x0f000000 | 2 | 1u << 2 | 3u << 10;  // nothing answers there
  short_l1[0x901] = 0x0f000000 | 1;                        // a second-level table where nothing answers
  tlb_flush_all();
  EXPECT_DABT(user_read(0x90000010), 0x90000010, 0x8);
  EXPECT_DABT(user_read(0x90100010), 0x90100010, 0xe);
  short_l1[0x900] = short_l1[0x901] = 0;
  tlb_flush_all();
  test_end();
}

void test_main(void) {
  mmu_short_tables();
  mmu_short_on();
  test_translation();
  test_permissions();
  test_unprivileged();
  test_domains();
  test_access_flag();
  test_execute_never();
  test_straddle();
  test_ldm_abort();
  test_asid();
  test_ttbr1();
  test_large();
  test_ats();
  test_external();
}
