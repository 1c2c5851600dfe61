// One executable with all the programs.
//   programs NAME [DIVISOR]           runs one, its iterations divided, and prints "PROGRAM name checksum nanoseconds"
//   programs all [DIVISOR]            runs all of them
//   programs parallel|locks THREADS [DIVISOR]   a fixed load shared by threads, printed in the same form
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parallel.h"
#include "program.h"

struct Program {
  const char *name;
  unsigned iterations;
  uint64_t (*run)(unsigned iterations);
};
static const struct Program programs[] = {
#define PROGRAM(name, group, iterations) {#name, iterations, program_##name},
#include "programs.inc"
#undef PROGRAM
};

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void print_result(const char *name, uint64_t checksum, uint64_t begin) {
  uint64_t elapsed = nanoseconds() - begin;
  printf("PROGRAM %s %016llx %llu\n", name, (unsigned long long)checksum, (unsigned long long)elapsed);
  fflush(stdout);
}

static unsigned divided(unsigned iterations, unsigned divisor) {
  return iterations > divisor ? iterations / divisor : 1;
}

static int number(int argc, char **argv, int index, int otherwise) {
  int value = argc > index ? atoi(argv[index]) : otherwise;
  return value > 0 ? value : 1;
}

static int run_parallel(uint64_t (*load)(unsigned threads, unsigned divisor), int argc, char **argv) {
  uint64_t begin = nanoseconds();
  print_result(argv[1], load(number(argc, argv, 2, 1), number(argc, argv, 3, 1)), begin);
  return 0;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  if (!strcmp(name, "parallel")) return run_parallel(parallel_compute, argc, argv);
  if (!strcmp(name, "locks")) return run_parallel(parallel_locks, argc, argv);
  unsigned divisor = number(argc, argv, 2, 1);
  int found = 0;
  for (size_t i = 0; i < sizeof programs / sizeof *programs; ++i) {
    if (strcmp(name, programs[i].name) && strcmp(name, "all")) continue;
    found = 1;
    uint64_t begin = nanoseconds();
    print_result(programs[i].name, programs[i].run(divided(programs[i].iterations, divisor)), begin);
  }
  if (!found) fprintf(stderr, "usage: programs NAME|all [DIVISOR], programs parallel|locks THREADS [DIVISOR]\n");
  return found ? 0 : 2;
}
