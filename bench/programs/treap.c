// A balanced search tree (treap) with insertion, search and removal.
#include "program.h"

enum { k_nodes = 8192 };

struct Node {
  struct Node *child[2];
  uint32_t key;
  uint32_t priority;
};

static struct Node nodes[k_nodes];

static void rotate(struct Node **at, int side) {
  struct Node *child = (*at)->child[side];
  (*at)->child[side] = child->child[!side];
  child->child[!side] = *at;
  *at = child;
}
static void insert(struct Node **at, struct Node *node) {
  if (!*at) {
    *at = node;
    return;
  }
  int side = node->key > (*at)->key;
  insert(&(*at)->child[side], node);
  if ((*at)->child[side]->priority > (*at)->priority) rotate(at, side);
}
static struct Node *find(struct Node *at, uint32_t key) {
  while (at && at->key != key) at = at->child[key > at->key];
  return at;
}
static int take_out(struct Node **at, uint32_t key) {
  while (*at && (*at)->key != key) at = &(*at)->child[key > (*at)->key];
  if (!*at) return 0;
  while ((*at)->child[0] && (*at)->child[1]) {
    int side = (*at)->child[1]->priority > (*at)->child[0]->priority;
    rotate(at, side);
    at = &(*at)->child[!side];
  }
  *at = (*at)->child[(*at)->child[0] == NULL];
  return 1;
}

uint64_t program_treap(unsigned iterations) {
  uint64_t sum = 0;
  uint32_t random = 31;
  for (unsigned n = 0; n < iterations; ++n) {
    struct Node *root = NULL;
    uint32_t seed = random;
    for (unsigned i = 0; i < k_nodes; ++i) {
      uint32_t key = next_random(&random) | 1;
      nodes[i] = (struct Node){{NULL, NULL}, key, next_random(&random)};
      insert(&root, &nodes[i]);
    }
    unsigned found = 0, removed = 0;
    for (unsigned i = 0; i < k_nodes; ++i) {
      uint32_t key = next_random(&seed) | 1;
      next_random(&seed);
      found += find(root, key + (i % 3 == 0)) != NULL;
      if (i % 2) removed += (unsigned)take_out(&root, key);
    }
    sum = mix(mix(mix(sum, found), removed), root->key);
  }
  return sum;
}
