// GICv2 as the tests use it (IHI 0048B): everything in group 0 of a GIC without Security Extensions, IRQs only.
#include "guest.h"

#define GICD ((volatile u32*)0x08000000)
#define GICC ((volatile u32*)0x08010000)

void gic_init_distributor(void) { GICD[0] = 1; }

void gic_init_cpu(void) {
  GICC[1] = 0xff;  // GICC_PMR
  GICC[2] = 0;     // GICC_BPR
  GICC[0] = 1;     // GICC_CTLR
}

void gic_enable(u32 irq) {
  ((volatile u8*)GICD)[0x400 + irq] = 0x80;
  if (irq >= 32) ((volatile u8*)GICD)[0x800 + irq] = 1;
  GICD[0x100 / 4 + irq / 32] = 1u << (irq & 31);
}

void gic_disable(u32 irq) { GICD[0x180 / 4 + irq / 32] = 1u << (irq & 31); }
u32 gic_acknowledge(void) { return GICC[3]; }
void gic_end(u32 iar) { GICC[4] = iar; }
void gic_sgi(u32 target_mask, u32 sgi) {
  dsb();
  GICD[0xf00 / 4] = target_mask << 16 | sgi;
}
