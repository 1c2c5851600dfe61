// Calls and returns: recursion (Fibonacci, Ackermann, Hanoi), and calls through pointers to functions.
#include "program.h"

typedef uint32_t (*Operation)(uint32_t a, uint32_t b);

__attribute__((noinline)) static uint32_t fibonacci(uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
__attribute__((noinline)) static uint32_t ackermann(uint32_t m, uint32_t n) {
  if (!m) return n + 1;
  return n ? ackermann(m - 1, ackermann(m, n - 1)) : ackermann(m - 1, 1);
}
__attribute__((noinline)) static uint32_t hanoi(int discs, uint32_t from, uint32_t to) {
  if (!discs) return from;
  uint32_t via = 6 - from - to;
  return hanoi(discs - 1, from, via) * 3 + hanoi(discs - 1, via, to) + to;
}

static uint32_t plus(uint32_t a, uint32_t b) { return a + b; }
static uint32_t minus(uint32_t a, uint32_t b) { return a - b; }
static uint32_t times(uint32_t a, uint32_t b) { return a * b; }
static uint32_t either(uint32_t a, uint32_t b) { return a ^ b; }

uint64_t program_calls(unsigned iterations) {
  static const Operation operations[] = {plus, minus, times, either};
  uint64_t sum = 0;
  uint32_t random = 71;
  for (unsigned n = 0; n < iterations; ++n) {
    sum = mix(sum, fibonacci(16 + n % 4));
    sum = mix(sum, ackermann(2, 20 + n % 4));
    sum = mix(sum, hanoi(9, 1, 3));
    uint32_t value = 1;
    for (unsigned i = 0; i < 2000; ++i) value = operations[next_random(&random) & 3](value, i | 1);
    sum = mix(sum, value);
  }
  return sum;
}
