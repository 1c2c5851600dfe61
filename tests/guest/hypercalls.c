// Hypercalls (docs/hypercalls.md): discovery, hints, clock, marks, from PL1 only; the program ends with a status.
#include "lib/guest.h"

#define SUCCESS 0
#define NOT_SUPPORTED ((u32)-1)
#define INVALID_PARAMETER ((u32)-3)
#define NO_ROOM ((u32)-4)
#define NOT_FOUND ((u32)-5)
#define SERVICE 0x86000000u

struct call {
  u32 r[5];
};
static struct call hvc(u32 function, u32 a, u32 b, u32 c, u32 d) {
  register u32 r0 asm("r0") = function;
  register u32 r1 asm("r1") = a;
  register u32 r2 asm("r2") = b;
  register u32 r3 asm("r3") = c;
  register u32 r4 asm("r4") = d;
  asm volatile(".inst 0xe1400070" : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4)::"memory");
  return (struct call){{r0, r1, r2, r3, r4}};
}
#define CALL(n, ...) hvc(SERVICE + (n), __VA_ARGS__).r[0]

static void test_discovery(void) {
  test_begin("hypercalls: discovery as SMCCC has it");
  CHECK_EQ(psci(PSCI_FEATURES, 0x80000000, 0, 0), SUCCESS);
  CHECK(hvc(0x80000000, 0, 0, 0, 0).r[0] >= 0x10001);
  const struct call uid = hvc(0x8600ff01, 0, 0, 0, 0);
  CHECK_EQ(uid.r[0], 0x766d7261);
  CHECK_EQ(uid.r[1], 0x724f7369);
  CHECK_EQ(uid.r[2], 0x5a2d1c8e);
  CHECK_EQ(uid.r[3], 0xf4c3b790);
  CHECK_EQ(hvc(0x8600ff03, 0, 0, 0, 0).r[0], 1);
  const struct call features = hvc(SERVICE, 0, 0, 0, 0);
  CHECK_EQ(features.r[0] & 0x1ff, 0x1ff);
  CHECK_EQ(features.r[1] & 0x1e1, 0x1e1);
  CHECK_EQ(CALL(0xff, 0, 0, 0, 0), NOT_SUPPORTED);
  CHECK_EQ(hvc(0xc6000000, 0, 0, 0, 0).r[0], NOT_SUPPORTED);
  test_end();
}

static void test_hints(void) {
  test_begin("hypercalls: hints, sound and not");
  const u32 table = (u32)test_pages[0];
  CHECK_EQ(CALL(1, table, 0, 2, 0), SUCCESS);
  CHECK_EQ(CALL(3, 0, 0, 0, 0), SUCCESS);
  CHECK_EQ(CALL(4, 0, 0, 0, 0), SUCCESS);
  CHECK_EQ(CALL(2, table, 0, 0, 0), SUCCESS);
  CHECK_EQ(CALL(4, 0, 0, 0, 0), SUCCESS);                      // the end of no batch
  CHECK_EQ(CALL(2, table, 0, 0, 0), SUCCESS);                  // freed twice
  CHECK_EQ(CALL(1, 0x09000000, 0, 1, 0), SUCCESS);             // a device
  CHECK_EQ(CALL(1, 0xffffffff, 0xffffffff, 3, 0), SUCCESS);    // nothing
  CHECK_EQ(CALL(2, 0xffffffff, 0xffffffff, 0, 0), SUCCESS);
  CHECK_EQ(CALL(1, table, 0, 4, 0), INVALID_PARAMETER);
  for (u32 n = 0; n < 1000; ++n) CALL(3, 0, 0, 0, 0);          // batches without end
  CALL(4, 0, 0, 0, 0);
  test_end();
}

static void test_clock(void) {
  test_begin("hypercalls: the host's clock");
  u64 last = 0;
  for (u32 n = 0; n < 1000; ++n) {
    const struct call now = hvc(SERVICE + 5, 0, 0, 0, 0);
    const u64 monotonic = (u64)now.r[1] << 32 | now.r[0];
    CHECK(monotonic >= last);
    last = monotonic;
    CHECK(now.r[3] > 300000000);  // in units of 4.29 s: later than 2010
  }
  test_end();
}

static void test_marks(void) {
  test_begin("hypercalls: marks are named and bounded");
  CHECK_EQ(CALL(7, 0x74726f73, 0, 0, 0), SUCCESS);  // "sort"
  CHECK_EQ(CALL(8, 0x74726f73, 0, 0, 0), SUCCESS);
  CHECK_EQ(CALL(8, 0x74726f73, 0, 0, 0), NOT_FOUND);
  CHECK_EQ(CALL(7, 0, 0, 0, 0), INVALID_PARAMETER);
  CHECK_EQ(CALL(7, 0x22222222, 0, 0, 0), INVALID_PARAMETER);
  CHECK_EQ(CALL(7, 0x61616161, 0xff0a0d1b, 0, 0), INVALID_PARAMETER);
  u32 made = 1;
  while (made < 1000 && CALL(7, 0x61616161, 0x41414141 + (made & 15) + (made >> 4 << 8), 0, 0) == SUCCESS) ++made;
  CHECK_EQ(made, 128);
  CHECK_EQ(CALL(7, 0x7a7a7a7a, 0, 0, 0), NO_ROOM);
  test_end();
}

static u32 user_call(u32 function) { return hvc(function, 0, 0, 0, 0).r[0]; }

static void test_user(void) {
  test_begin("hypercalls: UNDEFINED from user mode");
  const u32 before = EXC(EXC_UND).count;
  call_user(user_call, SERVICE);
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  test_end();
}

void test_main(void) {
  test_discovery();
  test_hints();
  test_clock();
  test_marks();
  test_user();
  CHECK_EQ(CALL(6, 64, 0, 0, 0), INVALID_PARAMETER);
  print("done: all ok\n");
  CALL(6, 7, 0, 0, 0);
}
