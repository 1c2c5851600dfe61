#pragma once
// What monitors show of a machine's PCI bus and address space, as it is at the moment.
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace armvisor::devices {

/// A PCI function, as its configuration space says.
struct PciFunctionInfo {
  struct Region {
    u32 index = 0;
    bool io = false, prefetchable = false, wide = false;  ///< the last: of 64 bits
    u64 size = 0;                                         ///< in bytes
    std::optional<u64> address{};                         ///< where the guest has it; nothing: nowhere
  };
  u32 bus = 0, slot = 0, function = 0;
  u16 vendor = 0, device = 0, subsystem_vendor = 0, subsystem = 0;
  u16 device_class = 0;  ///< class and subclass
  u8 pin = 0, line = 0;  ///< of its interrupt; pin 0: it has none
  std::vector<Region> regions{};
};

/// What lies in guest physical memory. What has a depth lies in what is before it with a smaller one.
struct MappedRegion {
  u64 base = 0, size = 0;  ///< in bytes
  std::string name;
  const char* kind = "i/o";  ///< "ram", "romd" or "i/o"
  u32 depth = 0;
};

}  // namespace armvisor::devices
