// RGB to gray, eight pixels at a time.
#include "program.h"
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

enum { k_pixels = 64 * 1024 };

static uint8_t rgb[3 * k_pixels], gray[k_pixels];

static void convert(const uint8_t *restrict from, uint8_t *restrict to) {
#ifdef __ARM_NEON
  uint8x8_t red = vdup_n_u8(77), green = vdup_n_u8(150), blue = vdup_n_u8(29);
  for (int i = 0; i < k_pixels; i += 8) {
    uint8x8x3_t pixels = vld3_u8(from + 3 * i);
    uint16x8_t sum = vmull_u8(pixels.val[0], red);
    sum = vmlal_u8(sum, pixels.val[1], green);
    sum = vmlal_u8(sum, pixels.val[2], blue);
    vst1_u8(to + i, vrshrn_n_u16(sum, 8));
  }
#else
  for (int i = 0; i < k_pixels; ++i) to[i] = (uint8_t)((from[3 * i] * 77 + from[3 * i + 1] * 150 + from[3 * i + 2] * 29 + 128) >> 8);
#endif
}

uint64_t program_gray(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 111;
  for (int i = 0; i < 3 * k_pixels; ++i) rgb[i] = (uint8_t)next_random(&random);
  for (unsigned n = 0; n < iterations; ++n) {
    convert(rgb, gray);
    sum = mix_bytes(sum, gray + n * 64 % k_pixels, 64);
    rgb[n % (3 * k_pixels)] ^= (uint8_t)sum;
  }
  return sum;
}
