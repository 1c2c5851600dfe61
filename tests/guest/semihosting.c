// Semihosting: every operation, by each of the four instructions; what is wrong is an error and no more. The program ends
// with a status of its own. It is started in an empty folder, and prints the same on QEMU.
#include "lib/guest.h"

enum {
  OPEN = 1, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK, FLEN = 12, TMPNAM, REMOVE, RENAME, CLOCK,
  TIME, SYSTEM, ERRNO, GET_CMDLINE = 0x15, HEAPINFO, EXIT = 0x18, EXIT_EXTENDED = 0x20, ELAPSED = 0x30, TICKFREQ
};
#define FAILED 0xffffffffu
#define E_NOENT 2
#define E_BADF 9
#define E_ACCES 13
#define E_INVAL 22

typedef u32 (*call_fn)(u32 operation, const volatile void* parameter);
#define CALL_BY(name, mode, instruction)                                                     \
  __attribute__((target(mode), noinline)) static u32 name(u32 op, const volatile void* p) { \
    register u32 r0 asm("r0") = op;                                                          \
    register const volatile void* r1 asm("r1") = p;                                          \
    asm volatile(instruction : "+r"(r0) : "r"(r1) : "memory");                               \
    return r0;                                                                               \
  }
CALL_BY(svc_a32, "arm", ".inst 0xef123456")
CALL_BY(hlt_a32, "arm", ".inst 0xe10f0070")
CALL_BY(svc_t32, "thumb", ".inst.n 0xdfab")
CALL_BY(hlt_t32, "thumb", ".inst.n 0xbabc")
static call_fn call;
static u32 careful;  ///< as the command line says: this may be QEMU, which does not get over all that is wrong

static u32 length(const char* s) {
  u32 n = 0;
  while (s[n]) ++n;
  return n;
}
static u32 sys(u32 op, u32 a, u32 b, u32 c) {
  const volatile u32 block[4] = {a, b, c, 0};
  return call(op, block);
}
static u32 open(const char* name, u32 mode) { return sys(OPEN, (u32)name, mode, length(name)); }
static u32 last_error(void) { return call(ERRNO, 0); }
static int same(const void* a, const void* b, u32 n) {
  const u8 *x = a, *y = b;
  while (n && *x == *y) ++x, ++y, --n;
  return n == 0;
}

static void test_files(void) {
  test_begin("semihosting: a file is written, read, measured, moved in, renamed and removed");
  static u8 bytes[100000], back[100000];
  for (u32 n = 0; n < sizeof bytes; ++n) bytes[n] = (u8)(n * 7 + n / 251);
  const u32 out = open("made", 4);
  CHECK(out != FAILED && out >= 1);
  CHECK_EQ(sys(WRITE, out, (u32)bytes, sizeof bytes), 0);
  CHECK_EQ(sys(WRITE, out, (u32)bytes, 0), 0);
  CHECK_EQ(sys(FLEN, out, 0, 0), sizeof bytes);
  CHECK_EQ(sys(ISTTY, out, 0, 0), 0);
  CHECK_EQ(sys(READ, out, (u32)back, 10), 10);  // not opened for it
  CHECK_EQ(sys(CLOSE, out, 0, 0), 0);
  CHECK_EQ(sys(CLOSE, out, 0, 0), FAILED);
  CHECK_EQ(last_error(), E_BADF);
  const u32 in = open("made", 1);
  CHECK_EQ(in, out);
  CHECK_EQ(sys(READ, in, (u32)back, sizeof back), 0);
  CHECK(same(bytes, back, sizeof bytes));
  CHECK_EQ(sys(READ, in, (u32)back, 5), 5);  // its end
  CHECK_EQ(sys(SEEK, in, 99990, 0), 0);
  CHECK_EQ(sys(READ, in, (u32)back, 100), 90);
  CHECK(same(bytes + 99990, back, 10));
  CHECK_EQ(sys(WRITE, in, (u32)bytes, 10), 10);  // not opened for it
  CHECK_EQ(sys(CLOSE, in, 0, 0), 0);
  const u32 more = open("made", 8);
  CHECK_EQ(sys(WRITE, more, (u32) "tail", 4), 0);
  CHECK_EQ(sys(CLOSE, more, 0, 0), 0);
  const volatile u32 rename[4] = {(u32) "made", 4, (u32) "kept", 4};
  CHECK_EQ(call(RENAME, rename), 0);
  CHECK_EQ(call(RENAME, rename), FAILED);
  CHECK_EQ(last_error(), E_NOENT);
  CHECK_EQ(open("made", 0), FAILED);
  CHECK_EQ(last_error(), E_NOENT);
  CHECK_EQ(sys(REMOVE, (u32) "kept", 4, 0), 0);
  CHECK_EQ(sys(REMOVE, (u32) "kept", 4, 0), FAILED);
  CHECK_EQ(open("made", 12), FAILED);
  CHECK_EQ(last_error(), E_INVAL);
  test_end();
}

