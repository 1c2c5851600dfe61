// PSCI (DEN0022): version, unknown functions, errors of CPU_ON, CPU_OFF. That SYSTEM_OFF works is how every program ends.
#include "lib/guest.h"

#define NOT_SUPPORTED ((u32)-1)
#define INVALID_PARAMETERS ((u32)-2)
#define ALREADY_ON ((u32)-4)

static volatile u32 ran;

static void nothing(u32 cpu) {
  dmb();
  ran += 1u << (8 * cpu);
}
static volatile u32 release;
static void wait_for_release(u32 cpu) {
  (void)cpu;
  while (!release) asm volatile("yield");
}

static void test_calls(void) {
  test_begin("power: PSCI version, features and unknown functions");
  CHECK(psci(PSCI_VERSION, 0, 0, 0) >= 2 && psci(PSCI_VERSION, 0, 0, 0) < 0x20000);
  CHECK_EQ(psci(0x8400ffff, 0, 0, 0), NOT_SUPPORTED);
  CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, 0, 0), 0);
  CHECK_EQ(psci(PSCI_AFFINITY_INFO, 77, 0, 0), INVALID_PARAMETERS);
  CHECK_EQ(psci(PSCI_CPU_ON, 77, RAM_BASE, 0), INVALID_PARAMETERS);
  CHECK_EQ(psci(PSCI_CPU_ON, 0, RAM_BASE, 0), ALREADY_ON);
  test_end();
}

static void test_on_off(void) {
  test_begin("power: CPUs go on and off again and again");
  const u32 cpus = cpus_present();
  for (u32 round = 1; round <= 20; ++round)
    for (u32 c = 1; c < cpus && c < 4; ++c) {
      CHECK_EQ(cpu_start(c, nothing), 0);
      cpu_wait_off(c);
      CHECK_EQ(ran >> (8 * c) & 0xff, round);
    }
  if (cpus > 1) {
    CHECK_EQ(cpu_start(1, wait_for_release), 0);
    while (psci(PSCI_AFFINITY_INFO, 1, 0, 0) != 0) {
    }
    CHECK_EQ(cpu_start(1, nothing), ALREADY_ON);
    release = 1;
    cpu_wait_off(1);
  }
  test_end();
}

void test_main(void) {
  test_calls();
  test_on_off();
}
