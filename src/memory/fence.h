#pragma once
// A fence that orders every earlier access before every later one.
#include <atomic>

namespace armvisor {

#if defined(__SANITIZE_THREAD__)
#define AV_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AV_THREAD_SANITIZER 1
#endif
#endif

inline void full_fence() {
#ifdef AV_THREAD_SANITIZER
  // ThreadSanitizer does not model fences; a read-modify-write of one place orders the same.
  static std::atomic<int> place{0};
  place.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace armvisor
