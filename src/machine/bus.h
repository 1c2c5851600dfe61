#pragma once
// Where devices lie in guest physical space. Regions are added while the machine is built; accesses come from any
// vCPU thread afterwards. Accesses to one device are serialised by a lock per device, also when it has two regions.
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "devices/device.h"

namespace armvisor::machine {

class Bus {
 public:
  /// Fails, as an internal error, when the region overlaps another or is empty.
  Status add(GuestPa base, u64 size, devices::MmioDevice& device);

  /// False: nothing there, or the access leaves the region.
  bool read(GuestPa pa, u32 size, u64& value);
  bool write(GuestPa pa, u32 size, u64 value);

  /// Which vCPU the calling thread runs; devices with banked registers ask. 0 on other threads.
  static u32 accessing_vcpu();
  static void set_accessing_vcpu(u32 index);

 private:
  struct Region {
    u64 base, size;
    devices::MmioDevice* device;
    std::mutex* lock;
  };
  struct Lock {
    const devices::MmioDevice* device;
    std::unique_ptr<std::mutex> mutex;
  };

  const Region* find(GuestPa pa, u32 size) const;
  std::mutex* lock_of(const devices::MmioDevice& device);

  std::vector<Region> regions_;  ///< by base
  std::vector<Lock> locks_;
};

}  // namespace armvisor::machine
