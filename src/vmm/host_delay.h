#pragma once
// How long a thread had to wait for a CPU of the host: what is left of its time when what it ran and what it slept is
// taken away. A limit of a guest's time does not count it.
#include <time.h>

#include <mutex>
#include <optional>

#include "base/types.h"

namespace armvisor::vmm {

/// Of one thread. Nothing is counted before begin().
class HostDelay {
 public:
  // --- on the thread
  void begin();
  /// It is about to sleep, for `most_ns` at most.
  void sleeps(std::optional<u64> most_ns = {});
  void runs();

  // --- (any thread)
  /// It was told to wake: from now on it waits for a CPU.
  void woken();
  u64 ns();

 private:
  struct Sleep {
    u64 since = 0, until = ~u64{0};  ///< nanoseconds of the host's clock
  };
  u64 slept(u64 now) const;

  std::mutex mutex_;  // guards what follows; a leaf
  bool counts_ = false;
  clockid_t cpu_{};
  u64 began_ = 0, cpu_before_ = 0, slept_ = 0;
  std::optional<Sleep> sleep_;  ///< it sleeps
};

}  // namespace armvisor::vmm
