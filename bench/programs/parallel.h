// Loads for several threads. The work is the same whatever the number of threads, and so is the checksum.
#pragma once
#include <stdint.h>

uint64_t parallel_compute(unsigned threads, unsigned divisor);
uint64_t parallel_locks(unsigned threads, unsigned divisor);
