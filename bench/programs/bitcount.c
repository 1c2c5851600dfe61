// Counting bits in four ways: one at a time, clearing the lowest, by a table, and in parallel.
#include "program.h"

enum { k_words = 4096 };

static uint8_t table[256];

static unsigned one_at_a_time(uint32_t x) {
  unsigned count = 0;
  for (; x; x >>= 1) count += x & 1;
  return count;
}
static unsigned clearing(uint32_t x) {
  unsigned count = 0;
  for (; x; x &= x - 1) ++count;
  return count;
}
static unsigned by_table(uint32_t x) {
  return table[x & 0xff] + table[x >> 8 & 0xff] + table[x >> 16 & 0xff] + table[x >> 24];
}
static unsigned parallel(uint32_t x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f;
  return x * 0x01010101 >> 24;
}

uint64_t program_bitcount(unsigned iterations) {
  static unsigned (*const ways[])(uint32_t) = {one_at_a_time, clearing, by_table, parallel};
  uint64_t sum = 0;
  uint32_t random = 51;
  for (unsigned i = 0; i < 256; ++i) table[i] = (uint8_t)one_at_a_time(i);
  for (unsigned n = 0; n < iterations; ++n) {
    for (unsigned way = 0; way < 4; ++way) {
      unsigned count = 0;
      for (unsigned i = 0; i < k_words; ++i) count += ways[way](next_random(&random));
      sum = mix(sum, count);
    }
  }
  return sum;
}
