#pragma once
// Recognises a guest that makes no progress any more: each of its vCPUs runs with interrupts masked for as long as one
// looks, or sleeps though nothing is set that would wake it.
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::vmm {

/// What is seen of a vCPU at one look.
struct VcpuLook {
  bool asleep = false;       ///< it waits for an interrupt, or is turned off
  bool timer_armed = false;  ///< one of its timers will wake it
  u64 masked_ns = 0;         ///< how long it has run, each time that it was caught, with interrupts masked
};

class StallWatch {
 public:
  /// How many looks in a row must find a vCPU asleep, and how long it must run masked, in nanoseconds. The latter is
  /// time on the host's CPUs, so a busy host only makes it take longer.
  StallWatch(u32 looks, u64 masked_ns) : looks_(looks), masked_ns_(masked_ns) {}

  /// One look at all vCPUs. True: the guest has stalled.
  bool look(std::span<const VcpuLook> vcpus);

 private:
  const u32 looks_;
  const u64 masked_ns_;
  std::vector<u32> asleep_;  ///< of each vCPU, how often in a row
};

}  // namespace armvisor::vmm
