// What the evaluation runs in guests, and on the host. Each prints one line that bench/rows.py reads.
//   tools null                          ends at once
//   tools do syscall|switch|pagefault|fork|exec COUNT     COUNT operations of the operating system
//   tools time COMMAND ARGUMENT...      runs it: "PROGRAM time checksum nanoseconds", the checksum of its output
//   tools files FOLDER COUNT            makes COUNT files of 1 KiB in a new folder and removes them and it: seconds
//   tools disk read|write FILE BLOCK DEPTH COUNT          sequential direct I/O by DEPTH threads: MB/s
//   tools disk randread|randwrite FILE BLOCK DEPTH COUNT  likewise at random places: operations per second
//   tools net send|receive|ping HOST PORT COUNT           MB/s, MB/s, microseconds per round trip of a byte
//   tools timer COUNT                   microseconds by which sleeps of 1 ms end late, 99th percentile
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
  printf("tools: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// --- operations of the operating system

static void do_syscall(long count) {
  for (long i = 0; i < count; ++i) syscall(SYS_getppid);
}

static void do_switch(long count) {
  int there[2], back[2];
  char byte = 0;
  if (pipe(there) || pipe(back)) fail("pipe");
  const pid_t child = fork();
  if (child < 0) fail("fork");
  for (long i = 0; i < count; ++i) {
    if (child == 0) {
      if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) _exit(1);
    } else if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
      fail("pipe");
    }
  }
  if (child == 0) _exit(0);
  waitpid(child, NULL, 0);
}

static void do_pagefault(long count) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)count * page;
  volatile char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) fail("mmap");
  madvise((void *)area, size, MADV_NOHUGEPAGE);
  for (size_t at = 0; at < size; at += page) area[at] = 1;
  munmap((void *)area, size);
}

static void do_fork(long count, const char *program) {
  for (long i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      if (program) execl(program, program, "null", (char *)NULL);
      _exit(program != NULL);
    }
    int status;
    if (waitpid(child, &status, 0) < 0 || status != 0) fail(program ? program : "wait");
  }
}

static int run_operations(const char *what, long count) {
  const double begin = seconds();
  if (!strcmp(what, "syscall"))
    do_syscall(count);
  else if (!strcmp(what, "switch"))
    do_switch(count);
  else if (!strcmp(what, "pagefault"))
    do_pagefault(count);
  else if (!strcmp(what, "fork"))
    do_fork(count, NULL);
  else if (!strcmp(what, "exec"))
    do_fork(count, "/proc/self/exe");
  else
    return 2;
  printf("%.3f\n", (seconds() - begin) / (double)count * 1e6);
  return 0;
}

// --- commands

static int time_command(char **command) {
  int output[2];
  if (pipe(output)) fail("pipe");
  const double begin = seconds();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    dup2(output[1], 1);
    close(output[0]);
    close(output[1]);
    execvp(command[0], command);
    _exit(127);
  }
  close(output[1]);
  static unsigned char buffer[1 << 16];
  uint64_t sum = 0xcbf29ce484222325u;
  for (ssize_t got; (got = read(output[0], buffer, sizeof buffer)) > 0;)
    for (ssize_t i = 0; i < got; ++i) sum = (sum ^ buffer[i]) * 0x100000001b3u;
  int status;
  waitpid(child, &status, 0);
  const double elapsed = seconds() - begin;
  if (status != 0) {
    printf("tools: %s failed, status %d.\n", command[0], status);
    return 1;
  }
  printf("PROGRAM time %016llx %llu\n", (unsigned long long)sum, (unsigned long long)(elapsed * 1e9));
  return 0;
}

// --- files

static int run_files(const char *folder, long count) {
  static char text[1024], name[4096];
  memset(text, 't', sizeof text);
  const double begin = seconds();
  if (mkdir(folder, 0755)) fail(folder);
  for (long i = 0; i < count; ++i) {
    snprintf(name, sizeof name, "%s/%ld", folder, i);
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, text, sizeof text) != sizeof text || close(fd)) fail(name);
  }
  for (long i = 0; i < count; ++i) {
    snprintf(name, sizeof name, "%s/%ld", folder, i);
    if (unlink(name)) fail(name);
  }
  if (rmdir(folder)) fail(folder);
  printf("%.3f\n", seconds() - begin);
  return 0;
}

// --- disks

struct Transfer {
  int fd;
  int write, random;
  size_t block;
  uint64_t blocks;  // that the disk has
  long count;
  unsigned number;
};
static uint64_t next_block;  // of a sequential transfer

