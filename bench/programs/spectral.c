// The largest singular value of an infinite matrix's corner by power iteration: divisions and sums of products.
#include <math.h>

#include "program.h"

enum { k_n = 64 };

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void multiply(const double *v, double *result, int transposed) {
  for (int i = 0; i < k_n; ++i) {
    double sum = 0;
    for (int j = 0; j < k_n; ++j) sum += (transposed ? element(j, i) : element(i, j)) * v[j];
    result[i] = sum;
  }
}

uint64_t program_spectral(unsigned iterations) {
  double u[k_n], v[k_n], t[k_n];
  uint64_t sum = 0;
  for (int i = 0; i < k_n; ++i) u[i] = 1, v[i] = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    multiply(u, t, 0);
    multiply(t, v, 1);
    multiply(v, t, 0);
    multiply(t, u, 1);
    double uv = 0, vv = 0;
    for (int i = 0; i < k_n; ++i) uv += u[i] * v[i], vv += v[i] * v[i];
    sum = mix_double(sum, sqrt(uv / vv));
    u[n % k_n] += 0x1p-6;
    double largest = 0;
    for (int i = 0; i < k_n; ++i) largest = u[i] > largest ? u[i] : largest;
    for (int i = 0; i < k_n; ++i) u[i] /= largest;
  }
  return sum;
}
