#pragma once
// Who should have a host-MMU window: plain arithmetic on what a vCPU met, in microseconds of the host's time.
//
// A page costs some 10 us to map and a fault 3 us, what they save is nanoseconds; so windows are for what stays. Each
// interrupt that finds code running, hardly any of it new, and whose vCPU hardly changed spaces since the one before,
// is a tick, and earns its space time for all that. A window is used once there were some ticks and enough is saved up;
// each fault, page and block that it costs is charged; when nothing is left, the TLB serves until enough is saved up
// again.
#include <chrono>

#include "base/types.h"
#include "mmu/soft_tlb.h"

namespace armvisor::engine {

class WindowPolicy {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr s32 k_fault_costs = 4, k_map_costs = 10, k_drop_costs = 6, k_block_costs = 12;
  static constexpr s32 k_drop_pages_per_us = 16, k_walks_per_us = 16;
  /// By privilege: what can be saved up, and the most that can be owed.
  static constexpr s32 k_most_credit[] = {40'000, 8'000};

  /// What the vCPU has counted since it began.
  struct Counts {
    u64 switches = 0;  ///< between spaces
    u64 blocks = 0;    ///< that it made
  };

  /// An interrupt found code of this privilege running (or a loop of it became hot, where interrupts are masked). True:
  /// its window should be used from now on.
  bool tick(mmu::WindowUse& use, bool privileged, Time now, Counts counts);
  /// The window has cost `cost`. True: it should not be used any more.
  static bool charge(mmu::WindowUse& use, bool privileged, s32 cost);

 private:
  /// The last tick that counted, by privilege.
  struct Tick {
    Time time;
    Counts counts;
  } last_[2];
};

}  // namespace armvisor::engine
