// The sieve of Eratosthenes, one byte a number.
#include "program.h"

enum { k_limit = 200000 };

static uint8_t composite[k_limit];

uint64_t program_sieve(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    unsigned limit = k_limit - n % 16, count = 0;
    memset(composite, 0, sizeof composite);
    for (unsigned p = 2; p * p < limit; ++p) {
      if (composite[p]) continue;
      for (unsigned i = p * p; i < limit; i += p) composite[i] = 1;
    }
    for (unsigned i = 2; i < limit; ++i) count += !composite[i];
    sum = mix(sum, count);
  }
  return sum;
}
