// Printing, checks, exceptions and vCPU start-up of the bare-metal test programs.
#include "guest.h"

#define UART ((volatile u32*)0x09000000)

volatile struct exc_record exc[MAX_CPUS][8];
exc_hook_fn exc_hook[8];
volatile u32 resume_pc[MAX_CPUS];

static const char* current_test = "start";
static u32 failures, total_failures;
u32 final_call = PSCI_SYSTEM_OFF;

static void put(char c) {
  while (UART[6] & (1u << 5)) {
  }
  UART[0] = (u8)c;
}

void print(const char* s) {
  for (; *s; ++s) put(*s);
}

void print_hex(u32 v) {
  print("0x");
  for (int k = 28; k >= 0; k -= 4) put("0123456789abcdef"[(v >> k) & 15]);
}

void test_begin(const char* name) {
  current_test = name;
  failures = 0;
}

void test_end(void) {
  if (failures == 0) {
    print("ok ");
    print(current_test);
    print("\n");
  }
  current_test = "between tests";
}

static void print_fail(const char* what) {
  ++failures;
  ++total_failures;
  print("FAIL ");
  print(current_test);
  print(": ");
  print(what);
}

void check_eq(u32 got, u32 want, const char* what, int line) {
  if (got == want) return;
  print_fail(what);
  print(" line ");
  print_hex((u32)line);
  print(" got ");
  print_hex(got);
  print(" want ");
  print_hex(want);
  print("\n");
}

static void finish(void) {
  print(total_failures ? "done: some FAIL\n" : "done: all ok\n");
  psci(final_call, 0, 0, 0);
  for (;;) wfi();
}

static u32 instruction_size(u32 pc, u32 spsr) {
  if (!(spsr & 0x20)) return 4;
  return *(volatile u16*)pc >= 0xe800 ? 4 : 2;
}

/// Address of the instruction that caused the exception (B1.8.3, "preferred return address" and its offset).
static u32 faulting_pc(const struct frame* f, u32 kind) {
  const u32 thumb = (f->spsr >> 5) & 1;
  if (kind == EXC_UND) return f->lr - (thumb ? 2 : 4);
  return f->lr - (kind == EXC_DABT ? 8 : 4);
}

static void unexpected(struct frame* f, u32 kind) {
  print_fail("unexpected exception kind ");
  print_hex(kind);
  print(" lr ");
  print_hex(f->lr);
  print(" spsr ");
  print_hex(f->spsr);
  print(" fsr ");
  print_hex(EXC(kind).fsr);
  print(" far ");
  print_hex(EXC(kind).far);
  print("\n");
  finish();
}

static void default_treatment(struct frame* f, u32 kind) {
  if (kind == EXC_SVC) {
    const u32 comment = (f->spsr & 0x20) ? *(volatile u8*)(f->lr - 2) : *(volatile u32*)(f->lr - 4) & 0xffffff;
    if (comment == 0xff) f->spsr |= 0x1f;
  } else if (kind == EXC_PABT) {
    f->lr = resume_pc[cpu_number()] & ~1u;
    if (resume_pc[cpu_number()] & 1)
      f->spsr |= 0x20;
    else
      f->spsr &= ~0x20u;
  } else if (kind == EXC_UND || kind == EXC_DABT) {
    const u32 pc = faulting_pc(f, kind);
    f->lr = pc + instruction_size(pc, f->spsr);
  } else {
    unexpected(f, kind);
  }
}

/// Called by the vectors (start.S).
void exception_entry(struct frame* f, u32 kind) {
  volatile struct exc_record* e = &EXC(kind);
  ++e->count;
  e->lr = f->lr;
  e->spsr = f->spsr;
  e->cpsr = f->cpsr;
  if (kind == EXC_DABT) {
    e->fsr = READ_CP15(0, c5, c0, 0);
    e->far = READ_CP15(0, c6, c0, 0);
  } else if (kind == EXC_PABT) {
    e->fsr = READ_CP15(0, c5, c0, 1);
    e->far = READ_CP15(0, c6, c0, 2);
  }
  if (e->count > 1000000) unexpected(f, kind);
  if (exc_hook[kind])
    exc_hook[kind](f, kind);
  else
    default_treatment(f, kind);
}

void first_main(void) {
  test_main();
  finish();
}

void sync_code(const void* p, u32 bytes) {
  const u32 start = (u32)p & ~63u, end = (u32)p + bytes;
  for (u32 a = start; a < end; a += 64) WRITE_CP15(0, c7, c11, 1, a);  // DCCMVAU
  dsb();
  for (u32 a = start; a < end; a += 64) WRITE_CP15(0, c7, c5, 1, a);  // ICIMVAU
  WRITE_CP15(0, c7, c5, 6, 0);                                        // BPIALL
  dsb();
  isb();
}

extern u8 cpu_entry[];
static void (*volatile secondary_fn[MAX_CPUS])(u32);
static volatile u32 finished[MAX_CPUS];

void secondary_main(u32 cpu) {
  secondary_fn[cpu](cpu);
  finished[cpu] = 1;
  dsb();
  psci(PSCI_CPU_OFF, 0, 0, 0);
  for (;;) wfi();
}

u32 cpu_start(u32 cpu, void (*fn)(u32)) {
  secondary_fn[cpu] = fn;
  finished[cpu] = 0;
  dsb();
  return psci(PSCI_CPU_ON, cpu, (u32)cpu_entry, cpu);
}

void cpu_wait_off(u32 cpu) {
  while (!finished[cpu]) asm volatile("yield");
  while (psci(PSCI_AFFINITY_INFO, cpu, 0, 0) != 1) {
  }
}

u32 cpus_present(void) {
  u32 n = 1;
  while (n < MAX_CPUS && psci(PSCI_AFFINITY_INFO, n, 0, 0) <= 2) ++n;
  return n;
}
