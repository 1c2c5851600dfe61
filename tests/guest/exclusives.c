// Exclusive accesses (ARM DDI 0406C A3.4) on one and on several vCPUs.
#include "lib/guest.h"

static volatile u32 word __attribute__((aligned(64)));
static volatile u64 dword __attribute__((aligned(64)));
static u32 cpus;

static u32 ldrex(volatile u32* p) {
  u32 v;
  asm volatile("ldrex %0, [%1]" : "=r"(v) : "r"(p) : "memory");
  return v;
}
static u32 strex(volatile u32* p, u32 v) {
  u32 failed;
  asm volatile("strex %0, %1, [%2]" : "=&r"(failed) : "r"(v), "r"(p) : "memory");
  return failed;
}
static u64 ldrexd(volatile u64* p) {
  u64 v;
  asm volatile("ldrexd %0, %H0, [%1]" : "=r"(v) : "r"(p) : "memory");
  return v;
}
static u32 strexd(volatile u64* p, u64 v) {
  u32 failed;
  asm volatile("strexd %0, %1, %H1, [%2]" : "=&r"(failed) : "r"(v), "r"(p) : "memory");
  return failed;
}

static void test_single(void) {
  test_begin("exclusives: one CPU");
  word = 5;
  CHECK_EQ(strex(&word, 6), 1);  // no monitor
  CHECK_EQ(word, 5);
  CHECK_EQ(ldrex(&word), 5);
  CHECK_EQ(strex(&word, 7), 0);
  CHECK_EQ(word, 7);
  CHECK_EQ(strex(&word, 8), 1);  // the first store took the monitor
  ldrex(&word);
  asm volatile("clrex");
  CHECK_EQ(strex(&word, 9), 1);
  CHECK_EQ(word, 7);
  dword = 0x1122334455667788ull;
  CHECK(ldrexd(&dword) == 0x1122334455667788ull);
  CHECK_EQ(strexd(&dword, 0x8877665544332211ull), 0);
  CHECK(dword == 0x8877665544332211ull);
  u32 v, failed;
  word = 0xa1b2c3d4;
  asm volatile("ldrexb %0, [%2]\n add %0, %0, #1\n strexb %1, %0, [%2]" : "=&r"(v), "=&r"(failed) : "r"(&word) : "memory");
  CHECK_EQ(failed, 0);
  CHECK_EQ(word, 0xa1b2c3d5);
  asm volatile("ldrexh %0, [%2]\n add %0, %0, #1\n strexh %1, %0, [%2]" : "=&r"(v), "=&r"(failed) : "r"(&word) : "memory");
  CHECK_EQ(failed, 0);
  CHECK_EQ(word, 0xa1b2c3d6);
  test_end();
}

// An exception between LDREX and STREX: the handler's CLREX (as every context switch does) makes the store fail.
static void clrex_hook(struct frame* f, u32 kind) {
  (void)kind;
  (void)f;
  asm volatile("clrex");
}
static void test_exception(void) {
  test_begin("exclusives: CLREX in an exception handler");
  exc_hook[EXC_SVC] = clrex_hook;
  u32 failed;
  asm volatile("ldrex r2, [%1]\n svc #1\n strex %0, r2, [%1]" : "=&r"(failed) : "r"(&word) : "r2", "lr", "memory");
  CHECK_EQ(failed, 1);
  exc_hook[EXC_SVC] = 0;
  test_end();
}

// --- several vCPUs
#define ROUNDS 20000
static volatile u32 counter_ll, ready, lock, in_section, violations, guarded;
static volatile u64 counter_d;

static void add_exclusive(volatile u32* p, u32 n) {
  u32 v;
  do v = ldrex(p);
  while (strex(p, v + n));
}

static void spin_lock(volatile u32* l) {
  for (;;) {
    if (ldrex(l) == 0 && strex(l, 1) == 0) break;
    asm volatile("yield");
  }
  dmb();
}
static void spin_unlock(volatile u32* l) {
  dmb();
  *l = 0;
}

static void barrier(void) {
  static volatile u32 arrived, phase;
  const u32 my = phase;
  dmb();
  u32 v;
  do v = ldrex(&arrived) + 1;
  while (strex(&arrived, v));
  if (v == cpus) {
    arrived = 0;
    dmb();
    phase = my + 1;
  } else {
    while (phase == my) asm volatile("yield");
  }
  dmb();
}

