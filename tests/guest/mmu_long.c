// The long-descriptor format (ARM DDI 0406C B3.6, LPAE): faults with DFSR, DFAR, IFSR, IFAR, permissions with table
// attributes, access flag, XN and PXN, blocks, ASID in TTBR0, TTBR1 split, MAIR and PAR.
#include "lib/guest.h"

#define PAGE(n) (TEST_VA + (n) * 0x1000u)
#define TRANSLATION(level) (0x204 | (level))
#define ACCESS_FLAG(level) (0x208 | (level))
#define PERMISSION(level) (0x20c | (level))
#define WNR 0x800
#define AF 1
enum { AP_PL1_RW = 0, AP_ALL_RW = 1, AP_PL1_RO = 2, AP_ALL_RO = 3 };

static void map(u32 n, u64 descriptor) {
  long_l3[n] = descriptor;
  dsb();
  WRITE_CP15(0, c8, c7, 3, PAGE(n));
  dsb();
  isb();
}

static u32 user_read(u32 va) { return *(volatile u32*)va; }
static u32 user_write(u32 va) { return *(volatile u32*)va = 1; }

static void expect_dabt(u32 count, u32 va, u32 fsr, int line) {
  check_eq(EXC(EXC_DABT).count, count, "number of Data Aborts", line);
  check_eq(EXC(EXC_DABT).far, va, "DFAR", line);
  check_eq(EXC(EXC_DABT).fsr & 0x1a3f, fsr, "DFSR", line);
}
#define EXPECT_DABT(statement, va, fsr)         \
  do {                                          \
    const u32 count_ = EXC(EXC_DABT).count;     \
    statement;                                  \
    expect_dabt(count_ + 1, va, fsr, __LINE__); \
  } while (0)
#define EXPECT_NO_DABT(statement)           \
  do {                                      \
    const u32 count_ = EXC(EXC_DABT).count; \
    statement;                              \
    CHECK_EQ(EXC(EXC_DABT).count, count_);  \
  } while (0)

static void test_translation(void) {
  test_begin("long descriptors: translation faults at each level");
  EXPECT_DABT(user_read(PAGE(3) + 4), PAGE(3) + 4, TRANSLATION(3));
  EXPECT_DABT(user_write(PAGE(3) + 4), PAGE(3) + 4, TRANSLATION(3) | WNR);
  EXPECT_DABT(user_read(0x90000004), 0x90000004, TRANSLATION(2));
  const u64 saved = long_l1[3];
  long_l1[3] = 0;
  tlb_flush_all();
  EXPECT_DABT(user_read(0xd0000000), 0xd0000000, TRANSLATION(1));
  long_l1[3] = saved;
  tlb_flush_all();
  map(3, long_page((u32)test_pages[0], AP_ALL_RW, AF));
  EXPECT_NO_DABT(user_write(PAGE(3)));
  CHECK_EQ(*(u32*)test_pages[0], 1);
  map(3, 0);
  test_end();
}

static void test_permissions(void) {
  test_begin("long descriptors: AP[2:1] at both privileges");
  static const u8 table[4][4] = {{1, 1, 0, 0}, {1, 1, 1, 1}, {1, 0, 0, 0}, {1, 0, 1, 0}};
  for (u32 ap = 0; ap < 4; ++ap) {
    map(0, long_page((u32)test_pages[0], ap, AF));
    for (u32 how = 0; how < 4; ++how) {
      const u32 before = EXC(EXC_DABT).count;
      if (how == 0) user_read(PAGE(0));
      if (how == 1) user_write(PAGE(0));
      if (how == 2) call_user(user_read, PAGE(0));
      if (how == 3) call_user(user_write, PAGE(0));
      check_eq(EXC(EXC_DABT).count - before, !table[ap][how], "permission of AP", (int)(ap * 16 + how));
      if (!table[ap][how]) CHECK_EQ(EXC(EXC_DABT).fsr & 0xa3f, PERMISSION(3) | ((how & 1) ? WNR : 0));
    }
  }
  test_end();
}

