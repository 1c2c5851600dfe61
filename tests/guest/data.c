// Alignment (ARM DDI 0406C A3.2) and endianness (A3.3) of data accesses.
#include "lib/guest.h"

#define FS_ALIGNMENT 0x1

static u8 buffer[64] __attribute__((aligned(64)));
static u32 at(u32 offset) { return (u32)buffer + offset; }

static void expect_alignment(u32 count, u32 va, u32 wnr, int line) {
  check_eq(EXC(EXC_DABT).count, count, "number of Data Aborts", line);
  check_eq(EXC(EXC_DABT).far, va, "DFAR", line);
  check_eq(EXC(EXC_DABT).fsr & 0xc0f, FS_ALIGNMENT | wnr, "DFSR", line);
}
#define EXPECT_ALIGNMENT(statement, va, wnr)          \
  do {                                                \
    const u32 count_ = EXC(EXC_DABT).count;           \
    statement;                                        \
    expect_alignment(count_ + 1, va, wnr, __LINE__);  \
  } while (0)
#define EXPECT_NO_DABT(statement)           \
  do {                                      \
    const u32 count_ = EXC(EXC_DABT).count; \
    statement;                              \
    CHECK_EQ(EXC(EXC_DABT).count, count_);  \
  } while (0)

#define LOAD(name, text)                                                                \
  static u32 name(u32 va) {                                                             \
    register u32 r2 asm("r2") = 0;                                                      \
    register u32 r1 asm("r1") = va;                                                     \
    asm volatile(text : "+r"(r2) : "r"(r1) : "r3", "r4", "r5", "memory");               \
    return r2;                                                                          \
  }
LOAD(ldr, "ldr r2, [r1]")
LOAD(ldrh, "ldrh r2, [r1]")
LOAD(ldrsh, "ldrsh r2, [r1]")
LOAD(ldrb, "ldrb r2, [r1]")
LOAD(ldrd, "ldrd r2, r3, [r1]")
LOAD(ldrd_high, "ldrd r2, r3, [r1]\n mov r2, r3")
LOAD(ldm, "ldmia r1, {r2, r3}")
LOAD(ldrex, "ldrex r2, [r1]\n clrex")
LOAD(ldrexh, "ldrexh r2, [r1]\n clrex")
LOAD(str, "ldr r2, =0x01020304\n str r2, [r1]")
LOAD(strh, "ldr r2, =0x01020304\n strh r2, [r1]")
LOAD(stm, "ldr r2, =0x01020304\n ldr r3, =0x05060708\n stmia r1, {r2, r3}")
LOAD(strd, "ldr r2, =0x01020304\n ldr r3, =0x05060708\n strd r2, r3, [r1]")

static void fill(void) {
  for (u32 k = 0; k < sizeof buffer; ++k) buffer[k] = (u8)(k + 1);
}

static void test_unaligned(void) {
  test_begin("data: unaligned accesses to normal memory");
  fill();
  CHECK_EQ(ldr(at(1)), 0x05040302);
  CHECK_EQ(ldr(at(3)), 0x07060504);
  CHECK_EQ(ldrh(at(1)), 0x0302);
  buffer[3] = 0x80;
  CHECK_EQ(ldrsh(at(2)), 0xffff8003);
  CHECK_EQ(ldrsh(at(1) + 1), 0xffff8003);
  buffer[2] = 0x80;
  CHECK_EQ(ldrsh(at(1)), 0xffff8002);
  str(at(5));
  CHECK_EQ(buffer[5] | buffer[6] << 8 | buffer[7] << 16 | (u32)buffer[8] << 24, 0x01020304);
  strh(at(11));
  CHECK_EQ(buffer[11] | buffer[12] << 8, 0x0304);
  test_end();
}

static void test_alignment_faults(void) {
  test_begin("data: alignment faults of LDM, LDRD, exclusives");
  EXPECT_ALIGNMENT(ldm(at(1)), at(1), 0);
  EXPECT_ALIGNMENT(ldm(at(2)), at(2), 0);
  EXPECT_ALIGNMENT(stm(at(2)), at(2), 0x800);
  EXPECT_ALIGNMENT(ldrd(at(2)), at(2), 0);
  EXPECT_NO_DABT(ldrd(at(4)));
  EXPECT_ALIGNMENT(strd(at(6)), at(6), 0x800);
  EXPECT_ALIGNMENT(ldrex(at(2)), at(2), 0);
  EXPECT_ALIGNMENT(ldrexh(at(1)), at(1), 0);
  test_end();
}

