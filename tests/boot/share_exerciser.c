// Does to the folder that it is in what programs do to files, and says what came of it, a line for each: the same lines
// are expected on a share as on the host's own file system. Offsets have 32 bits where no call with 64 is used, on a
// machine of 32 bits.
//   share_exerciser [mmap]            one thing after another; mmap: shared mappings that are written, too
//   share_exerciser random SEED N     N operations on a file at random, compared with what they should do
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char* what, long long result) {
  printf("%s: %lld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerrorname_np(errno) : "");
}
#define TRY(call) say(#call, (long long)(call))

static long long size_of(const char* name) {
  struct stat64 s;
  return stat64(name, &s) ? -1 : s.st_size;
}
static long long mode_of(const char* name) {
  struct stat64 s;
  return lstat64(name, &s) ? -1 : s.st_mode;
}
static long long links_of(const char* name) {
  struct stat64 s;
  return stat64(name, &s) ? -1 : (long long)s.st_nlink;
}
static int put(const char* name, const char* text, int flags) {
  const int fd = open(name, O_WRONLY | O_CREAT | flags, 0644);
  if (fd < 0) return -1;
  const int n = write(fd, text, strlen(text));
  return close(fd) ? -1 : n;
}
static void show(const char* name) {
  char text[64] = "";
  const int fd = open(name, O_RDONLY);
  const int n = fd < 0 ? -1 : (int)read(fd, text, sizeof text - 1);
  say(name, n);
  printf("  '%s'\n", text);
  if (fd >= 0) close(fd);
}

static void names(void) {
  TRY(put("file", "text", O_EXCL));
  TRY(put("file", "text", O_EXCL));
  TRY(rename("file", "other"));
  TRY(rename("file", "other"));
  TRY(put("file", "newer", 0));
  TRY(rename("file", "other"));
  show("other");
  TRY(mkdir("folder", 0755));
  TRY(mkdir("folder", 0755));
  TRY(mkdir("folder/in", 0700));
  TRY(rename("folder", "folder/in/itself"));
  TRY(rename("other", "folder"));
  TRY(rename("folder", "other"));
  TRY(rmdir("folder"));
  TRY(unlink("folder"));
  TRY(rename("folder/in", "in"));
  TRY(rename("in", "folder"));
  TRY(rmdir("in"));
  TRY(rmdir("folder"));
  TRY(rmdir("other"));
  TRY(unlink("none"));
  TRY(open("none/x", O_RDONLY));
  TRY(open("other/x", O_RDONLY));
  TRY(open("folder", O_WRONLY));
  char name[300];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  TRY(put(name, "long", 0));
  TRY(unlink(name));
  name[255] = 'n';
  name[256] = 0;
  TRY(put(name, "too long", 0));
  TRY(put("caf\303\251 \377", "bytes", 0));
  TRY(unlink("caf\303\251 \377"));
}

static void open_files(void) {
  char text[16] = "";
  struct stat64 s;
  TRY(put("gone", "still here", 0));
  const int fd = open("gone", O_RDWR);
  TRY(unlink("gone"));
  TRY(pread(fd, text, 10, 0));
  printf("  '%s'\n", text);
  TRY(pwrite(fd, "more", 4, 10));
  TRY(fstat64(fd, &s));
  printf("  size %lld, links %d\n", (long long)s.st_size, (int)s.st_nlink);
  TRY(ftruncate(fd, 3));
  TRY(fchmod(fd, 0600));
  TRY(fsync(fd));
  TRY(close(fd));
  TRY(open("gone", O_RDONLY));

  TRY(put("log", "one ", 0));
  TRY(put("log", "two ", O_APPEND));
  const int a = open("log", O_WRONLY | O_APPEND), b = open("log", O_WRONLY | O_APPEND);
  TRY(write(a, "a1 ", 3));
  TRY(write(b, "b1 ", 3));
  TRY(write(a, "a2 ", 3));
  close(a);
  close(b);
  show("log");
  TRY(put("log", "short", O_TRUNC));
  show("log");
  const int l = open("log", O_RDWR), m = open("log", O_RDWR);
  TRY(flock(l, LOCK_EX | LOCK_NB));
  TRY(flock(m, LOCK_EX | LOCK_NB));
  TRY(flock(l, LOCK_UN));
  TRY(flock(m, LOCK_EX | LOCK_NB));
  close(l);
  close(m);
}

static void large(void) {
  char text[8] = "";
  const int fd = open64("large", O_RDWR | O_CREAT, 0644);
  const long long far = (5ll << 32) + 7;
  TRY(pwrite64(fd, "far", 3, far));
  TRY(size_of("large"));
  TRY(pread64(fd, text, 8, far));
  printf("  '%s'\n", text);
  TRY(pread64(fd, text, 3, 1ll << 32));
  printf("  %d%d%d\n", text[0], text[1], text[2]);
  TRY(lseek64(fd, -1, SEEK_END));
  TRY(ftruncate64(fd, (3ll << 32) + 1));
  TRY(size_of("large"));
  TRY(truncate64("large", 10));
  TRY(size_of("large"));
  close(fd);
  TRY(unlink("large"));
}

static void links(void) {
  char target[64] = "";
  TRY(put("real", "text", 0));
  TRY(symlink("real", "soft"));
  TRY(readlink("soft", target, sizeof target - 1));
  printf("  '%s'\n", target);
  show("soft");
  TRY(symlink("nowhere", "dangling"));
  TRY(open("dangling", O_RDONLY));
  TRY(open("soft", O_RDONLY | O_NOFOLLOW));
  TRY(symlink("loop", "loop"));
  TRY(open("loop", O_RDONLY));
  TRY(link("real", "hard"));
  TRY(links_of("real"));
  TRY(link("real", "hard"));
  TRY(put("hard", "by another name", 0));
  show("real");
  TRY(unlink("real"));
  TRY(links_of("hard"));
  TRY(size_of("soft"));
  TRY(mode_of("soft") & S_IFMT);
  TRY(mkfifo("fifo", 0640));
  TRY(mode_of("fifo"));
  TRY(unlink("fifo"));
}

static void attributes(void) {
  struct stat64 s;
  const struct timespec times[2] = {{1000000000, 0}, {1500000000, 0}};  // Linux's 9p takes whole seconds
  umask(027);
  TRY(put("mine", "text", 0));
  TRY(mode_of("mine"));
  TRY(mkdir("ours", 0777));
  TRY(mode_of("ours"));
  umask(022);
  TRY(chmod("mine", 04751));
  TRY(mode_of("mine"));
  TRY(chmod("ours", 01777));
  TRY(mode_of("ours"));
  TRY(utimensat(AT_FDCWD, "mine", times, 0));
  TRY(stat64("mine", &s));
  printf("  %lld.%09ld %lld.%09ld\n", (long long)s.st_atim.tv_sec, s.st_atim.tv_nsec, (long long)s.st_mtim.tv_sec,
         s.st_mtim.tv_nsec);
  TRY(truncate("mine", 100));
  TRY(size_of("mine"));
  TRY(truncate("mine", 2));
  show("mine");
  TRY(truncate("ours", 0));
}

/// The first offset that a folder gives behind `entry`.
static void folders(void) {
  char name[32];
  int count = 0, wrong = 0;
  static char seen[2000];
  TRY(mkdir("many", 0755));
  for (int i = 0; i < 2000; ++i) {
    snprintf(name, sizeof name, "many/file-%d", i);
    if (put(name, "", 0) < 0) ++wrong;
  }
  DIR* const folder = opendir("many");
  long middle = 0;
  char at_middle[32] = "";
  errno = 0;
  for (struct dirent* e; (e = readdir(folder));) {
    if (count == 1000) strcpy(at_middle, e->d_name);
    if (++count == 1000) middle = telldir(folder);
    if (e->d_name[0] != '.') ++seen[atoi(e->d_name + 5)];
  }
  printf("readdir: %d entries, %s\n", count, errno ? strerrorname_np(errno) : "no error");
  for (int i = 0; i < 2000; ++i) wrong += seen[i] != 1;
  printf("  %d wrong\n", wrong);
  seekdir(folder, middle);
  struct dirent* const again = readdir(folder);
  printf("seekdir: %s\n", again && !strcmp(again->d_name, at_middle) ? "the same entry" : "another entry");
  rewinddir(folder);
  int removed = 0;
  for (struct dirent* e; (e = readdir(folder));) {
    snprintf(name, sizeof name, "many/%.20s", e->d_name);
    if (e->d_name[0] != '.' && !unlink(name)) ++removed;
  }
  closedir(folder);
  printf("removed while reading: %d\n", removed);
  TRY(rmdir("many"));
}

static void mappings(void) {
  TRY(put("map", "0123456789", 0));
  const int fd = open("map", O_RDWR);
  char* const p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    say("mmap", -1);
    return;
  }
  memcpy(p + 2, "xyz", 3);
  TRY(msync(p, 4096, MS_SYNC));
  show("map");
  TRY(munmap(p, 4096));
  close(fd);
  show("map");
}

