// What every benchmark program is made of: one function that does the same work `iterations` times over and returns a
// checksum, which must be the same on every machine. No program may depend on the size of a pointer, on the C library's
// mathematics or on anything else that differs between the guest and the host.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROGRAM(name, group, iterations) uint64_t program_##name(unsigned iterations_);
#include "programs.inc"
#undef PROGRAM

// Pseudo-random numbers (xorshift32): any state but 0.
static inline uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

// Adds a value to a checksum; the order of values matters.
static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum ^= value;
  sum *= 0x100000001b3u;
  return sum ^ sum >> 29;
}
static inline uint64_t mix_double(uint64_t sum, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return mix(sum, bits);
}
static inline uint64_t mix_float(uint64_t sum, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return mix(sum, bits);
}
static inline uint64_t mix_bytes(uint64_t sum, const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; ++i) sum = mix(sum, bytes[i]);
  return sum;
}