static void test_table_attributes(void) {
  test_begin("long descriptors: APTable and XNTable restrict what lies below");
  map(0, long_page((u32)test_pages[0], AP_ALL_RW, AF));
  u64* table = &long_l2[TEST_VA >> 30][(TEST_VA >> 21) & 511];
  const u64 plain = *table;
  *table = plain | 1ull << 61;  // no access at PL0
  tlb_flush_all();
  EXPECT_NO_DABT(user_write(PAGE(0)));
  EXPECT_DABT(call_user(user_read, PAGE(0)), PAGE(0), PERMISSION(3));
  *table = plain | 2ull << 61;  // read-only
  tlb_flush_all();
  EXPECT_NO_DABT(call_user(user_read, PAGE(0)));
  EXPECT_DABT(user_write(PAGE(0)), PAGE(0), PERMISSION(3) | WNR);
  *table = plain;
  tlb_flush_all();
  test_end();
}

static void test_access_flag(void) {
  test_begin("long descriptors: access flag");
  map(0, long_page((u32)test_pages[0], AP_ALL_RW, 0));
  EXPECT_DABT(user_read(PAGE(0)), PAGE(0), ACCESS_FLAG(3));
  long_l3[0] = long_page((u32)test_pages[0], AP_ALL_RW, AF);
  dsb();
  EXPECT_NO_DABT(user_read(PAGE(0)));
  long_l2[2][128] = RAM_BASE + (1 | 1u << 2 | 1u << 6 | 3u << 8);  // 2 MiB block at 0x90000000
  dsb();
  EXPECT_DABT(user_read(0x90010000), 0x90010000, ACCESS_FLAG(2));
  long_l2[2][128] |= 1u << 10;
  dsb();
  EXPECT_NO_DABT(CHECK_EQ(user_read(0x90010000), user_read(RAM_BASE + 0x10000)));
  long_l2[2][128] = 0;
  tlb_flush_all();
  test_end();
}

static void test_blocks(void) {
  test_begin("long descriptors: 1 GiB blocks");
  const u64 saved = long_l1[3];
  long_l1[3] = RAM_BASE + (1 | 1u << 2 | 3u << 8 | 1u << 10);  // PL1 only
  tlb_flush_all();
  CHECK_EQ(user_read(0xc0010000), user_read(RAM_BASE + 0x10000));
  EXPECT_DABT(call_user(user_read, 0xc0010000), 0xc0010000, PERMISSION(1));
  long_l1[3] = saved;
  tlb_flush_all();
  test_end();
}

__attribute__((naked, noinline)) static void call_at(u32 va, volatile u32* resume) {
  asm volatile("push {r4, lr}\n adr r2, 1f\n str r2, [r1]\n blx r0\n 1: pop {r4, pc}");
}
static u32 call_at_user(u32 va) {
  ((void (*)(void))va)();
  return 0;
}

static void test_execute_never(void) {
  test_begin("long descriptors: XN and PXN");
  u32* code = (u32*)test_pages[1];
  code[0] = 0xe12fff1e;  // bx lr
  sync_code(code, 4);
  const u64 page = long_page((u32)code, AP_ALL_RW, AF);
  map(1, page);
  u32 before = EXC(EXC_PABT).count;
  call_at(PAGE(1), resume_pc);
  call_user(call_at_user, PAGE(1));
  CHECK_EQ(EXC(EXC_PABT).count, before);
  map(1, page | 1ull << 54);
  call_at(PAGE(1), resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before + 1);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0x23f, PERMISSION(3));
  CHECK_EQ(EXC(EXC_PABT).far, PAGE(1));
  map(1, page | 1ull << 53);
  call_user(call_at_user, PAGE(1));
  CHECK_EQ(EXC(EXC_PABT).count, before + 1);
  call_at(PAGE(1), resume_pc);
  CHECK_EQ(EXC(EXC_PABT).count, before + 2);
  map(1, 0);
  call_at(PAGE(1), resume_pc);
  CHECK_EQ(EXC(EXC_PABT).fsr & 0x23f, TRANSLATION(3));
  test_end();
}

