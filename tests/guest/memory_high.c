// RAM above 4 GiB, with 6 GiB of it: data, exclusives, code that changes, tables, TTBR0, supersections and DMA are where the
// 40 bits of physical address say, and not where their low 32 bits do.
#include "lib/guest.h"

#define PAGE(n) (TEST_VA + (n) * 0x1000u)
#define WORD(n, k) (((volatile u32*)PAGE(n))[k])
#define AF 1
#define AP_ALL_RW 1
#define HIGH 0x143456000ull           // a frame above 4 GiB,
#define LOW (HIGH & 0xffffffffu)      // and the one that its low 32 bits name
#define RAM_END 0x1c0000000ull
#define SECOND_VA (TEST_VA + 0x200000u)

static void map(u32 n, u64 pa) {
  long_l3[n] = long_page(pa, AP_ALL_RW, AF);
  tlb_flush_all();
}

static void test_data(void) {
  test_begin("high memory: a frame above 4 GiB and the one below that its low bits name are two");
  static const u64 frames[] = {HIGH, LOW, 0xfffff000, 0x100000000, RAM_END - 0x1000, 0x180000000, 0x80000000};
  enum { COUNT = sizeof frames / sizeof *frames };
  for (u32 n = 0; n < COUNT; ++n) map(n, frames[n]);
  for (u32 round = 1; round <= 50; ++round) {
    for (u32 n = 0; n < COUNT; ++n) WORD(n, 1023) = round * 100 + n;
    for (u32 n = 0; n < COUNT; ++n) CHECK_EQ(WORD(n, 1023), round * 100 + n);
  }
  tlb_flush_all();
  for (u32 n = 0; n < COUNT; ++n) CHECK_EQ(WORD(n, 1023), 5000 + n);
  map(0, RAM_END);
  const u32 before = EXC(EXC_DABT).count;
  (void)WORD(0, 0);
  CHECK_EQ(EXC(EXC_DABT).count, before + 1);
  test_end();
}

static u32 add_exclusive(u32 va) {
  u32 value, failed;
  do {
    asm volatile("ldrex %0, [%2]\n add %0, %0, #1\n strex %1, %0, [%2]" : "=&r"(value), "=&r"(failed) : "r"(va) : "memory");
  } while (failed);
  return value;
}

static void test_exclusives(void) {
  test_begin("high memory: exclusives");
  map(0, HIGH);
  map(1, LOW);
  WORD(0, 0) = 0;
  WORD(1, 0) = 1000;
  for (u32 n = 1; n <= 500; ++n) {
    CHECK_EQ(add_exclusive(PAGE(0)), n);
    CHECK_EQ(add_exclusive(PAGE(1)), 1000 + n);
  }
  test_end();
}

typedef u32 (*function)(void);
static void put_function(u32 n, u32 result) {
  WORD(n, 0) = 0xe3a00000 | result;  // mov r0, #result
  WORD(n, 1) = 0xe12fff1e;           // bx lr
  sync_code((void*)PAGE(n), 8);
}

static void test_code(void) {
  test_begin("high memory: code runs, and is seen to change");
  map(0, HIGH);
  map(1, LOW);
  for (u32 round = 0; round < 20; ++round) {
    put_function(0, round);
    put_function(1, 100 + round);
    for (u32 n = 0; n < 100; ++n) {
      CHECK_EQ(((function)PAGE(0))(), round);
      CHECK_EQ(((function)PAGE(1))(), 100 + round);
    }
  }
  test_end();
}

static void test_tables(void) {
  test_begin("high memory: translation tables");
  map(0, HIGH);
  map(1, LOW);
  map(2, HIGH + 0x1000);
  volatile u64* const table = (volatile u64*)PAGE(0);
  for (u32 n = 0; n < 512; ++n) table[n] = ((volatile u64*)PAGE(1))[n] = 0;
  long_l2[SECOND_VA >> 30][(SECOND_VA >> 21) & 511] = HIGH | 3;
  for (u32 round = 0; round < 20; ++round) {
    map(3, round & 1 ? 0x150000000 : 0x1a0000000);
    WORD(3, 5) = round;
    table[7] = long_page(round & 1 ? 0x150000000 : 0x1a0000000, AP_ALL_RW, AF);
    dsb();
    WRITE_CP15(0, c8, c7, 3, SECOND_VA + 0x7000);
    dsb();
    isb();
    CHECK_EQ(*(volatile u32*)(SECOND_VA + 0x7014), round);
  }
  for (u32 n = 0; n < 4; ++n) ((volatile u64*)PAGE(2))[n] = long_l1[n];
  dsb();
  asm volatile("mcrr p15, 0, %0, %1, c2\n isb" ::"r"((u32)(HIGH + 0x1000)), "r"((u32)((HIGH + 0x1000) >> 32)) : "memory");
  tlb_flush_all();
  CHECK_EQ(*(volatile u32*)(SECOND_VA + 0x7014), 19);
  asm volatile("mcrr p15, 0, %0, %1, c2\n isb" ::"r"(long_l1), "r"(0) : "memory");
  tlb_flush_all();
  test_end();
}

static u32 swap(u32 v) { return __builtin_bswap32(v); }

static void test_dma(void) {
  test_begin("high memory: DMA of fw_cfg, its descriptor there as well");
  volatile u32* const fw_cfg = (volatile u32*)0x09020010;
  map(0, HIGH);
  map(1, LOW);
  WORD(0, 0) = WORD(1, 0) = WORD(0, 8) = WORD(1, 8) = 0;
  WORD(0, 0) = swap(8 | 2);  // select item 0, the signature; read
  WORD(0, 1) = swap(4);
  WORD(0, 2) = swap((u32)(HIGH >> 32));
  WORD(0, 3) = swap((u32)HIGH + 32);
  dsb();
  fw_cfg[0] = swap((u32)(HIGH >> 32));
  fw_cfg[1] = swap((u32)HIGH);
  dsb();
  CHECK_EQ(WORD(0, 0), 0);
  CHECK_EQ(WORD(0, 8), 0x554d4551);  // "QEMU"
  CHECK_EQ(WORD(1, 8), 0);
  test_end();
}

static void test_supersections(void) {
  test_begin("high memory: supersections of the short descriptors");
  map(0, 0x141234000);
  WORD(0, 1) = 0x12345678;
  map(0, 0x41234000);
  WORD(0, 1) = 0x87654321;
  mmu_off();
  mmu_short_tables();
  for (u32 k = 0; k < 16; ++k)  // B3.5.1: PA[31:24], PA[35:32] in bits 23 to 20
    short_l1[0x900 + k] = 0x41000000 | 1u << 20 | 1u << 18 | 2 | SHORT_NORMAL | 3u << 10;
  mmu_short_on();
  CHECK_EQ(*(volatile u32*)0x90234004, 0x12345678);
  *(volatile u32*)0x90234004 = 7;
  CHECK_EQ(*(volatile u32*)0x90234004, 7);
  mmu_off();
  CHECK_EQ(*(volatile u32*)0x41234004, 0x87654321);
  test_end();
}

void test_main(void) {
  mmu_long_tables();
  mmu_long_on();
  test_data();
  test_exclusives();
  test_code();
  test_tables();
  test_dma();
  test_supersections();
  print("done: all ok\n");
}
