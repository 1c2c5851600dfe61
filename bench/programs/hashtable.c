// A hash table of strings with chains: counting words.
#include "text.h"

enum { k_size = 48 * 1024, k_buckets = 512, k_entries = 16384 };

struct Entry {
  struct Entry *next;
  const char *word;
  unsigned length;
  unsigned count;
};

static char text[k_size];
static struct Entry *buckets[k_buckets];
static struct Entry entries[k_entries];
static unsigned used;

static struct Entry *look_up(const char *word, unsigned length) {
  uint32_t hash = 2166136261u;
  for (unsigned i = 0; i < length; ++i) hash = (hash ^ (uint8_t)word[i]) * 16777619u;
  struct Entry **bucket = &buckets[(hash ^ hash >> 15) % k_buckets];
  for (struct Entry *entry = *bucket; entry; entry = entry->next)
    if (entry->length == length && !memcmp(entry->word, word, length)) return entry;
  if (used == k_entries) return *bucket;
  struct Entry *entry = &entries[used++];
  *entry = (struct Entry){*bucket, word, length, 0};
  return *bucket = entry;
}

uint64_t program_hashtable(unsigned iterations) {
  uint64_t sum = 0;
  make_text(text, k_size, 77);
  for (unsigned n = 0; n < iterations; ++n) {
    memset(buckets, 0, sizeof buckets);
    used = 0;
    unsigned begin = n % 64;
    for (unsigned i = begin; i < k_size; ++i) {
      if (text[i] >= 'a') continue;
      if (i > begin) ++look_up(text + begin, i - begin)->count;
      begin = i + 1;
    }
    sum = mix(sum, used);
    for (unsigned i = 0; i < used; i += 16) sum = mix(sum, entries[i].count);
  }
  return sum;
}