static void test_strict(void) {
  test_begin("data: SCTLR.A makes every unaligned access fault");
  write_sctlr(read_sctlr() | 2);
  EXPECT_ALIGNMENT(ldr(at(1)), at(1), 0);
  EXPECT_ALIGNMENT(ldr(at(2)), at(2), 0);
  EXPECT_ALIGNMENT(ldrh(at(3)), at(3), 0);
  EXPECT_ALIGNMENT(str(at(1)), at(1), 0x800);
  EXPECT_ALIGNMENT(strh(at(1)), at(1), 0x800);
  EXPECT_NO_DABT(ldr(at(4)));
  EXPECT_NO_DABT(ldrb(at(1)));
  write_sctlr(read_sctlr() & ~2u);
  test_end();
}

#define BIG_LOAD(name, text)                                                                  \
  static u32 name(u32 va) {                                                                   \
    register u32 r2 asm("r2") = 0x01020304;                                                   \
    register u32 r3 asm("r3") = 0x05060708;                                                   \
    register u32 r1 asm("r1") = va;                                                           \
    asm volatile("setend be\n" text "\n setend le" : "+r"(r2), "+r"(r3) : "r"(r1) : "memory"); \
    return r2;                                                                                \
  }
BIG_LOAD(be_ldr, "ldr r2, [r1]")
BIG_LOAD(be_ldrh, "ldrh r2, [r1]")
BIG_LOAD(be_ldrsh, "ldrsh r2, [r1]")
BIG_LOAD(be_ldrb, "ldrb r2, [r1]")
BIG_LOAD(be_ldrd, "ldrd r2, r3, [r1]")
BIG_LOAD(be_ldrd_high, "ldrd r2, r3, [r1]\n mov r2, r3")
BIG_LOAD(be_ldm_high, "ldmia r1, {r2, r3}\n mov r2, r3")
BIG_LOAD(be_ldrex, "ldrex r2, [r1]\n clrex")
BIG_LOAD(be_ldrexd, "ldrexd r2, r3, [r1]\n clrex")
BIG_LOAD(be_str, "str r2, [r1]")
BIG_LOAD(be_strh, "strh r2, [r1]")
BIG_LOAD(be_strd, "strd r2, r3, [r1]")
BIG_LOAD(be_stm, "stmia r1, {r2, r3}")

static void test_big_endian(void) {
  test_begin("data: big-endian loads and stores (SETEND BE)");
  fill();
  CHECK_EQ(be_ldr(at(0)), 0x01020304);
  CHECK_EQ(be_ldr(at(1)), 0x02030405);
  CHECK_EQ(be_ldrh(at(0)), 0x0102);
  CHECK_EQ(be_ldrb(at(2)), 3);
  CHECK_EQ(be_ldrd(at(0)), 0x01020304);
  CHECK_EQ(be_ldrd_high(at(0)), 0x05060708);
  CHECK_EQ(be_ldm_high(at(0)), 0x05060708);
  CHECK_EQ(be_ldrex(at(4)), 0x05060708);
  CHECK_EQ(be_ldrexd(at(8)), 0x090a0b0c);
  CHECK_EQ(ldrd(at(0)), 0x04030201);
  CHECK_EQ(ldrd_high(at(0)), 0x08070605);
  buffer[0] = 0x80;
  CHECK_EQ(be_ldrsh(at(0)), 0xffff8002);
  be_str(at(16));
  CHECK_EQ(ldr(at(16)), 0x04030201);
  be_strh(at(18));
  CHECK_EQ(ldr(at(16)), 0x04030201);
  be_strd(at(24));
  CHECK_EQ(ldr(at(24)), 0x04030201);
  CHECK_EQ(ldr(at(28)), 0x08070605);
  be_stm(at(32));
  CHECK_EQ(ldr(at(36)), 0x08070605);
  test_end();
}

static u32 be_svc(u32 arg) {
  (void)arg;
  u32 after;
  asm volatile("setend be\n svc #3\n mrs %0, cpsr\n setend le" : "=r"(after)::"memory");
  return after;
}

static void test_exception_endianness(void) {
  test_begin("data: CPSR.E is SCTLR.EE on exception entry and comes back on return");
  const u32 after = call_user(be_svc, 0);
  CHECK_EQ(after & 0x200, 0x200);
  test_end();
}

static void test_device(void) {
  test_begin("data: sizes of accesses to devices");
  // PL011 identification: UARTPeriphID0-3, UARTPCellID0-3
  volatile u8* b = (volatile u8*)0x09000fe0;
  CHECK_EQ(b[0], 0x11);
  CHECK_EQ(b[4] & 0x0f, 0x00);
  CHECK_EQ(*(volatile u32*)0x09000ff0 & 0xff, 0x0d);
  CHECK_EQ(*(volatile u32*)0x09000ffc & 0xff, 0xb1);
  test_end();
}

void test_main(void) {
  mmu_short_tables();
  mmu_short_on();
  test_unaligned();
  test_alignment_faults();
  test_strict();
  test_big_endian();
  test_exception_endianness();
  test_device();
}
