// Motion search of a video encoder: the offset whose 16x16 block differs least from the given one.
#include "program.h"
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

enum { k_width = 128, k_height = 96, k_block = 16, k_range = 8 };

static uint8_t before[k_height][k_width], after[k_height][k_width];

static uint32_t difference(const uint8_t *a, const uint8_t *b) {
#ifdef __ARM_NEON
  uint16x8_t sum = vdupq_n_u16(0);
  for (int y = 0; y < k_block; ++y, a += k_width, b += k_width) {
    uint8x16_t x = vld1q_u8(a), z = vld1q_u8(b);
    sum = vabal_u8(sum, vget_low_u8(x), vget_low_u8(z));
    sum = vabal_u8(sum, vget_high_u8(x), vget_high_u8(z));
  }
  uint64x2_t wide = vpaddlq_u32(vpaddlq_u16(sum));
  return (uint32_t)(vgetq_lane_u64(wide, 0) + vgetq_lane_u64(wide, 1));
#else
  uint32_t sum = 0;
  for (int y = 0; y < k_block; ++y, a += k_width, b += k_width)
    for (int x = 0; x < k_block; ++x) sum += (uint32_t)(a[x] > b[x] ? a[x] - b[x] : b[x] - a[x]);
  return sum;
#endif
}

static uint64_t search(int row, int column) {
  uint32_t best = UINT32_MAX;
  int best_y = 0, best_x = 0;
  for (int y = -k_range; y <= k_range; ++y)
    for (int x = -k_range; x <= k_range; ++x) {
      uint32_t sum = difference(&after[row][column], &before[row + y][column + x]);
      if (sum < best) best = sum, best_y = y, best_x = x;
    }
  return (uint64_t)best << 16 | (uint64_t)(best_y + k_range) << 8 | (uint64_t)(best_x + k_range);
}

uint64_t program_sad(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 131;
  for (int y = 0; y < k_height; ++y)
    for (int x = 0; x < k_width; ++x) before[y][x] = (uint8_t)(x * x / 16 + y * 5 + next_random(&random) % 8);
  for (unsigned n = 0; n < iterations; ++n) {
    int shift_y = (int)(n % 7) - 3, shift_x = (int)(n % 11) - 5;
    for (int y = 0; y < k_height; ++y)
      for (int x = 0; x < k_width; ++x)
        after[y][x] = before[(y + shift_y + k_height) % k_height][(x + shift_x + k_width) % k_width];
    for (int row = k_range; row + k_block + k_range <= k_height; row += k_block)
      for (int column = k_range; column + k_block + k_range <= k_width; column += k_block)
        sum = mix(sum, search(row, column));
  }
  return sum;
}
