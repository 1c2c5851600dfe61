// Translation tables changed while other vCPUs use them (ARM DDI 0406C B3.10): each vCPU remaps a page of its own, with
// the maintenance that the architecture asks for, while all read all of these pages.
#include "lib/guest.h"

#define ROUNDS 300
#define PAGE(n) (TEST_VA + ((n) << 12))

static u32 cpus, long_format;
static volatile u32 started[MAX_CPUS], finished[MAX_CPUS], done, wrong, reads;
static u8 frames[4][4096] __attribute__((aligned(4096), section(".bss.aligned")));

static void set_page(u32 n, u32 frame) {
  if (long_format)
    *(volatile u64*)&long_l3[n] = long_page((u32)frames[frame], 1, 1);
  else
    *(volatile u32*)&short_l2[n] = short_page((u32)frames[frame], 3, 0, 0);
}

/// Every way of telling all vCPUs, in turn.
static void invalidate(u32 n, u32 round) {
  dsb();
  switch (round & 3) {
    case 0: WRITE_CP15(0, c8, c3, 0, 0); break;        // TLBIALLIS
    case 1: WRITE_CP15(0, c8, c3, 1, PAGE(n)); break;  // TLBIMVAIS
    case 2: WRITE_CP15(0, c8, c3, 3, PAGE(n)); break;  // TLBIMVAAIS
    default:                                           // of pages in a row
      for (u32 k = 0; k < 4; ++k) WRITE_CP15(0, c8, c3, 3, PAGE((n & ~3u) + k));
  }
  dsb();
  isb();
}

static void change(u32 n, u32 round) {
  started[n] = round;
  dmb();
  set_page(n, round & 3);
  invalidate(n, round);
  finished[n] = round;
  dmb();
  if ((round & 15) == 15) {  // many writes: the table is taken for data, then for a table again
    for (u32 k = 0; k < 40; ++k) {
      if (long_format)
        *(volatile u64*)&long_l3[128 + n * 40 + k] = 0;
      else
        *(volatile u32*)&short_l2[64 + n * 24 + k % 24] = 0;
    }
  }
}

static void look(u32 n) {
  const u32 before = finished[n];
  dmb();
  const u32 frame = *(volatile u32*)PAGE(n);
  dmb();
  const u32 after = started[n];
  if (after - before > 1) return;  // changed too often meanwhile
  ++reads;
  if (frame != (before & 3) && frame != (after & 3)) ++wrong;
}

static void on(void) {
  if (long_format)
    mmu_long_on();
  else
    mmu_short_on();
}

static void run(u32 self) {
  for (u32 round = 1; round <= ROUNDS; ++round) {
    change(self, round);
    for (u32 n = 0; n < cpus; ++n) look(n);
  }
  const u32 mine = 1u << self;
  u32 old, failed;
  do
    asm volatile("ldrex %0, [%2]\n orr %0, %0, %3\n strex %1, %0, [%2]"
                 : "=&r"(old), "=&r"(failed)
                 : "r"(&done), "r"(mine)
                 : "memory");
  while (failed);
  while (done != (1u << cpus) - 1) {
    for (u32 n = 0; n < cpus; ++n) look(n);
    asm volatile("yield");
  }
}

static void secondary(u32 self) {
  on();
  run(self);
  mmu_off();
}

static void test_remaps(u32 format) {
  test_begin(format ? "tables: remaps under other vCPUs, long descriptors" : "tables: remaps under other vCPUs");
  long_format = format;
  done = wrong = reads = 0;
  for (u32 k = 0; k < 4; ++k) *(volatile u32*)frames[k] = k;
  for (u32 n = 0; n < cpus; ++n) {
    set_page(n, 0);
    started[n] = finished[n] = 0;
  }
  on();
  for (u32 c = 1; c < cpus; ++c) CHECK_EQ(cpu_start(c, secondary), 0);
  run(0);
  for (u32 c = 1; c < cpus; ++c) cpu_wait_off(c);
  CHECK_EQ(wrong, 0);
  CHECK(reads > ROUNDS / 4);
  mmu_off();
  test_end();
}

void test_main(void) {
  cpus = cpus_present();
  mmu_short_tables();
  test_remaps(0);
  mmu_long_tables();
  test_remaps(1);
}
