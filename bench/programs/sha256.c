// SHA-256 (FIPS 180-4) of a buffer. The constants are computed: fractions of roots of the first primes.
#include "program.h"

enum { k_size = 64 * 1024 };

static uint32_t constants[64];
static uint32_t initial[8];
static uint8_t buffer[k_size];

// The first 32 bits of the fraction of the square or cube root of p: the integer root of p << 64 or p << 96, whose low
// 32 bits they are. Found bit by bit in numbers of 128 bits held as 32-bit limbs, since the guest has no larger type.
static int power_exceeds(uint64_t root, int power, uint32_t p) {
  uint32_t value[4] = {1, 0, 0, 0};
  for (int n = 0; n < power; ++n) {
    uint32_t result[6] = {0};
    for (int half = 0; half < 2; ++half) {
      uint32_t factor = (uint32_t)(root >> 32 * half);
      uint64_t carry = 0;
      for (int i = 0; i < 4; ++i) {
        carry += (uint64_t)value[i] * factor + result[i + half];
        result[i + half] = (uint32_t)carry;
        carry >>= 32;
      }
    }
    memcpy(value, result, sizeof value);
  }
  uint32_t limit[4] = {0, 0, 0, 0};
  limit[power] = p;
  for (int i = 3; i >= 0; --i)
    if (value[i] != limit[i]) return value[i] > limit[i];
  return 0;
}
static uint32_t root_fraction(uint32_t p, int power) {
  uint64_t root = 0;
  for (int bit = 36; bit >= 0; --bit)
    if (!power_exceeds(root | 1ull << bit, power, p)) root |= 1ull << bit;
  return (uint32_t)root;
}
static void make_constants(void) {
  int found = 0;
  for (uint32_t p = 2; found < 64; ++p) {
    int prime = 1;
    for (uint32_t d = 2; d * d <= p; ++d) prime &= p % d != 0;
    if (!prime) continue;
    if (found < 8) initial[found] = root_fraction(p, 2);
    constants[found++] = root_fraction(p, 3);
  }
}

static inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void hash_block(uint32_t state[8], const uint8_t *data) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 | (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; ++i) {
    uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

uint64_t program_sha256(unsigned iterations) {
  make_constants();
  for (unsigned i = 0; i < k_size; ++i) buffer[i] = (uint8_t)(i * 7 + (i >> 8));
  uint32_t state[8];
  memcpy(state, initial, sizeof state);
  for (unsigned n = 0; n < iterations; ++n)
    for (unsigned at = 0; at < k_size; at += 64) hash_block(state, buffer + at);
  return (uint64_t)state[0] << 32 | state[7];
}
