#pragma once
/*
 * The agent's way to Linux: system calls of the ARM EABI (r7 has the number, r0 to r5 the arguments; a result from
 * -4095 to -1 is an error), and the little that it needs of a C library. There is none.
 */
#include <asm/unistd.h>
#include <linux/errno.h>
#include <stddef.h>
#include <stdint.h>

typedef int32_t av_ssize;

static inline long sys6(long number, long a, long b, long c, long d, long e, long f) {
  register long r7 __asm__("r7") = number;
  register long r0 __asm__("r0") = a;
  register long r1 __asm__("r1") = b;
  register long r2 __asm__("r2") = c;
  register long r3 __asm__("r3") = d;
  register long r4 __asm__("r4") = e;
  register long r5 __asm__("r5") = f;
  __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
  return r0;
}
#define SYS(name, ...) SYS_(__NR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_(number, a, b, c, d, e, f, ...) \
  sys6(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

void* memcpy(void* to, const void* from, size_t n);
void* memmove(void* to, const void* from, size_t n);
void* memset(void* to, int value, size_t n);
int memcmp(const void* a, const void* b, size_t n);
size_t strlen(const char* text);

int same(const char* a, const char* b);
int starts_with(const char* text, const char* start);
/* A decimal number up to 2^32-2, as a user or group has (2^32-1 is none: setresuid(2)), and nothing else; or -1. */
int64_t number(const char* text);

/* Joins words into `to`, which has room for `size` bytes with the zero; what has no room is left out. Ends with NULL.
 */
char* join(char* to, size_t size, const char* first, ...);
char* decimal(char (*to)[12], unsigned value);

/* Memory that is never given back; it ends the machine when there is none. */
void* allocate(size_t size);
/* Up to `most` bytes of a file, and a zero; the number of bytes, or an error below zero. */
long read_file(const char* path, char* to, size_t most);
/* Folders on the way to `path`, and that itself. */
long make_folders(const char* path);

/* A line for the kernel's console; what the host shows if the machine ends too early. */
void tell_kernel(const char* text, long error);
/* Turns the machine off, or ends a process that is not its first; `why` is for the console of one that must not go on,
 * NULL of one that is done. */
void end_machine(const char* why, long error) __attribute__((noreturn));
