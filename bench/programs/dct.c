// The heart of a JPEG encoder in integers: 8x8 discrete cosine transform, quantisation, zigzag, run lengths.
#include "program.h"

enum { k_width = 128, k_height = 128, k_shift = 12 };

// cos(k * pi / 16) * 2^12
static const int32_t cosines[8] = {4096, 4017, 3784, 3406, 2896, 2276, 1567, 799};

static uint8_t image[k_height][k_width];
static int32_t basis[8][8];
static uint8_t zigzag[64];

static int32_t cosine(unsigned k) {  // of k * pi / 16
  k %= 32;
  if (k > 16) k = 32 - k;
  if (k == 8) return 0;
  return k < 8 ? cosines[k] : -cosines[16 - k];
}
static void make_tables(void) {
  for (unsigned u = 0; u < 8; ++u)
    for (unsigned x = 0; x < 8; ++x) basis[u][x] = u ? cosine((2 * x + 1) * u) / 2 : 1448;
  unsigned at = 0;
  for (unsigned sum = 0; sum < 15; ++sum)
    for (unsigned i = 0; i <= sum; ++i) {
      unsigned row = sum % 2 ? i : sum - i, column = sum - row;
      if (row < 8 && column < 8) zigzag[at++] = (uint8_t)(row * 8 + column);
    }
}

static void transform(int32_t block[8][8]) {
  int32_t half[8][8];
  for (int y = 0; y < 8; ++y)
    for (int u = 0; u < 8; ++u) {
      int32_t sum = 0;
      for (int x = 0; x < 8; ++x) sum += block[y][x] * basis[u][x];
      half[y][u] = sum >> (k_shift - 3);
    }
  for (int u = 0; u < 8; ++u)
    for (int v = 0; v < 8; ++v) {
      int32_t sum = 0;
      for (int y = 0; y < 8; ++y) sum += half[y][u] * basis[v][y];
      block[v][u] = sum >> (k_shift + 3);
    }
}
static uint64_t encode(const int32_t *block, uint64_t sum) {
  unsigned run = 0;
  for (unsigned i = 0; i < 64; ++i) {
    int32_t value = block[zigzag[i]] / (int32_t)(4 + i / 2);
    if (!value) {
      ++run;
      continue;
    }
    sum = mix(sum, run << 16 | (value & 0xffff));
    run = 0;
  }
  return sum;
}

uint64_t program_dct(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 61;
  make_tables();
  for (int y = 0; y < k_height; ++y)
    for (int x = 0; x < k_width; ++x) image[y][x] = (uint8_t)(x * y / 64 + next_random(&random) % 16);
  for (unsigned n = 0; n < iterations; ++n) {
    for (int y = 0; y < k_height; y += 8)
      for (int x = 0; x < k_width; x += 8) {
        int32_t block[8][8];
        for (int i = 0; i < 8; ++i)
          for (int j = 0; j < 8; ++j) block[i][j] = image[y + i][x + j] - 128;
        transform(block);
        sum = encode(&block[0][0], sum);
      }
    image[n % k_height][0] ^= (uint8_t)sum;
  }
  return sum;
}
