// Monitor debug-mode (ARM DDI 0406C C3) as an operating system uses it: a breakpoint or watchpoint of a program is met,
// the instruction is stepped over with an address mismatch, and the event is set again.
#include "lib/guest.h"

#define READ_CP14(crn, crm, op2)                                                              \
  ({                                                                                          \
    u32 v_;                                                                                   \
    asm volatile("mrc p14, 0, %0, " #crn ", " #crm ", " #op2 : "=r"(v_)::"memory");            \
    v_;                                                                                       \
  })
#define WRITE_CP14(crn, crm, op2, value) \
  asm volatile("mcr p14, 0, %0, " #crn ", " #crm ", " #op2 "\n isb" ::"r"(value) : "memory")

#define USER_BREAKPOINT (1u | 2u << 1 | 15u << 5)
#define MISMATCH (4u << 20)
#define USER_WATCHPOINT (1u | 2u << 1 | 3u << 3 | 15u << 5)
enum { MOE_BREAKPOINT = 1, MOE_BKPT = 3, MOE_VECTOR = 5, MOE_WATCHPOINT = 10 };
static u32 moe(void) { return READ_CP14(c0, c1, 0) >> 2 & 15; }
static void monitor_mode(void) {
  WRITE_CP14(c1, c0, 4, 0);
  WRITE_CP14(c0, c2, 2, READ_CP14(c0, c1, 0) | 1u << 15);
}

static volatile u32 breakpoints, watchpoints, steps, others, stepped_to, watched_address;
static volatile u32 breakpoint_at, watching;

/// Linux's way: what was met is off while the instruction is stepped over.
static void begin_step(u32 pc) {
  WRITE_CP14(c0, c0, 5, 0);
  WRITE_CP14(c0, c0, 7, 0);
  WRITE_CP14(c0, c5, 4, pc);
  WRITE_CP14(c0, c5, 5, USER_BREAKPOINT | MISMATCH);
}
static void pabt_hook(struct frame* f, u32 kind) {
  const u32 pc = f->lr - 4;
  (void)kind;
  f->lr = pc;
  if (moe() != MOE_BREAKPOINT) {
    ++others;
    f->lr = pc + 4;
  } else if (READ_CP14(c0, c5, 5) != 0) {
    ++steps;
    stepped_to = pc;
    WRITE_CP14(c0, c5, 5, 0);
    if (breakpoint_at) WRITE_CP14(c0, c0, 5, USER_BREAKPOINT);
    if (watching) WRITE_CP14(c0, c0, 7, USER_WATCHPOINT);
  } else {
    ++breakpoints;
    CHECK_EQ(pc, breakpoint_at);
    begin_step(pc);
  }
}
static void dabt_hook(struct frame* f, u32 kind) {
  const u32 pc = f->lr - 8;
  (void)kind;
  f->lr = pc;
  CHECK_EQ(moe(), MOE_WATCHPOINT);
  CHECK_EQ(READ_CP15(0, c5, c0, 0) & 0x40f, 2);
  ++watchpoints;
  watched_address = READ_CP15(0, c6, c0, 0);
  begin_step(pc);
}

static volatile u32 cells[64] __attribute__((aligned(4096)));
extern u8 sum_add[];
/// Adds 1 to n; each round goes by the label.
__attribute__((naked, noinline)) static u32 sum(u32 n) {
  asm volatile("mov r1, #0\n 1: .global sum_add\n sum_add: add r1, r1, r0\n subs r0, r0, #1\n bne 1b\n mov r0, r1\n bx lr");
}
static u32 store_all(u32 n) {
  for (u32 k = 0; k < n; ++k) ++cells[k];
  return 0;
}

static void test_registers(void) {
  test_begin("debug: what there is, and a breakpoint is none before monitor debug-mode");
  CHECK_EQ(READ_CP14(c0, c0, 0) >> 16, 0x3515);
  CHECK_EQ(READ_CP14(c1, c1, 4), 0xa);
  WRITE_CP14(c0, c0, 4, (u32)sum_add);
  WRITE_CP14(c0, c0, 5, USER_BREAKPOINT);
  CHECK_EQ(READ_CP14(c0, c0, 5), USER_BREAKPOINT);
  CHECK_EQ(call_user(sum, 100), 5050);
  CHECK_EQ(breakpoints, 0);
  WRITE_CP14(c0, c0, 5, 0);
  monitor_mode();
  CHECK_EQ(READ_CP14(c0, c1, 0) & 1u << 15, 1u << 15);
  test_end();
}

static void test_breakpoint(void) {
  test_begin("debug: a breakpoint in each round of a loop, stepped over");
  CHECK_EQ(call_user(sum, 3000), 4501500);
  breakpoint_at = (u32)sum_add;
  WRITE_CP14(c0, c0, 4, (u32)sum_add);
  WRITE_CP14(c0, c0, 5, USER_BREAKPOINT);
  CHECK_EQ(call_user(sum, 20), 210);
  CHECK_EQ(breakpoints, 20);
  CHECK_EQ(steps, 20);
  CHECK_EQ(stepped_to, (u32)sum_add + 4);
  CHECK_EQ(sum(20), 210);  // it is the user's
  CHECK_EQ(breakpoints, 20);
  breakpoint_at = 0;
  WRITE_CP14(c0, c0, 5, 0);
  CHECK_EQ(call_user(sum, 3000), 4501500);
  CHECK_EQ(breakpoints, 20);
  test_end();
}

static void test_watchpoint(void) {
  test_begin("debug: a watchpoint at a word that a loop comes by, stepped over");
  for (u32 k = 0; k < 100; ++k) call_user(store_all, 64);
  watching = 1;
  WRITE_CP14(c0, c0, 6, (u32)&cells[40]);
  WRITE_CP14(c0, c0, 7, USER_WATCHPOINT);
  for (u32 k = 0; k < 10; ++k) call_user(store_all, 64);
  CHECK_EQ(watchpoints, 20);  // a load and a store each time
  CHECK_EQ(watched_address, (u32)&cells[40]);
  store_all(64);  // privileged
  CHECK_EQ(watchpoints, 20);
  watching = 0;
  WRITE_CP14(c0, c0, 7, 0);
  call_user(store_all, 64);
  CHECK_EQ(watchpoints, 20);
  for (u32 k = 0; k < 64; ++k) CHECK_EQ(cells[k], 112);
  test_end();
}

__attribute__((naked, noinline)) static u32 break_here(u32 n) { asm volatile("bkpt #1\n add r0, r0, #1\n bx lr"); }
static void vector_hook(struct frame* f, u32 kind) {
  (void)kind;
  if (moe() != MOE_VECTOR) return;
  ++others;
  WRITE_CP14(c0, c7, 0, 0);
  f->lr -= 4;
}
static void test_others(void) {
  test_begin("debug: BKPT, and the vector of Undefined Instruction exceptions is caught");
  others = 0;
  CHECK_EQ(call_user(break_here, 4), 5);
  CHECK_EQ(others, 1);
  CHECK_EQ(moe(), MOE_BKPT);
  exc_hook[EXC_PABT] = vector_hook;
  const u32 before = EXC(EXC_UND).count;
  asm volatile("mcr p14, 0, %0, c0, c7, 0\n isb\n udf #1" ::"r"(2) : "memory");
  CHECK_EQ(others, 2);
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  CHECK_EQ(moe(), MOE_VECTOR);
  test_end();
}

void test_main(void) {
  exc_hook[EXC_PABT] = pabt_hook;
  exc_hook[EXC_DABT] = dabt_hook;
  mmu_short_tables();
  mmu_short_on();
  test_registers();
  test_breakpoint();
  test_watchpoint();
  test_others();
  mmu_off();
}