static void test_features(void) {
  test_begin("semihosting: what there is beside the standard");
  static u8 bytes[8];
  const u32 list = open(":semihosting-features", 0);
  CHECK_EQ(sys(FLEN, list, 0, 0), 5);
  CHECK_EQ(sys(READ, list, (u32)bytes, 8), 3);
  CHECK(same(bytes, "SHFB\x03", 5));
  CHECK_EQ(sys(SEEK, list, 4, 0), 0);
  CHECK_EQ(sys(READ, list, (u32)bytes, 1), 0);
  CHECK_EQ(bytes[0], 3);
  CHECK_EQ(sys(WRITE, list, (u32)bytes, 1), 1);
  CHECK_EQ(sys(ISTTY, list, 0, 0), 0);
  CHECK_EQ(sys(CLOSE, list, 0, 0), 0);
  CHECK_EQ(open(":semihosting-features", 4), FAILED);
  CHECK_EQ(last_error(), E_ACCES);
  test_end();
}

static void test_console(void) {
  test_begin("semihosting: console");
  call(WRITEC, "c");
  call(WRITE0, ": a string\n");
  const u32 out = open(":tt", 4), err = open(":tt", 8);
  CHECK(out != FAILED && err != FAILED && out != err);
  // (Elsewhere standard output is also where what is printed goes, by another way.)
  if (careful) CHECK_EQ(sys(WRITE, out, (u32) "to output\n", 10), 0);
  CHECK_EQ(sys(WRITE, err, (u32) "to error\n", 9), 0);
  // Pipes, whose length is none.
  CHECK_EQ(sys(FLEN, out, 0, 0), 0);
  CHECK_EQ(sys(FLEN, err, 0, 0), 0);
  CHECK_EQ(sys(CLOSE, out, 0, 0), 0);
  CHECK_EQ(sys(CLOSE, err, 0, 0), 0);
  test_end();
}

static void test_time(void) {
  test_begin("semihosting: time passes");
  u64 before = 0, after = 0;
  CHECK_EQ(call(TICKFREQ, 0), 1000000000);
  CHECK_EQ(call(ELAPSED, &before), 0);
  const u32 clock = call(CLOCK, 0);
  CHECK(call(TIME, 0) > 1700000000);
  CHECK_EQ(call(ELAPSED, &after), 0);
  CHECK(after > before);
  CHECK(call(CLOCK, 0) - clock < 6000);
  test_end();
}

