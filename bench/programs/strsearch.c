// Searching words in text: Horspool's algorithm, and the plain one with the C library's memchr and memcmp.
#include "text.h"

enum { k_size = 64 * 1024, k_words = 6 };

static char text[k_size];

static unsigned horspool(const char *word, unsigned length) {
  uint8_t skip[256];
  unsigned found = 0;
  memset(skip, (int)length, sizeof skip);
  for (unsigned i = 0; i + 1 < length; ++i) skip[(uint8_t)word[i]] = (uint8_t)(length - 1 - i);
  for (unsigned at = 0; at + length <= k_size; at += skip[(uint8_t)text[at + length - 1]]) {
    int i = (int)length - 1;
    while (i >= 0 && text[at + i] == word[i]) --i;
    found += i < 0;
  }
  return found;
}
static unsigned plain(const char *word, unsigned length) {
  unsigned found = 0;
  const char *end = text + k_size - length;
  for (const char *p = text; p <= end && (p = memchr(p, word[0], (size_t)(end - p) + 1)); ++p)
    found += !memcmp(p, word, length);
  return found;
}

uint64_t program_strsearch(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 9;
  make_text(text, k_size, 1234);
  for (unsigned n = 0; n < iterations; ++n) {
    for (unsigned w = 0; w < k_words; ++w) {
      char word[8];
      unsigned length = 3 + w % 6;
      memcpy(word, text + next_random(&random) % (k_size - 8), 8);
      sum = mix(sum, horspool(word, length));
      sum = mix(sum, plain(word, length));
    }
  }
  return sum;
}
