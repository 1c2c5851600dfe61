// y = a * x + y and sums of products, in single precision; four partial sums on both sides, so they round alike.
#include "program.h"
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

enum { k_n = 4096 };

static float x[k_n], y[k_n];

static void saxpy(float a) {
#ifdef __ARM_NEON
  float32x4_t factor = vdupq_n_f32(a);
  for (int i = 0; i < k_n; i += 4) vst1q_f32(y + i, vaddq_f32(vmulq_f32(factor, vld1q_f32(x + i)), vld1q_f32(y + i)));
#else
  for (int i = 0; i < k_n; ++i) y[i] = a * x[i] + y[i];
#endif
}
static float product(void) {
#ifdef __ARM_NEON
  float32x4_t sums = vdupq_n_f32(0);
  for (int i = 0; i < k_n; i += 4) sums = vaddq_f32(sums, vmulq_f32(vld1q_f32(x + i), vld1q_f32(y + i)));
  float32x2_t pair = vadd_f32(vget_low_f32(sums), vget_high_f32(sums));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
#else
  float sums[4] = {0, 0, 0, 0};
  for (int i = 0; i < k_n; i += 4)
    for (int k = 0; k < 4; ++k) sums[k] += x[i + k] * y[i + k];
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
#endif
}

uint64_t program_saxpy(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 151;
  // Advanced SIMD takes denormal numbers for zero; none come up here.
  for (int i = 0; i < k_n; ++i) x[i] = 1 + (next_random(&random) >> 16) * 0x1p-12f, y[i] = x[i] * 0.5f;
  for (unsigned n = 0; n < iterations; ++n) {
    saxpy(n & 1 ? -0.96875f : 1.03125f);
    sum = mix_float(sum, product());
  }
  return sum;
}
