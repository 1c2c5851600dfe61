#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "program.h"

enum { k_chunks = 240, k_chunk_words = 4096, k_chunk_rounds = 48, k_max_threads = 16, k_lock_rounds = 400000 };

struct Job {
  atomic_uint next;  // the first chunk that nobody took yet
  unsigned end;
  uint64_t sums[k_chunks];
  pthread_mutex_t lock;
  uint64_t total;  // under the lock
  atomic_uint counter;
};

static uint64_t run_threads(struct Job *job, unsigned threads, void *(*body)(void *)) {
  pthread_t ids[k_max_threads];
  if (threads > k_max_threads) threads = k_max_threads;
  pthread_mutex_init(&job->lock, NULL);
  for (unsigned i = 0; i < threads; ++i)
    if (pthread_create(&ids[i], NULL, body, job)) return 0;
  for (unsigned i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  pthread_mutex_destroy(&job->lock);
  return job->total;
}

// Sorts and hashes blocks of numbers; threads meet only where they take the next block.
static uint64_t chunk(unsigned index) {
  uint32_t words[k_chunk_words];
  uint32_t random = index + 1;
  uint64_t sum = index;
  for (unsigned i = 0; i < k_chunk_words; ++i) words[i] = next_random(&random);
  for (unsigned round = 0; round < k_chunk_rounds; ++round) {
    for (unsigned gap = k_chunk_words / 2; gap > 0; gap /= 2) {
      for (unsigned i = gap; i < k_chunk_words; i += 7) {
        uint32_t value = words[i];
        unsigned j = i;
        for (; j >= gap && words[j - gap] > value; j -= gap) words[j] = words[j - gap];
        words[j] = value;
      }
    }
    for (unsigned i = 0; i < k_chunk_words; ++i) sum += words[i] ^ (uint32_t)sum << 3;
    words[round] ^= (uint32_t)sum;
  }
  return sum;
}
static void *compute(void *argument) {
  struct Job *job = argument;
  for (unsigned i = atomic_fetch_add(&job->next, 1); i < job->end; i = atomic_fetch_add(&job->next, 1))
    job->sums[i] = chunk(i);
  return NULL;
}
uint64_t parallel_compute(unsigned threads, unsigned divisor) {
  static struct Job job;
  job.end = k_chunks / divisor ? k_chunks / divisor : 1;
  run_threads(&job, threads, compute);
  uint64_t sum = 0;
  for (unsigned i = 0; i < job.end; ++i) sum = mix(sum, job.sums[i]);
  return sum;
}

// A mutex and an atomic counter that all threads want at once.
static void *contend(void *argument) {
  struct Job *job = argument;
  for (unsigned i = atomic_fetch_add(&job->next, 1); i < job->end; i = atomic_fetch_add(&job->next, 1)) {
    uint32_t random = i + 1;
    for (unsigned k = 0; k < 16; ++k) next_random(&random);
    pthread_mutex_lock(&job->lock);
    job->total += random;
    pthread_mutex_unlock(&job->lock);
    atomic_fetch_add(&job->counter, random & 0xff);
  }
  return NULL;
}
uint64_t parallel_locks(unsigned threads, unsigned divisor) {
  static struct Job job;
  job.end = k_lock_rounds / divisor ? k_lock_rounds / divisor : 1;
  uint64_t total = run_threads(&job, threads, contend);
  return mix(total, atomic_load(&job.counter));
}
