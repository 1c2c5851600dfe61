#pragma once
// A region of registers whose place the guest chooses while the machine runs, as a PCI device's BARs.
#include "base/types.h"

namespace armvisor::devices {

/// Made by the bus; of a size that stays. At first it is nowhere. place and remove are called by one thread at a time;
/// accesses that are on their way when it moves may still reach it.
class MovableRegion {
 public:
  virtual ~MovableRegion() = default;
  /// To another place. False, and it is nowhere: there is no room for such regions, or another one is there.
  virtual bool place(GuestPa base) = 0;
  virtual void remove() = 0;
};

}  // namespace armvisor::devices
