// CRC-32 (IEEE 802.3) with a table of 256 entries, a byte at a time.
#include "program.h"

enum { k_size = 128 * 1024 };

static uint32_t table[256];
static uint8_t buffer[k_size];

uint64_t program_crc32(unsigned iterations) {
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    table[i] = value;
  }
  uint32_t random = 3;
  for (unsigned i = 0; i < k_size; ++i) buffer[i] = (uint8_t)next_random(&random);
  uint32_t crc = ~0u;
  for (unsigned n = 0; n < iterations; ++n)
    for (unsigned i = 0; i < k_size; ++i) crc = crc >> 8 ^ table[(crc ^ buffer[i]) & 0xff];
  return ~crc;
}
