// Huffman coding of text: frequencies, tree, bit stream, and decoding by walking the tree.
#include "text.h"

enum { k_size = 32 * 1024, k_symbols = 256 };

struct Node {
  uint32_t weight;
  struct Node *child[2];
  int symbol;
};

static char text[k_size];
static char decoded[k_size];
static uint8_t bits[k_size * 2];
static struct Node nodes[2 * k_symbols];
static struct {
  uint32_t code;
  unsigned length;
} codes[k_symbols];

static void assign(const struct Node *node, uint32_t code, unsigned length) {
  if (!node->child[0]) {
    codes[node->symbol].code = code;
    codes[node->symbol].length = length;
    return;
  }
  assign(node->child[0], code << 1, length + 1);
  assign(node->child[1], code << 1 | 1, length + 1);
}

static struct Node *make_tree(void) {
  struct Node *open[k_symbols];
  unsigned count = 0, used = 0;
  uint32_t weights[k_symbols] = {0};
  for (unsigned i = 0; i < k_size; ++i) ++weights[(uint8_t)text[i]];
  for (int i = 0; i < k_symbols; ++i) {
    if (!weights[i]) continue;
    nodes[used] = (struct Node){weights[i], {0, 0}, i};
    open[count++] = &nodes[used++];
  }
  while (count > 1) {
    struct Node *least[2];
    for (int k = 0; k < 2; ++k) {
      unsigned best = 0;
      for (unsigned i = 1; i < count; ++i)
        if (open[i]->weight < open[best]->weight) best = i;
      least[k] = open[best];
      open[best] = open[--count];
    }
    nodes[used] = (struct Node){least[0]->weight + least[1]->weight, {least[0], least[1]}, -1};
    open[count++] = &nodes[used++];
  }
  return open[0];
}

static unsigned encode(void) {
  unsigned at = 0;
  memset(bits, 0, sizeof bits);
  for (unsigned i = 0; i < k_size; ++i) {
    uint32_t code = codes[(uint8_t)text[i]].code;
    for (unsigned bit = codes[(uint8_t)text[i]].length; bit-- > 0; ++at)
      if (code >> bit & 1) bits[at / 8] |= 1 << at % 8;
  }
  return at;
}
static void decode(const struct Node *root) {
  unsigned at = 0;
  for (unsigned i = 0; i < k_size; ++i) {
    const struct Node *node = root;
    for (; node->child[0]; ++at) node = node->child[bits[at / 8] >> at % 8 & 1];
    decoded[i] = (char)node->symbol;
  }
}

uint64_t program_huffman(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    make_text(text, k_size, n + 1);
    struct Node *root = make_tree();
    assign(root, 0, 0);
    unsigned length = encode();
    decode(root);
    sum = mix(mix(sum, length), memcmp(text, decoded, k_size) == 0);
    sum = mix_bytes(sum, bits, 64);
  }
  return sum;
}
