#pragma once
// Named points in the protocols between threads (docs/engine/concurrency.md). A test may stop a thread at one of them
// and run another there. Builds without ARMVISOR_TEST_POINTS have no trace of them; in builds with it a point costs a
// thread that no test follows one load.
#include <mutex>

namespace armvisor {

#ifdef ARMVISOR_TEST_POINTS

/// What a test does where a thread that it follows comes by.
class TestPoints {
 public:
  virtual void reached(const char* point) = 0;
  /// The thread cannot go on before another one has done something, and looks again after this call.
  virtual void blocked() = 0;

 protected:
  ~TestPoints() = default;
};

/// Of the calling thread; null: no test follows it.
inline constinit thread_local TestPoints* t_test_points = nullptr;

inline void test_point(const char* name) {
  if (t_test_points) [[unlikely]]
    t_test_points->reached(name);
}

/// The calling thread cannot go on before another has done something. False: no test follows it.
inline bool test_wait() {
  if (!t_test_points) return false;
  t_test_points->blocked();
  return true;
}

/// A mutex inside which there are points: a thread that a test follows does not sleep on it.
template <class Mutex>
class PointMutex {
 public:
  void lock() {
    if (!t_test_points) [[likely]]
      return mutex_.lock();
    test_point("lock");
    while (!mutex_.try_lock()) t_test_points->blocked();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() {
    mutex_.unlock();
    test_point("unlock");
  }

 private:
  Mutex mutex_;
};

#else

inline void test_point(const char*) {}
inline bool test_wait() { return false; }
template <class Mutex>
using PointMutex = Mutex;

#endif

}  // namespace armvisor
