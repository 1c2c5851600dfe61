// Translation tables of the test programs: the same identity map in both formats.
#include "guest.h"

#define ALIGNED(n) __attribute__((aligned(n), section(".bss.aligned")))

u32 short_l1[4096] ALIGNED(16384);
u32 short_l2[256] ALIGNED(1024);
u64 long_l1[4] ALIGNED(4096);
u64 long_l2[4][512] ALIGNED(4096);
u64 long_l3[512] ALIGNED(4096);
u8 test_pages[8][4096] ALIGNED(4096);

void mmu_short_tables(void) {
  for (u32 k = 0; k < 4096; ++k) short_l1[k] = 0;
  for (u32 k = 0; k < 256; ++k) short_l2[k] = 0;
  for (u32 k = 0; k < 0x100; ++k)  // devices: shared device memory, execute never, PL1 only
    short_l1[k] = k << 20 | 2 | 1u << 2 | 1u << 4 | 1u << 10;
  for (u32 k = 0; k < 16; ++k)  // RAM: shareable, full access
    short_l1[0x400 + k] = (0x400 + k) << 20 | 2 | SHORT_NORMAL | 1u << 16 | 3u << 10;
  short_l1[TEST_VA >> 20] = (u32)short_l2 | 1;
}

static void mmu_on(u32 ttbcr) {
  WRITE_CP15(0, c2, c0, 2, ttbcr);
  WRITE_CP15(0, c3, c0, 0, 1);  // domain 0: client
  WRITE_CP15(0, c13, c0, 1, 0);
  tlb_flush_all();
  WRITE_CP15(0, c7, c5, 0, 0);  // ICIALLU
  dsb();
  write_sctlr((read_sctlr() & ~((1u << 28) | (1u << 29))) | 1 | 1u << 2 | 1u << 12);
}

void mmu_short_on(void) {
  WRITE_CP15(0, c2, c0, 0, (u32)short_l1 | 0x4a);  // inner and outer write-back, shareable
  mmu_on(0);
}

void mmu_long_tables(void) {
  for (u32 t = 0; t < 4; ++t)
    for (u32 k = 0; k < 512; ++k) long_l2[t][k] = 0;
  for (u32 k = 0; k < 512; ++k) long_l3[k] = 0;
  for (u32 t = 0; t < 4; ++t) long_l1[t] = (u64)(u32)long_l2[t] | 3;
  for (u32 k = 0; k < 128; ++k)  // devices: AttrIndx 0, XN, AF
    long_l2[0][k] = (u64)k << 21 | 1 | 1u << 10 | 1ull << 54;
  for (u32 k = 0; k < 8; ++k)  // RAM: AttrIndx 1, any privilege, inner shareable, AF
    long_l2[1][k] = RAM_BASE + ((u64)k << 21) + (1 | 1u << 2 | 1u << 6 | 3u << 8 | 1u << 10);
  long_l2[TEST_VA >> 30][(TEST_VA >> 21) & 511] = (u64)(u32)long_l3 | 3;
}

void mmu_long_on(void) {
  WRITE_CP15(0, c10, c2, 0, 0x0000ff04);  // MAIR0: 0 device, 1 write-back normal
  WRITE_CP15(0, c10, c2, 1, 0);
  WRITE_CP15(0, c2, c0, 2, 0);
  asm volatile("mcrr p15, 0, %0, %1, c2\n isb" ::"r"(long_l1), "r"(0) : "memory");
  mmu_on(1u << 31 | 3u << 12 | 1u << 10 | 1u << 8);
}

void mmu_off(void) {
  dsb();
  write_sctlr(read_sctlr() & ~1u);
  WRITE_CP15(0, c2, c0, 2, 0);
  tlb_flush_all();
}
