#pragma once
// Fences. They are what the engine's protocols count on (docs/engine/concurrency.md); none of these counts on what one
// host orders by itself.
#include <atomic>

namespace armvisor {

#if defined(__SANITIZE_THREAD__)
#define AV_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AV_THREAD_SANITIZER 1
#endif
#endif

/// Orders every earlier access before every later one.
inline void full_fence() {
#ifdef AV_THREAD_SANITIZER
  // ThreadSanitizer does not model fences; a read-modify-write of one place orders the same.
  static std::atomic<int> place{0};
  place.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// A full fence behind a sequentially consistent read-modify-write, which is one by itself on x86.
inline void full_fence_after_rmw() {
#if defined(__x86_64__) && !defined(AV_THREAD_SANITIZER)
  std::atomic_signal_fence(std::memory_order_seq_cst);
#else
  full_fence();
#endif
}

/// Orders every earlier load before every later access: what the guest's context synchronisation (ISB) asks for between
/// a flag that says that code has changed and the look at that code.
inline void acquire_fence() {
#ifdef AV_THREAD_SANITIZER
  full_fence();
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

}  // namespace armvisor
