// Text made of random words of a small language, for the programs that read text.
#pragma once
#include "program.h"

static inline void make_text(char *text, size_t size, uint32_t random) {
  static const char letters[] = "etaoinshrdlucmfwypvbgkjqxz";
  size_t at = 0;
  while (at < size) {
    uint32_t word = next_random(&random);
    uint32_t seed = word % 400 + 1;  // words come again
    unsigned length = 2 + seed % 7;
    for (unsigned i = 0; i < length && at < size; ++i) {
      uint32_t pick = next_random(&seed);
      text[at++] = letters[pick % 13 + (pick >> 8) % 7 + (pick >> 16) % 7];
    }
    if (at < size) text[at++] = word >> 28 ? ' ' : word & 0x10000 ? '\n' : '.';
  }
}
