// Fast Fourier transform (radix 2, in place) of complex doubles, forth and back.
#include <math.h>

#include "program.h"

enum { k_bits = 10, k_n = 1 << k_bits };

struct Complex {
  double re, im;
};

static struct Complex data[k_n];
static struct Complex roots[k_n];  // roots[m + i] = exp(-i * pi * i / m), for each power of two m

// Half angles need only square roots, which are exact everywhere.
static void make_roots(void) {
  roots[1] = (struct Complex){1, 0};
  double cosine = -1;  // of pi / m
  for (int m = 2; m < k_n; m *= 2) {
    double half = sqrt((1 + cosine) / 2), sine = sqrt((1 - cosine) / 2);
    if (m == 2) half = 0, sine = 1;
    cosine = half;
    for (int i = 0; i < m; i += 2) {
      struct Complex base = roots[m / 2 + i / 2];
      roots[m + i] = base;
      roots[m + i + 1] = (struct Complex){base.re * half + base.im * sine, base.im * half - base.re * sine};
    }
  }
}

static void transform(void) {
  for (unsigned i = 0, j = 0; i < k_n; ++i) {
    if (i < j) {
      struct Complex t = data[i];
      data[i] = data[j];
      data[j] = t;
    }
    unsigned bit = k_n / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j |= bit;
  }
  for (int m = 1; m < k_n; m *= 2) {
    for (int block = 0; block < k_n; block += 2 * m) {
      for (int i = 0; i < m; ++i) {
        struct Complex *a = &data[block + i], *b = a + m;
        struct Complex w = roots[m + i];
        struct Complex t = {b->re * w.re - b->im * w.im, b->re * w.im + b->im * w.re};
        *b = (struct Complex){a->re - t.re, a->im - t.im};
        *a = (struct Complex){a->re + t.re, a->im + t.im};
      }
    }
  }
}

uint64_t program_fft(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 81;
  make_roots();
  for (int i = 0; i < k_n; ++i) data[i] = (struct Complex){(next_random(&random) >> 8) * 0x1p-24, 0};
  for (unsigned n = 0; n < iterations; ++n) {
    transform();
    sum = mix_double(mix_double(sum, data[n % k_n].re), data[n * 3 % k_n].im);
    for (int i = 0; i < k_n; ++i) data[i].im = -data[i].im;  // the inverse: conjugate, transform, divide
    transform();
    for (int i = 0; i < k_n; ++i) data[i] = (struct Complex){data[i].re / k_n, -data[i].im / k_n};
    sum = mix_double(sum, data[n % k_n].re);
  }
  return sum;
}
