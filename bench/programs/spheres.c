// Rays through a scene of spheres with shadows, in single precision.
#include <math.h>

#include "program.h"

enum { k_width = 48, k_height = 32, k_spheres = 8 };

struct Vector {
  float x, y, z;
};
struct Sphere {
  struct Vector centre;
  float radius;
};

static struct Sphere spheres[k_spheres];

static struct Vector along(struct Vector a, struct Vector d, float t) {
  return (struct Vector){a.x + d.x * t, a.y + d.y * t, a.z + d.z * t};
}
static float dot(struct Vector a, struct Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static struct Vector unit(struct Vector a) {
  float length = sqrtf(dot(a, a));
  return (struct Vector){a.x / length, a.y / length, a.z / length};
}

static int hit(struct Vector from, struct Vector direction, float *distance) {
  int nearest = -1;
  *distance = 1e6f;
  for (int i = 0; i < k_spheres; ++i) {
    struct Vector to = along(spheres[i].centre, from, -1);
    float middle = dot(to, direction), square = spheres[i].radius * spheres[i].radius - dot(to, to) + middle * middle;
    if (square <= 0) continue;
    float t = middle - sqrtf(square);
    if (t > 0.01f && t < *distance) *distance = t, nearest = i;
  }
  return nearest;
}
static float shade(struct Vector direction, struct Vector light) {
  struct Vector eye = {0, 0, 0};
  float brightness = 0, weight = 1, distance, unused;
  for (int bounce = 0; bounce < 3; ++bounce) {
    int i = hit(eye, direction, &distance);
    if (i < 0) return brightness + weight * 0.25f * (direction.y + 1);
    struct Vector point = along(eye, direction, distance), normal = unit(along(point, spheres[i].centre, -1));
    float lit = dot(normal, light);
    if (lit > 0 && hit(point, light, &unused) < 0) brightness += weight * 0.5f * lit;
    direction = along(direction, normal, -2 * dot(direction, normal));
    eye = point;
    weight *= 0.5f;
  }
  return brightness;
}

uint64_t program_spheres(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    struct Vector light = unit((struct Vector){(int)(n % 5) - 2.0f, 3, -2});
    for (int i = 0; i < k_spheres; ++i)
      spheres[i] = (struct Sphere){{(i % 4) * 1.5f - 2.25f, (i / 4) * 1.5f - 0.75f, 5 + ((i + n) % 3) * 0.5f}, 0.75f};
    for (int y = 0; y < k_height; ++y)
      for (int x = 0; x < k_width; ++x) {
        struct Vector direction = {(x - k_width / 2) * 0.025f, (k_height / 2 - y) * 0.025f, 1};
        sum = mix_float(sum, shade(unit(direction), light));
      }
  }
  return sum;
}
