// What programs find in a real 32-bit ARM system, and not in every emulation of one process: each line is a case and "ok",
// or what was found. Built without 64-bit file offsets, as much old software is. usage: real_arm FOLDER-OF-1000-FILES...
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void check(const char *what, int right, long found) {
  if (right) {
    printf("%s: ok\n", what);
  } else {
    printf("%s: found %ld (%#lx), errno %d\n", what, found, (unsigned long)found, errno);
    ++failures;
  }
}

static void identification(void) {
  struct utsname name;
  uname(&name);
  check("uname -m is armv7l", !strcmp(name.machine, "armv7l"), 0);
  const char *platform = (const char *)getauxval(AT_PLATFORM);
  check("AT_PLATFORM is v7l", platform && !strcmp(platform, "v7l"), 0);
  const unsigned long wanted = 1u << 6 | 1u << 12 | 1u << 13 | 1u << 16 | 1u << 17;  // vfp neon vfpv3 vfpv4 idiva
  check("AT_HWCAP has vfp, neon, vfpv3, vfpv4 and idiva", (getauxval(AT_HWCAP) & wanted) == wanted, (long)getauxval(AT_HWCAP));
  check("AT_PAGESZ is 4096", getauxval(AT_PAGESZ) == 4096, (long)getauxval(AT_PAGESZ));
  const int before = personality(0xffffffff);
  check("a personality can be asked for", before >= 0, before);
  check("randomisation can be turned off", personality((unsigned long)before | ADDR_NO_RANDOMIZE) == before &&
        (personality(0xffffffff) & ADDR_NO_RANDOMIZE), personality(0xffffffff));
  personality((unsigned long)before);
}

static void folders(const char *folder) {
  DIR *d = opendir(folder);
  long count = 0;
  errno = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    struct stat st;
    char name[512];
    snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
    if (stat(name, &st) == 0) ++count;
  }
  check("a folder is read with 32-bit offsets", d && errno == 0 && count == 1002, count);
  if (!d) return;
  // The place of an entry is good for later.
  rewinddir(d);
  for (int i = 0; i < 500; ++i) readdir(d);
  const long place = telldir(d);
  struct dirent *e = readdir(d);
  char name[256] = "";
  if (e) snprintf(name, sizeof name, "%s", e->d_name);
  while (readdir(d)) continue;
  seekdir(d, place);
  e = readdir(d);
  check("a place in a folder is found again", e && !strcmp(e->d_name, name), place);
  closedir(d);
}

__attribute__((noinline)) static int traced_function(int x) {
  __asm__ volatile("" : "+r"(x));
  return x * 3;
}

/// As a debugger does: a breakpoint in another process's code, its registers, and going on with the instruction.
static void tracing(void) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(traced_function(14) == 42 ? 7 : 8);
  }
  int status = 0;
  waitpid(child, &status, 0);
  check("a traced process stops", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, status);
  const unsigned long address = (unsigned long)traced_function & ~3ul, thumb = (unsigned long)traced_function & 1;
  errno = 0;
  const long old = ptrace(PTRACE_PEEKTEXT, child, (void *)address, 0);
  check("its code is read", errno == 0 && old == *(const long *)address, old);
  const int upper = ((unsigned long)traced_function & 2) != 0;
  const unsigned long halves = thumb ? (upper ? ((unsigned long)old & 0xffff) | 0xde010000ul : ((unsigned long)old & 0xffff0000ul) | 0xde01)
                                     : 0xe7f001f0ul;  // the UNDEFINED instructions that Linux takes for breakpoints
  check("a breakpoint is set", ptrace(PTRACE_POKETEXT, child, (void *)address, (void *)halves) == 0, 0);
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  check("it is hit", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, status);
  struct user_regs regs;
  struct iovec io = {&regs, sizeof regs};
  check("registers are read", ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &io) == 0 && regs.uregs[0] == 14 &&
        regs.uregs[15] == ((unsigned long)traced_function & ~1ul), (long)regs.uregs[15]);
  ptrace(PTRACE_POKETEXT, child, (void *)address, (void *)old);
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  check("it goes on as if nothing had been", WIFEXITED(status) && WEXITSTATUS(status) == 7, status);
}

enum { k_threads = 8, k_rounds = 50 };
static sem_t handled;
static volatile sig_atomic_t signals[k_threads];
static __thread int number;
static volatile int stop;
static unsigned long counter;

static void count_signal(int s) {
  (void)s;
  ++signals[number];
  sem_post(&handled);
}

static void *work(void *argument) {
  number = (int)(long)argument;
  double x = 1;
  unsigned long rounds = 0;
  while (!stop) {
    for (int i = 0; i < 100; ++i) x = x * 1.0000001 + 0.5 / (x + i);
    __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    ++rounds;
  }
  return (void *)(x > 0 ? rounds : 0);
}

static void threads(void) {
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t all[k_threads];
  sem_init(&handled, 0, 0);
  for (long i = 0; i < k_threads; ++i) pthread_create(&all[i], NULL, work, (void *)i);
  for (int round = 0; round < k_rounds; ++round) {
    for (int i = 0; i < k_threads; ++i) pthread_kill(all[i], SIGUSR1);
    for (int i = 0; i < k_threads; ++i) sem_wait(&handled);
  }
  stop = 1;
  unsigned long rounds = 0;
  for (int i = 0; i < k_threads; ++i) {
    void *result;
    pthread_join(all[i], &result);
    rounds += (unsigned long)result;
  }
  long lost = 0;
  for (int i = 0; i < k_threads; ++i) lost += k_rounds - signals[i];
  check("each thread had each of its signals", lost == 0, lost);
  check("no count of an atomic counter was lost", counter == rounds, (long)(counter - rounds));
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  identification();
  for (int i = 1; i < argc; ++i) folders(argv[i]);
  tracing();
  threads();
  return failures != 0;
}
