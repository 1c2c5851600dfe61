#pragma once
// The host's clocks, for devices.
#include <ctime>

#include "devices/clock.h"

namespace armvisor::machine {

class SystemClock final : public devices::Clock {
 public:
  u64 now_ns() override {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  }
  u64 realtime_s() override { return static_cast<u64>(std::time(nullptr)); }
};

}  // namespace armvisor::machine