static void set_ttbr0(u32 asid) {
  asm volatile("mcrr p15, 0, %0, %1, c2\n isb" ::"r"(long_l1), "r"(asid << 16) : "memory");
}

static void test_asid(void) {
  test_begin("long descriptors: the ASID of TTBR0 tags what is not global");
  *(u32*)test_pages[0] = 100;
  *(u32*)test_pages[1] = 101;
  set_ttbr0(1);
  map(0, long_page((u32)test_pages[0], AP_ALL_RW, AF) | 1u << 11);
  CHECK_EQ(user_read(PAGE(0)), 100);
  set_ttbr0(2);
  long_l3[0] = long_page((u32)test_pages[1], AP_ALL_RW, AF) | 1u << 11;
  dsb();
  CHECK_EQ(user_read(PAGE(0)), 101);
  set_ttbr0(1);
  WRITE_CP15(0, c8, c7, 2, 1);  // TLBIASID
  dsb();
  isb();
  CHECK_EQ(user_read(PAGE(0)), 101);
  set_ttbr0(0);
  u32 lo, hi;
  asm volatile("mrrc p15, 0, %0, %1, c2" : "=r"(lo), "=r"(hi));
  CHECK_EQ(lo, (u32)long_l1);
  CHECK_EQ(hi, 0);
  test_end();
}

static u64 other_l1[4] __attribute__((aligned(4096), section(".bss.aligned")));
static void test_split(void) {
  test_begin("long descriptors: T1SZ splits, EPD0 and EPD1 disable walks");
  for (u32 k = 0; k < 4; ++k) other_l1[k] = long_l1[k];
  // With T1SZ = 1 the upper half of the address space is TTBR1's: a first level of two entries.
  other_l1[0] = RAM_BASE + (1 | 1u << 2 | 3u << 8 | 1u << 10);
  other_l1[1] = long_l1[3];
  const u32 base = 1u << 31 | 3u << 12 | 1u << 10 | 1u << 8 | 3u << 28 | 1u << 26 | 1u << 24;
  asm volatile("mcrr p15, 1, %0, %1, c2\n isb" ::"r"(other_l1), "r"(0) : "memory");
  WRITE_CP15(0, c2, c0, 2, base | 1u << 16);
  tlb_flush_all();
  CHECK_EQ(user_read(0x80010000), user_read(RAM_BASE + 0x10000));
  WRITE_CP15(0, c2, c0, 2, base | 1u << 16 | 1u << 23);  // EPD1
  tlb_flush_all();
  EXPECT_DABT(user_read(0x80010000), 0x80010000, TRANSLATION(1));
  WRITE_CP15(0, c2, c0, 2, base & 0x8000ffff);
  tlb_flush_all();
  test_end();
}

static void test_par(void) {
  test_begin("long descriptors: 64-bit PAR");
  u32 lo, hi;
  map(0, long_page((u32)test_pages[0], AP_PL1_RW, AF));
  WRITE_CP15(0, c7, c8, 0, PAGE(0));
  asm volatile("mrrc p15, 0, %0, %1, c7" : "=r"(lo), "=r"(hi));
  CHECK_EQ(lo & 0xfffff801, (u32)test_pages[0] | 0x800);
  CHECK_EQ(hi, 0xff000000);  // ATTR: write-back
  WRITE_CP15(0, c7, c8, 2, PAGE(0));
  asm volatile("mrrc p15, 0, %0, %1, c7" : "=r"(lo), "=r"(hi));
  CHECK_EQ(lo & 0x87f, 0x801 | (PERMISSION(3) & 0x3f) << 1);
  test_end();
}

void test_main(void) {
  mmu_long_tables();
  mmu_long_on();
  test_translation();
  test_permissions();
  test_table_attributes();
  test_access_flag();
  test_blocks();
  test_execute_never();
  test_asid();
  test_split();
  test_par();
}
