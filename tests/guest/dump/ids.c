// Prints what a CPU says of itself, register by register.
#include "../lib/guest.h"

/// Reads a register, or says that it is undefined.
#define SHOW(name, read)                           \
  do {                                             \
    const u32 before = EXC(EXC_UND).count;         \
    const u32 value = read;                        \
    show(name, value, EXC(EXC_UND).count != before); \
  } while (0)
#define CP15(name, op1, crn, crm, op2) SHOW(name, READ_CP15(op1, crn, crm, op2))
#define CP14(name, op1, crn, crm, op2)                                                                    \
  SHOW(name, ({                                                                                           \
         u32 v_ = 0;                                                                                      \
         asm volatile("mrc p14, " #op1 ", %0, " #crn ", " #crm ", " #op2 : "=r"(v_)::"memory");            \
         v_;                                                                                              \
       }))
#define VFP(name, reg)                                                     \
  SHOW(name, ({                                                            \
         u32 v_ = 0;                                                       \
         asm volatile(".fpu neon-vfpv4\n vmrs %0, " reg : "=r"(v_)::"memory"); \
         v_;                                                               \
       }))
#define ROW(name, crm)      \
  CP15(name " 0", 0, c0, crm, 0); \
  CP15(name " 1", 0, c0, crm, 1); \
  CP15(name " 2", 0, c0, crm, 2); \
  CP15(name " 3", 0, c0, crm, 3); \
  CP15(name " 4", 0, c0, crm, 4); \
  CP15(name " 5", 0, c0, crm, 5); \
  CP15(name " 6", 0, c0, crm, 6); \
  CP15(name " 7", 0, c0, crm, 7)

static void show(const char* name, u32 value, u32 undefined) {
  print(name);
  print(" ");
  if (undefined)
    print("undefined");
  else
    print_hex(value);
  print("\n");
}

void test_main(void) {
  ROW("c0", c0);
  ROW("c1", c1);
  ROW("c2", c2);
  ROW("c3", c3);
  ROW("c4", c4);
  ROW("c5", c5);
  ROW("c6", c6);
  ROW("c7", c7);
  CP15("CLIDR", 1, c0, c0, 1);
  CP15("AIDR", 1, c0, c0, 7);
  CP15("CCSIDR2", 1, c0, c0, 2);
  for (u32 cache = 0; cache < 8; ++cache) {
    WRITE_CP15(2, c0, c0, 0, cache);
    CP15("CCSIDR", 1, c0, c0, 0);
  }
  CP15("SCTLR", 0, c1, c0, 0);
  CP15("ACTLR", 0, c1, c0, 1);
  CP15("ACTLR2", 0, c1, c0, 3);
  CP15("CPACR", 0, c1, c0, 2);
  WRITE_CP15(0, c1, c0, 2, 0x00f00000);
  asm volatile(".fpu neon-vfpv4\n vmsr fpexc, %0" ::"r"(1u << 30));
  VFP("FPSID", "fpsid");
  VFP("MVFR0", "mvfr0");
  VFP("MVFR1", "mvfr1");
  CP15("L2CTLR", 1, c9, c0, 2);
  CP15("L2ECTLR", 1, c9, c0, 3);
  CP15("PMCR", 0, c9, c12, 0);
  CP15("PMCEID0", 0, c9, c12, 6);
  CP15("PMCEID1", 0, c9, c12, 7);
  CP15("CBAR", 4, c15, c0, 0);
  CP15("CNTFRQ", 0, c14, c0, 0);
  CP14("DBGDIDR", 0, c0, c0, 0);
  CP14("DBGDRAR", 0, c1, c0, 0);
  CP14("DBGDSAR", 0, c2, c0, 0);
  CP14("DBGDEVID", 0, c7, c2, 7);
  CP14("DBGDEVID1", 0, c7, c1, 7);
  CP14("DBGAUTHSTATUS", 0, c7, c14, 6);
  CP14("JIDR", 7, c0, c0, 0);
  CP14("TEECR", 6, c0, c0, 0);
}
