// Placements of eight queens, by recursion over arrays (not bit masks).
#include "program.h"

enum { k_n = 8 };

static int8_t column_of[k_n];
static uint8_t column_used[k_n], rising[2 * k_n], falling[2 * k_n];

static unsigned place(int row, uint64_t *sum) {
  if (row == k_n) {
    *sum = mix_bytes(*sum, column_of, k_n);
    return 1;
  }
  unsigned found = 0;
  for (int column = 0; column < k_n; ++column) {
    if (column_used[column] || rising[row + column] || falling[row - column + k_n]) continue;
    column_used[column] = rising[row + column] = falling[row - column + k_n] = 1;
    column_of[row] = (int8_t)column;
    found += place(row + 1, sum);
    column_used[column] = rising[row + column] = falling[row - column + k_n] = 0;
  }
  return found;
}

uint64_t program_nqueens(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    unsigned found = place(0, &sum);
    sum = mix(sum, found);
  }
  return sum;
}
