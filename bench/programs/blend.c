// Alpha blending of one picture over another, with rounding division by 255.
#include "program.h"
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

enum { k_pixels = 16 * 1024, k_size = 4 * k_pixels };

static uint8_t over[k_size], under[k_size], alpha[k_size];

static void blend(const uint8_t *restrict front, const uint8_t *restrict weight, uint8_t *restrict back) {
#ifdef __ARM_NEON
  for (int i = 0; i < k_size; i += 16) {
    uint8x16_t a = vld1q_u8(weight + i), f = vld1q_u8(front + i), b = vld1q_u8(back + i), rest = vmvnq_u8(a);
    uint16x8_t low = vmull_u8(vget_low_u8(f), vget_low_u8(a));
    uint16x8_t high = vmull_u8(vget_high_u8(f), vget_high_u8(a));
    low = vmlal_u8(low, vget_low_u8(b), vget_low_u8(rest));
    high = vmlal_u8(high, vget_high_u8(b), vget_high_u8(rest));
    uint8x8_t low_bytes = vraddhn_u16(low, vrshrq_n_u16(low, 8));
    uint8x8_t high_bytes = vraddhn_u16(high, vrshrq_n_u16(high, 8));
    vst1q_u8(back + i, vcombine_u8(low_bytes, high_bytes));
  }
#else
  for (int i = 0; i < k_size; ++i) {
    unsigned sum = front[i] * weight[i] + back[i] * (255u - weight[i]);
    back[i] = (uint8_t)((sum + ((sum + 128) >> 8) + 128) >> 8);
  }
#endif
}

uint64_t program_blend(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 141;
  for (int i = 0; i < k_size; ++i) {
    over[i] = (uint8_t)next_random(&random);
    under[i] = (uint8_t)next_random(&random);
    alpha[i] = (uint8_t)next_random(&random);
  }
  for (unsigned n = 0; n < iterations; ++n) {
    blend(over, alpha, under);
    sum = mix_bytes(sum, under + n * 64 % k_size, 64);
    over[n * 67 % k_size] ^= (uint8_t)sum;
  }
  return sum;
}
