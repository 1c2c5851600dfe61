// Products of matrices of integers: the plain triple loop, once by rows and once with the second matrix transposed.
#include "program.h"

enum { k_n = 96 };

static int32_t a[k_n][k_n], b[k_n][k_n], c[k_n][k_n];

static void multiply(void) {
  for (int i = 0; i < k_n; ++i)
    for (int j = 0; j < k_n; ++j) {
      int32_t sum = 0;
      for (int k = 0; k < k_n; ++k) sum = (int32_t)((uint32_t)sum + (uint32_t)a[i][k] * (uint32_t)b[k][j]);
      c[i][j] = sum;
    }
}
static void multiply_transposed(void) {
  for (int i = 0; i < k_n; ++i)
    for (int j = 0; j < k_n; ++j) {
      int64_t sum = 0;
      for (int k = 0; k < k_n; ++k) sum += (int64_t)a[i][k] * b[j][k];
      c[i][j] ^= (int32_t)(sum >> 7);
    }
}

uint64_t program_matrix(unsigned iterations) {
  uint32_t random = 5;
  for (int i = 0; i < k_n; ++i)
    for (int j = 0; j < k_n; ++j) {
      a[i][j] = (int32_t)next_random(&random) >> 12;
      b[i][j] = (int32_t)next_random(&random) >> 12;
    }
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    multiply();
    multiply_transposed();
    for (int i = 0; i < k_n; ++i) sum = mix(sum, (uint32_t)c[i][(i + n) % k_n]);
    a[n % k_n][0] ^= (int32_t)(sum & 0xfff);
  }
  return sum;
}