static void work(void) {
  barrier();
  for (u32 k = 0; k < ROUNDS; ++k) add_exclusive(&counter_ll, 1);
  barrier();
  for (u32 k = 0; k < ROUNDS / 4; ++k) {
    u64 v;
    do v = ldrexd(&counter_d);
    while (strexd(&counter_d, v + 0x100000001ull));
  }
  barrier();
  for (u32 k = 0; k < ROUNDS / 20; ++k) {
    spin_lock(&lock);
    if (in_section++ != 0) ++violations;
    ++guarded;
    --in_section;
    spin_unlock(&lock);
  }
  barrier();
}

static void secondary(u32 cpu) {
  (void)cpu;
  mmu_short_on();
  add_exclusive(&ready, 1);
  work();
}

static void test_counters(void) {
  test_begin("exclusives: counters and spin locks shared by all CPUs");
  for (u32 c = 1; c < cpus; ++c) CHECK_EQ(cpu_start(c, secondary), 0);
  while (ready != cpus - 1) asm volatile("yield");
  work();
  CHECK_EQ(counter_ll, cpus * ROUNDS);
  CHECK_EQ(counter_d, cpus * (ROUNDS / 4));
  CHECK_EQ(counter_d >> 32, cpus * (ROUNDS / 4));
  CHECK_EQ(violations, 0);
  CHECK_EQ(guarded, cpus * (ROUNDS / 20));
  for (u32 c = 1; c < cpus; ++c) cpu_wait_off(c);
  test_end();
}

// A plain store of another CPU between LDREX and STREX clears the monitor.
static volatile u32 step;
static void plain_storer(u32 cpu) {
  (void)cpu;
  mmu_short_on();
  for (u32 k = 0; k < 100; ++k) {
    while (step != 2 * k + 1) asm volatile("yield");
    word = 1000 + k;
    dmb();
    step = 2 * k + 2;
  }
}
static void test_plain_store(void) {
  test_begin("exclusives: a plain store of another CPU makes STREX fail");
  if (cpus > 1) {
    word = 77;
    step = 0;
    CHECK_EQ(cpu_start(1, plain_storer), 0);
    u32 stored = 0;
    for (u32 k = 0; k < 100; ++k) {
      ldrex(&word);
      step = 2 * k + 1;
      while (step != 2 * k + 2) asm volatile("yield");
      dmb();
      stored += strex(&word, 0x55555555) == 0;
      word = 77;
    }
    CHECK_EQ(stored, 0);
    cpu_wait_off(1);
  }
  test_end();
}

// Message passing and Dekker's pattern with barriers.
static volatile u32 data_word __attribute__((aligned(64))), flag __attribute__((aligned(64)));
static volatile u32 x __attribute__((aligned(64))), y __attribute__((aligned(64))), r_other;
static void order_peer(u32 cpu) {
  (void)cpu;
  mmu_short_on();
  for (u32 k = 1; k <= 500; ++k) {
    while (flag != k) asm volatile("yield");
    dmb();
    if (data_word != k * 3) ++violations;
    dmb();
    flag = 0;
  }
  for (u32 k = 1; k <= 500; ++k) {
    while (step != 2 * k - 1) asm volatile("yield");
    dmb();
    y = 1;
    dmb();
    r_other = x;
    dmb();
    step = 2 * k;
  }
}
static void test_order(void) {
  test_begin("exclusives: barriers order plain accesses between CPUs");
  if (cpus > 1) {
    violations = 0;
    step = 0;
    flag = 0;
    CHECK_EQ(cpu_start(1, order_peer), 0);
    for (u32 k = 1; k <= 500; ++k) {
      data_word = k * 3;
      dmb();
      flag = k;
      while (flag != 0) asm volatile("yield");
      dmb();
    }
    for (u32 k = 1; k <= 500; ++k) {
      x = y = 0;
      dmb();
      step = 2 * k - 1;
      x = 1;
      dmb();
      const u32 r = y;
      while (step != 2 * k) asm volatile("yield");
      dmb();
      if (r == 0 && r_other == 0) ++violations;
    }
    CHECK_EQ(violations, 0);
    cpu_wait_off(1);
  }
  test_end();
}

void test_main(void) {
  mmu_short_tables();
  mmu_short_on();
  cpus = cpus_present();
  test_single();
  test_exception();
  test_counters();
  test_plain_store();
  test_order();
}
