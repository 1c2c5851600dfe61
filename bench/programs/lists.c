// Linked lists in scattered memory: building, finding, reversing, and sorting by merging.
#include "program.h"

enum { k_items = 4096 };

struct Item {
  struct Item *next;
  int32_t key;
  int32_t data;
};

static struct Item items[k_items];

static struct Item *build(uint32_t *random) {
  struct Item *head = NULL;
  for (unsigned i = 0; i < k_items; ++i) {  // 1657 is odd, so each item is visited once
    struct Item *item = &items[i * 1657u % k_items];
    *item = (struct Item){head, (int32_t)(next_random(random) >> 8), (int32_t)i};
    head = item;
  }
  return head;
}
static struct Item *reverse(struct Item *list) {
  struct Item *result = NULL;
  while (list) {
    struct Item *next = list->next;
    list->next = result;
    result = list;
    list = next;
  }
  return result;
}
static struct Item *merge(struct Item *a, struct Item *b) {
  struct Item *head = NULL, **tail = &head;
  while (a && b) {
    struct Item **least = a->key <= b->key ? &a : &b;
    *tail = *least;
    tail = &(*least)->next;
    *least = *tail;
  }
  *tail = a ? a : b;
  return head;
}
static struct Item *sort(struct Item *list) {
  if (!list || !list->next) return list;
  struct Item *slow = list, *fast = list->next;
  while (fast && fast->next) slow = slow->next, fast = fast->next->next;
  struct Item *second = slow->next;
  slow->next = NULL;
  return merge(sort(list), sort(second));
}
static const struct Item *find(const struct Item *list, int32_t data) {
  while (list && list->data != data) list = list->next;
  return list;
}

uint64_t program_lists(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 21;
  for (unsigned n = 0; n < iterations; ++n) {
    struct Item *list = reverse(build(&random));
    list = reverse(sort(list));
    for (int32_t i = 0; i < 64; ++i) sum = mix(sum, (uint32_t)find(list, i * 61)->key);
    sum = mix(sum, (uint32_t)list->key);
  }
  return sum;
}
