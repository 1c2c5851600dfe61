// Bodies under gravity, by the leapfrog method, in double precision.
#include <math.h>

#include "program.h"

enum { k_bodies = 6, k_steps = 1000 };

struct Body {
  double x[3], v[3], mass;
};

static double energy(const struct Body *bodies) {
  double sum = 0;
  for (int i = 0; i < k_bodies; ++i) {
    const struct Body *a = &bodies[i];
    sum += 0.5 * a->mass * (a->v[0] * a->v[0] + a->v[1] * a->v[1] + a->v[2] * a->v[2]);
    for (int j = i + 1; j < k_bodies; ++j) {
      double square = 0.01;
      for (int k = 0; k < 3; ++k) square += (a->x[k] - bodies[j].x[k]) * (a->x[k] - bodies[j].x[k]);
      sum -= a->mass * bodies[j].mass / sqrt(square);
    }
  }
  return sum;
}
static void step(struct Body *bodies, double dt) {
  for (int i = 0; i < k_bodies; ++i) {
    struct Body *a = &bodies[i];
    for (int j = i + 1; j < k_bodies; ++j) {
      struct Body *b = &bodies[j];
      double dx = a->x[0] - b->x[0], dy = a->x[1] - b->x[1], dz = a->x[2] - b->x[2];
      double square = dx * dx + dy * dy + dz * dz + 0.01;
      double pull = dt / (square * sqrt(square));
      a->v[0] -= dx * b->mass * pull, a->v[1] -= dy * b->mass * pull, a->v[2] -= dz * b->mass * pull;
      b->v[0] += dx * a->mass * pull, b->v[1] += dy * a->mass * pull, b->v[2] += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < k_bodies; ++i)
    for (int k = 0; k < 3; ++k) bodies[i].x[k] += dt * bodies[i].v[k];
}

uint64_t program_nbody(unsigned iterations) {
  struct Body bodies[k_bodies];
  uint64_t sum = 0;
  for (int i = 0; i < k_bodies; ++i)
    bodies[i] = (struct Body){{i * 1.25, 2.0 - i * i * 0.125, i * 0.5 - 1.0},
                              {0.25 - i * 0.0625, i * 0.03125, (i % 2) * 0.125},
                              i ? 0.125 : 4.0};
  for (unsigned n = 0; n < iterations; ++n) {
    for (int i = 0; i < k_steps; ++i) step(bodies, 0x1p-8);
    sum = mix_double(sum, energy(bodies));
  }
  return sum;
}
