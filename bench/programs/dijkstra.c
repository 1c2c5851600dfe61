// Shortest paths in a random graph (adjacency lists) with a binary heap.
#include "program.h"

enum { k_nodes = 2000, k_edges_per_node = 6, k_heap = k_nodes * k_edges_per_node + 1 };

struct Edge {
  uint16_t to;
  uint16_t length;
  struct Edge *next;
};
struct Entry {
  uint32_t distance;
  uint32_t node;
};

static struct Edge edges[k_nodes * k_edges_per_node];
static struct Edge *first_edge[k_nodes];
static uint32_t distances[k_nodes];
static struct Entry heap[k_heap + 1];
static unsigned heap_size;

static void make_graph(void) {
  uint32_t random = 7;
  memset(first_edge, 0, sizeof first_edge);
  for (unsigned i = 0; i < k_nodes * k_edges_per_node; ++i) {
    unsigned from = i % k_nodes;
    edges[i].to = i < k_nodes ? (from + 1) % k_nodes : next_random(&random) % k_nodes;
    edges[i].length = 1 + next_random(&random) % 1000;
    edges[i].next = first_edge[from];
    first_edge[from] = &edges[i];
  }
}

static void push(uint32_t distance, uint32_t node) {
  unsigned i = ++heap_size;
  for (; i > 1 && heap[i / 2].distance > distance; i /= 2) heap[i] = heap[i / 2];
  heap[i] = (struct Entry){distance, node};
}
static struct Entry pop(void) {
  struct Entry top = heap[1], last = heap[heap_size--];
  unsigned i = 1;
  while (2 * i <= heap_size) {
    unsigned child = 2 * i;
    if (child < heap_size && heap[child + 1].distance < heap[child].distance) ++child;
    if (heap[child].distance >= last.distance) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = last;
  return top;
}

static void shortest_paths(unsigned source) {
  for (unsigned i = 0; i < k_nodes; ++i) distances[i] = UINT32_MAX;
  distances[source] = 0;
  heap_size = 0;
  push(0, source);
  while (heap_size) {
    struct Entry nearest = pop();
    if (nearest.distance > distances[nearest.node]) continue;
    for (struct Edge *edge = first_edge[nearest.node]; edge; edge = edge->next) {
      uint32_t distance = nearest.distance + edge->length;
      if (distance >= distances[edge->to]) continue;
      distances[edge->to] = distance;
      push(distance, edge->to);
    }
  }
}

uint64_t program_dijkstra(unsigned iterations) {
  uint64_t sum = 0;
  make_graph();
  for (unsigned n = 0; n < iterations; ++n) {
    shortest_paths(n * 37 % k_nodes);
    for (unsigned i = 0; i < k_nodes; i += 97) sum = mix(sum, distances[i]);
  }
  return sum;
}
