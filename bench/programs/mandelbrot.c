// The Mandelbrot set, in double and in single precision.
#include "program.h"

enum { k_width = 64, k_height = 48, k_limit = 64 };

static int escape_double(double cx, double cy) {
  double x = 0, y = 0;
  int i = 0;
  for (; i < k_limit && x * x + y * y < 4; ++i) {
    double next = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = next;
  }
  return i;
}
static int escape_float(float cx, float cy) {
  float x = 0, y = 0;
  int i = 0;
  for (; i < k_limit && x * x + y * y < 4; ++i) {
    float next = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = next;
  }
  return i;
}

uint64_t program_mandelbrot(unsigned iterations) {
  uint64_t sum = 0;
  double scale = 0x1p-4;
  for (unsigned n = 0; n < iterations; ++n) {
    for (int row = 0; row < k_height; ++row)
      for (int column = 0; column < k_width; ++column) {
        double x = -0.7 + (column - k_width * 0.75) * scale, y = 0.27 + (row - k_height / 2) * scale;
        sum = mix(sum, (unsigned)(escape_double(x, y) << 8 | escape_float((float)x, (float)y)));
      }
    scale = n % 16 == 15 ? 0x1p-4 : scale * 0.875;
  }
  return sum;
}