static void test_environment(void) {
  test_begin("semihosting: command line, heap, names");
  char line[64];
  volatile u32 block[2] = {(u32)line, sizeof line};
  CHECK_EQ(call(GET_CMDLINE, block), 0);
  CHECK_EQ(block[1], length(line));
  CHECK(same(line, "program a ", 10));
  careful = same(line, "program a careful", 18);
  block[1] = length(line);
  CHECK_EQ(call(GET_CMDLINE, block), FAILED);
  volatile u32 heap[4];
  CHECK_EQ(sys(HEAPINFO, (u32)heap, 0, 0), 0);
  CHECK(heap[0] >= RAM_BASE && heap[1] > heap[0] && heap[2] == heap[1] && heap[3] == heap[0]);
  static char name[64];
  name[0] = 0;
  CHECK_EQ(sys(TMPNAM, (u32)name, 1, 4), FAILED);
  CHECK_EQ(sys(TMPNAM, (u32)name, 1, sizeof name), 0);
  CHECK(length(name) > 4 && length(name) < sizeof name);
  CHECK_EQ(sys(ISERROR, FAILED, 0, 0), 1);
  CHECK_EQ(sys(ISERROR, 5, 0, 0), 0);
  test_end();
}

static void test_bad(void) {
  test_begin("semihosting: what is wrong is an error");
  const u32 nowhere = 0x20000000;
  u8 byte = 0;
  CHECK_EQ(call(OPEN, (void*)nowhere), FAILED);
  CHECK_EQ(sys(OPEN, nowhere, 0, 4), FAILED);
  CHECK_EQ(sys(READ, 1000, (u32)&byte, 1), 1);
  CHECK_EQ(sys(WRITE, 1000, (u32)&byte, 1), 1);
  CHECK_EQ(sys(FLEN, 1000, 0, 0), FAILED);
  CHECK_EQ(sys(SEEK, FAILED, 0, 0), FAILED);
  CHECK_EQ(sys(ISTTY, 1000, 0, 0), FAILED);
  CHECK_EQ(sys(CLOSE, 1000, 0, 0), FAILED);
  const u32 out = open("made", 6);
  CHECK_EQ(sys(WRITE, out, nowhere, 10), 10);
  CHECK_EQ(sys(WRITE, out, (u32) "0123456789", 10), 0);
  CHECK_EQ(sys(SEEK, out, 0, 0), 0);
  CHECK_EQ(sys(READ, out, nowhere, 10), 10);
  CHECK_EQ(sys(CLOSE, out, 0, 0), 0);
  CHECK_EQ(sys(REMOVE, (u32) "made", 4, 0), 0);
  CHECK_EQ(sys(HEAPINFO, nowhere, 0, 0), FAILED);
  test_end();
}

/// The comment fields that mean nothing are what they always were.
__attribute__((noinline)) static void other_svc(void) { asm volatile("svc #0x123457" ::: "r0", "lr", "memory"); }
__attribute__((target("thumb"), noinline)) static void other_svc_t32(void) {
  asm volatile("svc #0xac" ::: "r0", "lr", "memory");
}
__attribute__((noinline)) static void other_hlt(void) { asm volatile(".inst 0xe10f0071" ::: "memory"); }
static u32 user_svc(u32 op) { return svc_a32(op, 0); }
static u32 user_hlt(u32 op) { return hlt_a32(op, 0); }

static void test_others(void) {
  test_begin("semihosting: other comments, and user mode, are exceptions");
  u32 before = EXC(EXC_SVC).count;
  other_svc();
  other_svc_t32();
  CHECK_EQ(EXC(EXC_SVC).count, before + 2);
  before = EXC(EXC_UND).count;
  other_hlt();
  CHECK_EQ(EXC(EXC_UND).count, before + 1);
  call_user(user_hlt, TICKFREQ);
  CHECK_EQ(EXC(EXC_UND).count, before + 2);
  before = EXC(EXC_SVC).count;
  call_user(user_svc, TICKFREQ);
  CHECK(EXC(EXC_SVC).count > before);
  test_end();
}

void test_main(void) {
  static const call_fn calls[] = {svc_a32, svc_t32, hlt_a32, hlt_t32};
  for (u32 n = 0; n < 4; ++n) {
    call = calls[n];
    test_environment();
    test_files();
    test_features();
    test_console();
    test_time();
    if (!careful) test_bad();
  }
  test_others();
  print("done: all ok\n");
  sys(EXIT_EXTENDED, 0x20026, 7, 0);
}
