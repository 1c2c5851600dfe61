// Quicksort of records through a comparison function, as the C library's qsort is used.
#include "program.h"

enum { k_records = 12000 };

struct Record {
  uint32_t key;
  uint32_t value;
};
typedef int (*Compare)(const struct Record *a, const struct Record *b);

static struct Record records[k_records];

static int by_key(const struct Record *a, const struct Record *b) {
  return a->key < b->key ? -1 : a->key > b->key;
}
static int by_value(const struct Record *a, const struct Record *b) {
  return a->value < b->value ? -1 : a->value > b->value;
}

static void swap(struct Record *a, struct Record *b) {
  struct Record t = *a;
  *a = *b;
  *b = t;
}
static void insertion_sort(struct Record *first, struct Record *last, Compare compare) {
  for (struct Record *i = first + 1; i <= last; ++i)
    for (struct Record *j = i; j > first && compare(j - 1, j) > 0; --j) swap(j - 1, j);
}
static void sort(struct Record *first, struct Record *last, Compare compare) {
  while (last - first > 12) {
    struct Record pivot = first[(last - first) / 2];
    struct Record *i = first, *j = last;
    while (i <= j) {
      while (compare(i, &pivot) < 0) ++i;
      while (compare(j, &pivot) > 0) --j;
      if (i <= j) swap(i++, j--);
    }
    if (j - first < last - i) {
      sort(first, j, compare);
      first = i;
    } else {
      sort(i, last, compare);
      last = j;
    }
  }
  insertion_sort(first, last, compare);
}

uint64_t program_qsort(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 1;
  for (unsigned n = 0; n < iterations; ++n) {
    for (int i = 0; i < k_records; ++i) records[i] = (struct Record){next_random(&random), (uint32_t)i * 2654435761u};
    sort(records, records + k_records - 1, by_key);
    sum = mix(sum, records[k_records / 3].value);
    sort(records, records + k_records - 1, by_value);
    sum = mix(sum, records[k_records / 2].key);
  }
  return sum;
}
