// Solving linear equations by LU decomposition with partial pivoting, in double precision.
#include <math.h>

#include "program.h"

enum { k_n = 64 };

static double a[k_n][k_n];
static double b[k_n];

static void eliminate(void) {
  for (int k = 0; k < k_n; ++k) {
    int pivot = k;
    for (int i = k + 1; i < k_n; ++i)
      if (fabs(a[i][k]) > fabs(a[pivot][k])) pivot = i;
    if (pivot != k) {
      for (int j = 0; j < k_n; ++j) {
        double t = a[k][j];
        a[k][j] = a[pivot][j];
        a[pivot][j] = t;
      }
      double t = b[k];
      b[k] = b[pivot];
      b[pivot] = t;
    }
    for (int i = k + 1; i < k_n; ++i) {
      double factor = a[i][k] / a[k][k];
      for (int j = k; j < k_n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
}
static void substitute(void) {
  for (int i = k_n - 1; i >= 0; --i) {
    for (int j = i + 1; j < k_n; ++j) b[i] -= a[i][j] * b[j];
    b[i] /= a[i][i];
  }
}

uint64_t program_lu(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 91;
  for (unsigned n = 0; n < iterations; ++n) {
    for (int i = 0; i < k_n; ++i) {
      for (int j = 0; j < k_n; ++j) a[i][j] = (int32_t)next_random(&random) * 0x1p-31;
      b[i] = (int32_t)next_random(&random) * 0x1p-31;
    }
    eliminate();
    substitute();
    for (int i = 0; i < k_n; i += 9) sum = mix_double(sum, b[i]);
  }
  return sum;
}
