#pragma once
// The host's clocks, for devices.
#include <ctime>

#include "devices/clock.h"

namespace armvisor::machine {

class SystemClock final : public devices::Clock {
 public:
  u64 now_ns() override { return read(CLOCK_MONOTONIC); }
  u64 realtime_ns() const { return read(CLOCK_REALTIME); }
  u64 realtime_s() override { return static_cast<u64>(std::time(nullptr)); }

 private:
  static u64 read(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  }
};

}  // namespace armvisor::machine
