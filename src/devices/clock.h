#pragma once
// Time for devices, replaceable in tests, and timers on it.
#include <functional>

#include "base/types.h"

namespace armvisor::devices {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual u64 now_ns() = 0;      ///< monotonic
  virtual u64 realtime_s() = 0;  ///< seconds since 1970, for the RTC
};

/// One-shot timers served by the machine's event loop thread. (any thread)
class TimerQueue {
 public:
  using Id = u64;
  virtual ~TimerQueue() = default;
  virtual Id add(std::function<void()> callback) = 0;  ///< disarmed
  virtual void arm(Id id, u64 deadline_ns) = 0;        ///< on Clock::now_ns; replaces an earlier deadline
  virtual void disarm(Id id) = 0;
  virtual void remove(Id id) = 0;  ///< the callback does not run after this returns
};

}  // namespace armvisor::devices
