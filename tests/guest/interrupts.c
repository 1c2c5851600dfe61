// Interrupts: the generic timer (ARM DDI 0406C B8) through GICv2 (IHI 0048B), software-generated interrupts, WFI, WFE
// and SEV.
#include "lib/guest.h"

#define GICD ((volatile u32*)0x08000000)
#define GICC ((volatile u32*)0x08010000)

static volatile u32 irqs[MAX_CPUS], last_iar[MAX_CPUS], spurious[MAX_CPUS];
static u32 cpus;

#define CNTV_CTL(v) WRITE_CP15(0, c14, c3, 1, v)
#define CNTP_CTL(v) WRITE_CP15(0, c14, c2, 1, v)
static u32 cntfrq(void) { return READ_CP15(0, c14, c0, 0); }
static u64 cntvct(void) {
  u32 lo, hi;
  asm volatile("isb\n mrrc p15, 1, %0, %1, c14" : "=r"(lo), "=r"(hi)::"memory");
  return (u64)hi << 32 | lo;
}
static void set_cntv_cval(u64 v) {
  asm volatile("mcrr p15, 3, %0, %1, c14\n isb" ::"r"((u32)v), "r"((u32)(v >> 32)) : "memory");
}

static void irq_hook(struct frame* f, u32 kind) {
  (void)kind;
  const u32 cpu = cpu_number(), iar = gic_acknowledge();
  if ((iar & 0x3ff) >= 1020) {
    ++spurious[cpu];
  } else {
    last_iar[cpu] = iar;
    ++irqs[cpu];
    if ((iar & 0x3ff) == IRQ_VTIMER) CNTV_CTL(0);
    if ((iar & 0x3ff) == IRQ_PTIMER) CNTP_CTL(0);
    gic_end(iar);
  }
  f->lr -= 4;
}

// Waits for interrupts as long as the condition holds. They stay masked from the look at the condition to the WFI,
// which a masked interrupt ends too: one taken in between would leave the WFI to wait for a next that may never come.
#define wait_for_irq_while(condition) \
  do {                                \
    while (condition) {               \
      wfi();                          \
      irq_enable();                   \
      isb();                          \
      irq_disable();                  \
    }                                 \
  } while (0)

static void test_counter(void) {
  test_begin("interrupts: the counter runs forwards at CNTFRQ");
  CHECK(cntfrq() >= 1000000);
  u64 last = cntvct();
  for (u32 k = 0; k < 1000; ++k) {
    const u64 now = cntvct();
    CHECK(now >= last);
    last = now;
  }
  const u64 start = cntvct();
  while (cntvct() - start < cntfrq() / 100) {
  }
  test_end();
}

static void test_timer_condition(void) {
  test_begin("interrupts: CNTV_TVAL, CNTV_CVAL and the timer condition");
  CNTV_CTL(0);
  WRITE_CP15(0, c14, c3, 0, 0x7fffffff);
  CNTV_CTL(3);  // enabled, masked
  CHECK_EQ(READ_CP15(0, c14, c3, 1), 3);
  const s32 left = (s32)READ_CP15(0, c14, c3, 0);
  CHECK(left > 0);
  set_cntv_cval(cntvct());
  CHECK_EQ(READ_CP15(0, c14, c3, 1), 7);
  CHECK((s32)READ_CP15(0, c14, c3, 0) <= 0);
  CNTV_CTL(0);
  test_end();
}

static void test_timer_irq(u32 irq, const char* name) {
  test_begin(name);
  const u32 before = irqs[0];
  gic_enable(irq);
  for (u32 k = 1; k <= 5; ++k) {
    if (irq == IRQ_VTIMER) {
      WRITE_CP15(0, c14, c3, 0, cntfrq() / 500);
      CNTV_CTL(1);
    } else {
      WRITE_CP15(0, c14, c2, 0, cntfrq() / 500);
      CNTP_CTL(1);
    }
    wait_for_irq_while(irqs[0] < before + k);
    CHECK_EQ(irqs[0], before + k);
    CHECK_EQ(last_iar[0] & 0x3ff, irq);
  }
  CHECK_EQ(EXC(EXC_IRQ).cpsr & 0x1bf, 0x192);  // IRQ mode, A and I set
  gic_disable(irq);
  test_end();
}

static void test_wfi_masked(void) {
  test_begin("interrupts: WFI ends for a masked interrupt without taking it");
  const u32 before = irqs[0];
  gic_enable(IRQ_VTIMER);
  WRITE_CP15(0, c14, c3, 0, cntfrq() / 500);
  CNTV_CTL(1);
  wfi();
  CHECK_EQ(irqs[0], before);
  while ((GICC[6] & 0x3ff) != IRQ_VTIMER) {  // GICC_HPPIR
  }
  irq_enable();
  isb();
  irq_disable();
  CHECK_EQ(irqs[0], before + 1);
  gic_disable(IRQ_VTIMER);
  test_end();
}

