// A dictionary compressor (LZ77 with hash chains of three bytes) and its decompressor.
#include "text.h"

enum { k_size = 48 * 1024, k_window = 16 * 1024, k_hash_bits = 12, k_min = 3, k_max = 130, k_chain = 16 };

static char text[k_size];
static uint8_t packed[k_size * 2];
static char unpacked[k_size];
static int32_t head[1 << k_hash_bits];
static int32_t previous[k_size];

static unsigned hash(const char *p) {
  uint32_t value = (uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16;
  return value * 2654435761u >> (32 - k_hash_bits);
}
static void insert(int32_t at) {
  if (at + k_min > k_size) return;
  unsigned slot = hash(text + at);
  previous[at] = head[slot];
  head[slot] = at;
}
static int longest_match(int32_t at, int32_t *from) {
  int best = 0;
  if (at + k_min > k_size) return 0;
  int32_t candidate = head[hash(text + at)];
  for (int i = 0; i < k_chain && candidate >= 0 && at - candidate < k_window; ++i, candidate = previous[candidate]) {
    int length = 0;
    while (length < k_max && at + length < k_size && text[candidate + length] == text[at + length]) ++length;
    if (length > best) best = length, *from = candidate;
  }
  return best >= k_min ? best : 0;
}

// A token below 0x80 is a literal; others are a match: length, and two bytes of distance.
static unsigned compress(void) {
  unsigned out = 0;
  memset(head, 0xff, sizeof head);
  for (int32_t at = 0; at < k_size;) {
    int32_t from = 0;
    int length = longest_match(at, &from);
    if (!length) {
      packed[out++] = (uint8_t)text[at];
      insert(at++);
      continue;
    }
    packed[out++] = (uint8_t)(0x80 + length - k_min);
    packed[out++] = (uint8_t)(at - from);
    packed[out++] = (uint8_t)((at - from) >> 8);
    while (length-- > 0) insert(at++);
  }
  return out;
}
static void decompress(unsigned size) {
  char *out = unpacked;
  for (unsigned i = 0; i < size;) {
    uint8_t token = packed[i++];
    if (token < 0x80) {
      *out++ = (char)token;
      continue;
    }
    unsigned distance = packed[i] | (unsigned)packed[i + 1] << 8;
    i += 2;
    for (int length = token - 0x80 + k_min; length-- > 0; ++out) *out = *(out - distance);
  }
}

uint64_t program_lz(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    make_text(text, k_size, n + 11);
    unsigned size = compress();
    memset(unpacked, 0, sizeof unpacked);
    decompress(size);
    sum = mix(mix(sum, size), memcmp(text, unpacked, k_size) == 0);
    sum = mix_bytes(sum, packed + size / 2, 64);
  }
  return sum;
}
