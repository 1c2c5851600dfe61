#pragma once
// The guest's time: the host's, but for the whiles in which the machine is stopped.
#include <atomic>
#include <map>
#include <mutex>

#include "devices/clock.h"

namespace armvisor::machine {

/// A clock that can stand still, and timers on it. Those whose time comes while it stands still may call back early;
/// devices then find that it is not yet time, and arm them again. (any thread)
class GuestTime final : public devices::Clock, public devices::TimerQueue {
 public:
  /// Borrows both.
  GuestTime(devices::Clock& host, devices::TimerQueue& timers) : host_(host), timers_(timers) {}

  void stop();  ///< nothing if it stands still
  void go_on();

  u64 now_ns() override;
  u64 realtime_s() override { return host_.realtime_s(); }

  Id add(std::function<void()> callback) override { return timers_.add(std::move(callback)); }
  void arm(Id id, u64 deadline_ns) override;
  void disarm(Id id) override;
  void remove(Id id) override;

 private:
  u64 on_host(u64 deadline_ns) const;

  devices::Clock& host_;
  devices::TimerQueue& timers_;
  // Odd while stop() or go_on() changes the others: a reader whose look was disturbed looks again, so that time never
  // goes back.
  std::atomic<u32> changes_{0};
  std::atomic<u64> behind_{0};  ///< the host's clock, in nanoseconds
  std::atomic<u64> stood_at_{0};
  std::atomic<bool> stands_{false};
  std::mutex mutex_;           ///< one of stop(), go_on() and timers while it stands
  std::map<Id, u64> waiting_;  ///< armed while it stands
};

}  // namespace armvisor::machine
