#include "sys.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/reboot.h>
#include <stdarg.h>

void* memcpy(void* to, const void* from, size_t n) {
  char* t = to;
  const char* f = from;
  while (n--) *t++ = *f++;
  return to;
}

void* memmove(void* to, const void* from, size_t n) {
  char* t = to;
  const char* f = from;
  if (t < f) return memcpy(to, from, n);
  while (n--) t[n] = f[n];
  return to;
}

void* memset(void* to, int value, size_t n) {
  char* t = to;
  while (n--) *t++ = (char)value;
  return to;
}

int memcmp(const void* a, const void* b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (; n; --n, ++x, ++y)
    if (*x != *y) return *x - *y;
  return 0;
}

size_t strlen(const char* text) {
  size_t n = 0;
  while (text[n]) ++n;
  return n;
}

int same(const char* a, const char* b) {
  const size_t n = strlen(a);
  return n == strlen(b) && memcmp(a, b, n) == 0;
}

int starts_with(const char* text, const char* start) {
  const size_t n = strlen(start);
  return strlen(text) >= n && memcmp(text, start, n) == 0;
}

int64_t number(const char* text) {
  int64_t value = 0;
  if (!*text) return -1;
  for (; *text; ++text) {
    if (*text < '0' || *text > '9') return -1;
    value = value * 10 + (*text - '0');
    if (value > 0xfffffffe) return -1;
  }
  return value;
}

char* join(char* to, size_t size, const char* first, ...) {
  size_t at = 0;
  va_list words;
  va_start(words, first);
  for (const char* word = first; word; word = va_arg(words, const char*))
    for (; *word && at + 1 < size; ++word) to[at++] = *word;
  va_end(words);
  to[at] = 0;
  return to;
}

char* decimal(char (*to)[12], unsigned value) {
  char* at = *to + sizeof *to - 1;
  *at = 0;
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  return at;
}

void* allocate(size_t size) {
  const long at = SYS(mmap2, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at > -4096) end_machine("no memory", at);
  return (void*)at;
}

long read_file(const char* path, char* to, size_t most) {
  const long fd = SYS(open, path, O_RDONLY | O_CLOEXEC);
  size_t at = 0;
  if (fd < 0) return fd;
  for (;;) {
    const long n = SYS(read, fd, to + at, most - at);
    if (n <= 0) break;
    at += (size_t)n;
  }
  SYS(close, fd);
  to[at] = 0;
  return (long)at;
}

long make_folders(const char* path) {
  char part[4096]; /* AV_PATH_MOST */
  size_t n = 0;
  long error = 0;
  for (; path[n] && n + 1 < sizeof part; ++n) {
    if (path[n] == '/' && n) {
      part[n] = 0;
      SYS(mkdir, part, 0755);
    }
    part[n] = path[n];
  }
  part[n] = 0;
  error = SYS(mkdir, part, 0755);
  return error == -EEXIST ? 0 : error;
}

void tell_kernel(const char* text, long error) {
  char line[1024], digits[12];
  const long fd = SYS(open, "/dev/kmsg", O_WRONLY | O_CLOEXEC);
  /* 2 is KERN_CRIT, which also a quiet kernel prints on its console. */
  join(line, sizeof line, "<2>armvisor agent: ", text, error < 0 ? ": error " : "",
       error < 0 ? decimal(&digits, (unsigned)-error) : "", "\n", NULL);
  if (fd < 0) return;
  SYS(write, fd, line, strlen(line));
  SYS(close, fd);
}

void end_machine(const char* why, long error) {
  if (why) tell_kernel(why, error);
  while (SYS(getpid) != 1) SYS(exit_group, 1);
  SYS(sync);
  for (;;) SYS(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF, 0);
}
