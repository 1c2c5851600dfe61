// A Monte-Carlo integral with sine, exponential and logarithm, which are written out here: those of two C libraries
// differ in the last bit.
#include <math.h>

#include "program.h"

enum { k_samples = 2000 };

// Taylor's series after reduction to |x| <= pi / 4, in quarter turns.
static double sine(double x) {
  double turns = floor(x * 0.63661977236758134308 + 0.5);
  double r = x - turns * 1.57079632679489655800 - turns * 6.12323399573676603587e-17;
  double square = r * r, odd = 0, even = 0;
  static const double odd_factors[] = {-1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1};
  static const double even_factors[] = {-1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -1.0 / 2, 1};
  for (int i = 0; i < 6; ++i) {
    odd = odd * square + odd_factors[i];
    even = even * square + even_factors[i];
  }
  int quarter = (int)turns & 3;
  double value = quarter & 1 ? even : odd * r;
  return quarter & 2 ? -value : value;
}
static double exponential(double x) {
  double n = floor(x * 1.44269504088896338700 + 0.5);
  double r = x - n * 0.69314718036912381649 - n * 1.90821492927058770002e-10;
  double value = 1;
  for (int i = 11; i > 0; --i) value = 1 + value * r / i;
  uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return value * scale;
}
static double logarithm(double x) {  // of a number above 0
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  memcpy(&x, &bits, sizeof x);
  double t = (x - 1.41421356237309514547) / (x + 1.41421356237309514547), square = t * t, sum = 0;
  for (int i = 19; i > 0; i -= 2) sum = sum * square + 2.0 / i;
  return sum * t + (exponent + 0.5) * 0.69314718055994528623;
}

uint64_t program_montecarlo(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 101;
  for (unsigned n = 0; n < iterations; ++n) {
    double total = 0;
    for (int i = 0; i < k_samples; ++i) {
      double x = (next_random(&random) + 1.0) * 0x1p-32, angle = next_random(&random) * 0x1p-29;
      double radius = sqrt(-2 * logarithm(x));
      total += exponential(-0.5 * radius * sine(angle)) * sine(angle * 3);
    }
    sum = mix_double(sum, total);
  }
  return sum;
}
