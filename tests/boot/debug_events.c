// A Linux program that uses the debug architecture: BKPT in a program, a hardware breakpoint and a watchpoint by ptrace,
// and breakpoints counted by perf. Each line it prints says what happened and what was to.
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SETHBPREGS
#define PTRACE_SETHBPREGS 30
#endif
#define USER_BREAKPOINT (1 | 2 << 1 | 15 << 5)
#define USER_WATCHPOINT (USER_BREAKPOINT | 2 << 3)
#define ENABLED 1
#define HARDWARE_TRAP 4  // TRAP_HWBKPT

static int failed;
static void check(const char* what, long got, long want) {
  printf("%s: %ld, want %ld\n", what, got, want);
  failed |= got != want;
}

static volatile int cells[16];
__attribute__((noinline, target("arm"))) static void called(int n) { cells[4] += n; }
__attribute__((naked, target("arm"))) static void bkpt_arm(void) { asm volatile("bkpt #1\n bx lr"); }
__attribute__((naked, target("thumb"))) static void bkpt_thumb(void) { asm volatile("bkpt #1\n bx lr"); }

static void test_bkpt(const char* what, void (*function)(void)) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    function();
    _exit(0);
  }
  waitpid(child, &status, 0);
  check(what, WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGTRAP);
}

static void set_register(pid_t child, long number, unsigned long value) {
  if (ptrace(PTRACE_SETHBPREGS, child, (void*)number, &value) != 0) {
    perror("PTRACE_SETHBPREGS");
    failed = 1;
  }
}

/// Goes on until the child stops; the address that the trap is for.
static long trap_address(pid_t child) {
  int status = 0;
  siginfo_t info;
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) return -status;
  ptrace(PTRACE_GETSIGINFO, child, 0, &info);
  return info.si_code == HARDWARE_TRAP ? (long)info.si_addr : -1;
}

static void test_ptrace(void) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int k = 1; k <= 3; ++k) called(k);
    _exit(cells[4]);
  }
  waitpid(child, &status, 0);
  set_register(child, 1, (unsigned long)called);
  set_register(child, 2, USER_BREAKPOINT);
  check("breakpoint", trap_address(child), (long)called);
  struct user_regs regs;
  ptrace(PTRACE_GETREGS, child, 0, &regs);
  check("its pc", (long)regs.uregs[15], (long)called);
  check("its argument", (long)regs.uregs[0], 1);
  set_register(child, 2, USER_BREAKPOINT & ~ENABLED);
  set_register(child, -1, (unsigned long)&cells[4]);
  set_register(child, -2, USER_WATCHPOINT);
  check("watchpoint", trap_address(child), (long)&cells[4]);
  check("what it watches", ptrace(PTRACE_PEEKDATA, child, (void*)&cells[4], 0), 0);
  set_register(child, -2, USER_WATCHPOINT & ~ENABLED);
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  check("the sum", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 6);
}

static int count_events(unsigned type, volatile void* address) {
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.type = PERF_TYPE_BREAKPOINT;
  attr.size = sizeof attr;
  attr.bp_type = type;
  attr.bp_addr = (unsigned long)address;
  attr.bp_len = HW_BREAKPOINT_LEN_4;
  attr.exclude_kernel = 1;
  return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}
static long events(int counter) {
  long long count = -1;
  return read(counter, &count, sizeof count) == sizeof count ? (long)count : -1;
}

static void test_perf(void) {
  // (Linux on ARM counts no stores alone: DFSR does not tell it what they were before v8.)
  const int calls = count_events(HW_BREAKPOINT_X, (void*)called), uses = count_events(HW_BREAKPOINT_RW, &cells[4]);
  cells[4] = 0;
  for (int k = 1; k <= 1000; ++k) called(k);
  check("calls counted", events(calls), 1000);
  check("loads and stores counted", events(uses), 2001);
  check("their sum", cells[4], 500500);
  close(calls);
  close(uses);
  called(1);
  check("and one more", cells[4], 500501);
}

int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  test_bkpt("bkpt in ARM code", bkpt_arm);
  test_bkpt("bkpt in Thumb code", bkpt_thumb);
  test_ptrace();
  test_perf();
  puts(failed ? "debug events: FAIL" : "debug events: all as wanted");
  return failed;
}
