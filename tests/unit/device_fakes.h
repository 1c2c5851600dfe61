#pragma once
// Stand-ins for what devices are connected to: interrupt lines, clocks and timers that a test drives by hand.
#include <functional>
#include <map>

#include "devices/clock.h"
#include "devices/device.h"

namespace armvisor::devices {

struct FakeLine final : IrqLine {
  bool level = false;
  u32 rises = 0;
  void set(bool l) override {
    rises += l && !level;
    level = l;
  }
};

struct FakeClock final : Clock {
  u64 ns = 1000;
  u64 seconds = 1700000000;
  u64 now_ns() override { return ns; }
  u64 realtime_s() override { return seconds; }
};

/// Runs due callbacks when told to.
struct FakeTimers final : TimerQueue {
  struct Timer {
    std::function<void()> callback;
    bool armed = false;
    u64 deadline = 0;
  };
  std::map<Id, Timer> timers;
  Id next = 1;
  Id add(std::function<void()> callback) override {
    timers[next].callback = std::move(callback);
    return next++;
  }
  void arm(Id id, u64 deadline_ns) override {
    timers[id].armed = true;
    timers[id].deadline = deadline_ns;
  }
  void disarm(Id id) override { timers[id].armed = false; }
  void remove(Id id) override { timers.erase(id); }
  void run_until(u64 now) {
    for (auto& [id, t] : timers)
      if (t.armed && t.deadline <= now) {
        t.armed = false;
        t.callback();
      }
  }
};

}  // namespace armvisor::devices