static void *transfer(void *argument) {
  const struct Transfer *t = argument;
  void *buffer;
  if (posix_memalign(&buffer, 4096, t->block)) return "no memory";
  memset(buffer, (int)t->number, t->block);
  uint32_t random = 2463534242u + t->number;
  for (long i = 0; i < t->count; ++i) {
    random ^= random << 13, random ^= random >> 17, random ^= random << 5;
    const uint64_t at = (t->random ? random : __atomic_fetch_add(&next_block, 1, __ATOMIC_RELAXED)) % t->blocks;
    const off_t offset = (off_t)(at * t->block);
    const ssize_t done = t->write ? pwrite(t->fd, buffer, t->block, offset) : pread(t->fd, buffer, t->block, offset);
    if (done != (ssize_t)t->block) return "a transfer failed";
  }
  free(buffer);
  return NULL;
}

static int run_disk(char **words) {
  enum { k_most = 64 };
  struct Transfer t = {.write = strstr(words[0], "write") != NULL, .random = strncmp(words[0], "rand", 4) == 0};
  t.block = (size_t)atol(words[2]);
  const int depth = atoi(words[3]);
  t.count = atol(words[4]) / depth;
  t.fd = open(words[1], (t.write ? O_RDWR : O_RDONLY) | O_DIRECT);
  if (t.fd < 0) fail(words[1]);
  const off_t size = lseek(t.fd, 0, SEEK_END);
  t.blocks = (uint64_t)size / t.block;
  if (depth < 1 || depth > k_most || t.blocks == 0) return 2;
  struct Transfer all[k_most];
  pthread_t threads[k_most];
  const double begin = seconds();
  for (int i = 0; i < depth; ++i) {
    all[i] = t;
    all[i].number = (unsigned)i;
    if (pthread_create(&threads[i], NULL, transfer, &all[i])) fail("pthread_create");
  }
  const char *problem = NULL;
  for (int i = 0; i < depth; ++i) {
    void *said;
    pthread_join(threads[i], &said);
    if (said) problem = said;
  }
  if (t.write && fdatasync(t.fd)) problem = "fdatasync failed";
  const double elapsed = seconds() - begin, done = (double)(t.count * depth);
  if (problem) fail(problem);
  printf("%.3f\n", t.random ? done / elapsed : done * (double)t.block / elapsed / 1e6);
  return 0;
}

// --- the network

static int connected(const char *host, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1) fail(host);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
  return fd;
}

// The server (bench/evaluation/peer.py) is told what to do by one byte, and acknowledges with one what it was sent.
static int run_net(char **words) {
  static char buffer[1 << 16];
  const char *const what = words[0];
  long count = atol(words[3]);
  const int fd = connected(words[1], words[2]);
  if (write(fd, what, 1) != 1) fail("write");
  const double begin = seconds();
  if (what[0] == 'p') {
    for (long i = 0; i < count; ++i)
      if (write(fd, buffer, 1) != 1 || read(fd, buffer, 1) != 1) fail("ping");
    printf("%.3f\n", (seconds() - begin) / (double)count * 1e6);
    return 0;
  }
  const uint32_t size = htonl((uint32_t)count);
  if (write(fd, &size, 4) != 4) fail("write");
  for (long left = count; left > 0;) {
    const size_t want = left < (long)sizeof buffer ? (size_t)left : sizeof buffer;
    const ssize_t done = what[0] == 's' ? write(fd, buffer, want) : read(fd, buffer, want);
    if (done <= 0) fail(what);
    left -= done;
  }
  if (what[0] == 's' && read(fd, buffer, 1) != 1) fail("acknowledgement");
  printf("%.3f\n", (double)count / (seconds() - begin) / 1e6);
  return 0;
}

// --- timers

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int run_timer(long count) {
  double *const late = calloc((size_t)count, sizeof *late);
  if (!late || count < 1) return 2;
  for (long i = 0; i < count; ++i) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
    late[i] = (seconds() - ((double)until.tv_sec + (double)until.tv_nsec * 1e-9)) * 1e6;
  }
  qsort(late, (size_t)count, sizeof *late, by_value);
  printf("%.1f\n", late[count * 99 / 100]);
  return 0;
}

int main(int argc, char **argv) {
  const char *const what = argc > 1 ? argv[1] : "";
  int status = 2;
  if (!strcmp(what, "null")) return 0;
  if (!strcmp(what, "do") && argc == 4) status = run_operations(argv[2], atol(argv[3]));
  if (!strcmp(what, "time") && argc > 2) status = time_command(argv + 2);
  if (!strcmp(what, "files") && argc == 4) status = run_files(argv[2], atol(argv[3]));
  if (!strcmp(what, "disk") && argc == 7) status = run_disk(argv + 2);
  if (!strcmp(what, "net") && argc == 6) status = run_net(argv + 2);
  if (!strcmp(what, "timer") && argc == 3) status = run_timer(atol(argv[2]));
  if (status == 2) fprintf(stderr, "tools: see the first lines of its source\n");
  return status;
}
