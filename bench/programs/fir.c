// A finite impulse response filter of 16-bit samples with 32-bit sums, rounded and saturated.
#include "program.h"
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

enum { k_samples = 8192, k_taps = 32, k_shift = 15 };

static int16_t samples[k_samples + k_taps], filtered[k_samples], taps[k_taps];

static void filter(const int16_t *restrict from, int16_t *restrict to) {
#ifdef __ARM_NEON
  for (int i = 0; i < k_samples; i += 8) {
    int32x4_t low = vdupq_n_s32(0), high = vdupq_n_s32(0);
    for (int k = 0; k < k_taps; ++k) {
      int16x8_t x = vld1q_s16(from + i + k);
      low = vmlal_n_s16(low, vget_low_s16(x), taps[k]);
      high = vmlal_n_s16(high, vget_high_s16(x), taps[k]);
    }
    vst1q_s16(to + i, vcombine_s16(vqrshrn_n_s32(low, k_shift), vqrshrn_n_s32(high, k_shift)));
  }
#else
  for (int i = 0; i < k_samples; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < k_taps; ++k) sum += from[i + k] * taps[k];
    int32_t value = (sum + (1 << (k_shift - 1))) >> k_shift;
    to[i] = (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
  }
#endif
}

uint64_t program_fir(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 121;
  for (int i = 0; i < k_taps; ++i) taps[i] = (int16_t)((int32_t)next_random(&random) >> 20);
  for (int i = 0; i < k_samples + k_taps; ++i) samples[i] = (int16_t)next_random(&random);
  for (unsigned n = 0; n < iterations; ++n) {
    filter(samples, filtered);
    for (int i = 0; i < k_samples; i += 256) sum = mix(sum, (uint16_t)filtered[i]);
    samples[n % k_samples] = filtered[n * 7 % k_samples];
  }
  return sum;
}