static void test_priority_mask(void) {
  test_begin("interrupts: GICC_PMR holds interrupts back, GICD set and clear pending");
  const u32 before = irqs[0];
  GICC[1] = 0x10;  // lower priority values only
  gic_enable(IRQ_VTIMER);  // priority 0x80
  set_cntv_cval(cntvct());
  CNTV_CTL(1);
  irq_enable();
  for (volatile u32 k = 0; k < 10000; ++k) {
  }
  CHECK_EQ(irqs[0], before);
  CHECK_EQ(GICD[0x200 / 4] >> IRQ_VTIMER & 1, 1);  // pending
  GICC[1] = 0xff;
  isb();
  for (volatile u32 k = 0; k < 1000 && irqs[0] == before; ++k) {
  }
  irq_disable();
  CHECK_EQ(irqs[0], before + 1);
  CHECK_EQ(GICD[0x200 / 4] >> IRQ_VTIMER & 1, 0);
  gic_disable(IRQ_VTIMER);
  test_end();
}

static void test_identification(void) {
  test_begin("interrupts: GIC identification, banked targets");
  CHECK_EQ(((volatile u32*)0x08000fe8)[0] >> 4 & 0xf, 2);  // GICv2
  CHECK_EQ(GICD[1] >> 5 & 7, cpus - 1);
  if (cpus > 1) CHECK_EQ(((volatile u8*)GICD)[0x800], 1);  // SGI 0 targets this CPU
  CHECK_EQ(GICC[3] & 0x3ff, 1023);
  test_end();
}

// FIQ is not delivered by group 0 without FIQEn; IRQ inside Thumb code returns to it. Interrupts are masked until there, so
// that one that is due earlier is taken there too.
__attribute__((naked, noinline, target("thumb"))) static void thumb_spin(volatile u32* counter, u32 until) {
  asm volatile("cpsie i\n 1: ldr r2, [r0]\n cmp r2, r1\n bne 1b\n bx lr");
}
static void test_thumb_irq(void) {
  test_begin("interrupts: an IRQ taken in Thumb code");
  gic_enable(IRQ_VTIMER);
  const u32 before = irqs[0];
  WRITE_CP15(0, c14, c3, 0, cntfrq() / 500);
  CNTV_CTL(1);
  thumb_spin(&irqs[0], before + 1);
  irq_disable();
  CHECK_EQ(EXC(EXC_IRQ).spsr & 0x3f, 0x33);
  gic_disable(IRQ_VTIMER);
  test_end();
}

static void test_sgi_self(void) {
  test_begin("interrupts: SGI to oneself, in order of priority");
  gic_enable(1);
  gic_enable(2);
  ((volatile u8*)GICD)[0x400 + 1] = 0xa0;
  ((volatile u8*)GICD)[0x400 + 2] = 0x40;
  const u32 before = irqs[0];
  gic_sgi(1, 1);
  gic_sgi(1, 2);
  dsb();
  CHECK_EQ(GICC[6] & 0x3ff, 2);  // GICC_HPPIR
  irq_enable();
  isb();
  while (irqs[0] < before + 2) {
  }
  irq_disable();
  CHECK_EQ(last_iar[0], 1);  // the lower priority came last
  CHECK_EQ(spurious[0], 0);
  test_end();
}

// --- several CPUs
static volatile u32 ready, stop, woke;
static void sgi_peer(u32 cpu) {
  gic_init_cpu();
  gic_enable(3);
  dmb();
  ready |= 1u << cpu;
  wait_for_irq_while(!stop);
}
static void test_sgi(void) {
  test_begin("interrupts: SGIs between CPUs wake them from WFI");
  for (u32 c = 1; c < cpus; ++c) {
    ready = 0;
    stop = 0;
    CHECK_EQ(cpu_start(c, sgi_peer), 0);
    while (!(ready & 1u << c)) {
    }
    for (u32 k = 1; k <= 50; ++k) {
      gic_sgi(1u << c, 3);
      while (irqs[c] < k) asm volatile("yield");
    }
    CHECK_EQ(irqs[c], 50);
    CHECK_EQ(last_iar[c], 3);  // from CPU 0
    stop = 1;
    gic_sgi(1u << c, 3);
    cpu_wait_off(c);
  }
  test_end();
}

static void event_peer(u32 cpu) {
  (void)cpu;
  for (u32 k = 0; k < 50; ++k) {
    while (ready == k) wfe();
    dmb();
    woke = k + 1;
    sev();
  }
}
static void test_event(void) {
  test_begin("interrupts: WFE and SEV");
  sev();
  wfe();  // the event register is set: does not wait
  if (cpus > 1) {
    ready = woke = 0;
    CHECK_EQ(cpu_start(1, event_peer), 0);
    for (u32 k = 1; k <= 50; ++k) {
      ready = k;
      sev();
      while (woke != k) wfe();
    }
    cpu_wait_off(1);
  }
  test_end();
}

void test_main(void) {
  cpus = cpus_present();
  exc_hook[EXC_IRQ] = irq_hook;
  gic_init_distributor();
  gic_init_cpu();
  test_identification();
  test_counter();
  test_timer_condition();
  test_timer_irq(IRQ_VTIMER, "interrupts: virtual timer");
  test_timer_irq(IRQ_PTIMER, "interrupts: physical timer");
  test_wfi_masked();
  test_priority_mask();
  test_thumb_irq();
  test_sgi_self();
  test_sgi();
  test_event();
}
