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
  u32 masked = 0;            ///< how often in a row it was caught running with interrupts masked
};

class StallWatch {
 public:
  /// `looks`: how many in a row must find no progress. They are counted, not timed: a vCPU that the host gives no CPU
  /// is not caught at all, so a busy host only makes it take longer.
  explicit StallWatch(u32 looks) : looks_(looks) {}

  /// One look at all vCPUs. True: the guest has stalled.
  bool look(std::span<const VcpuLook> vcpus);

 private:
  const u32 looks_;
  std::vector<u32> asleep_;  ///< of each vCPU, how often in a row
};

}  // namespace armvisor::vmm