// --- at random

enum { k_most = 200000 };
static unsigned char expected[k_most], got[k_most];
static unsigned random_state;
static unsigned below(unsigned n) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % n;
}
static int fail(const char* what, int step) {
  printf("%s went wrong at step %d: %s\n", what, step, strerror(errno));
  return 1;
}
static int at_random(unsigned seed, int steps) {
  int size = 0, fd = open("random", O_RDWR | O_CREAT | O_TRUNC, 0644);
  random_state = seed;
  for (int step = 0; step < steps; ++step) {
    const int at = (int)below(k_most - 1), n = (int)below((unsigned)(k_most - at)) / (below(4) ? 16 : 1) + 1;
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        for (int i = 0; i < n; ++i) got[i] = (unsigned char)below(256);
        if (pwrite(fd, got, n, at) != n) return fail("write", step);
        if (at > size) memset(expected + size, 0, at - size);
        memcpy(expected + at, got, n);
        if (at + n > size) size = at + n;
        break;
      case 3:
      case 4: {
        const int there = at >= size ? 0 : n < size - at ? n : size - at;
        if (pread(fd, got, n, at) != there || memcmp(got, expected + at, there)) return fail("read", step);
        break;
      }
      case 5:
        if (below(2) ? ftruncate(fd, at) : truncate("random", at)) return fail("truncate", step);
        if (at > size) memset(expected + size, 0, at - size);
        size = at;
        break;
      case 6:
        close(fd);
        fd = open("random", O_RDWR);
        if (fd < 0 || size_of("random") != size) return fail("reopening", step);
        break;
      case 7: {
        if (size == 0) break;
        const unsigned char* const p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED || memcmp(p, expected, size)) return fail("mapping", step);
        munmap((void*)p, size);
        break;
      }
    }
  }
  close(fd);
  printf("random: %d bytes, as expected\n", size);
  return unlink("random");
}

int main(int argc, char** argv) {
  if (argc == 4 && !strcmp(argv[1], "random")) return at_random((unsigned)atoi(argv[2]), atoi(argv[3]));
  umask(022);
  names();
  open_files();
  large();
  links();
  attributes();
  folders();
  if (argc == 2) mappings();
  return 0;
}
