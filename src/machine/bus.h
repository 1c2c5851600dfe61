#pragma once
// Where devices lie in guest physical space. Regions are added while the machine is built; accesses come from any
// vCPU thread afterwards. Accesses to one device are serialised by a lock per device, also when it has two regions.
//
// A window is a region in which others lie that move while the machine runs (devices/movable_region.h). Accesses that
// hit none of them are the window's own device's.
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "devices/device.h"
#include "devices/device_tree.h"
#include "devices/inspection.h"
#include "devices/movable_region.h"
#include "machine/bus_window.h"
#include "measure/snapshot.h"

namespace armvisor::machine {

class Bus {
 public:
  Bus();
  ~Bus();
  /// Fails, as an internal error, when the region overlaps another or is empty.
  Status add(const devices::Region& region, devices::MmioDevice& device);
  /// Likewise, for a window. `background` answers where nothing else does.
  Status add_window(const devices::Region& region, devices::MmioDevice& background);
  /// A region of `size` bytes for the windows, nowhere yet. The bus owns it.
  devices::MovableRegion& add_movable(u64 size, devices::MmioDevice& device);

  /// False: nothing there, or the access leaves the region.
  bool read(GuestPa pa, u32 size, u64& value);
  bool write(GuestPa pa, u32 size, u64 value);

  /// (any thread) Likewise, but gives up on a device that somebody has been inside for long: for monitors. It is in no
  /// count.
  bool peek(GuestPa pa, u32 size, u64& value);
  bool poke(GuestPa pa, u32 size, u64 value);
  /// (any thread) What lies where now, by addresses.
  std::vector<devices::MappedRegion> layout() const;

  /// (any thread) Accesses by device; several of one name are numbered.
  std::vector<measure::DeviceSnapshot> stats() const;

  /// Which vCPU the calling thread runs; devices with banked registers ask. 0 on other threads.
  static u32 accessing_vcpu();
  static void set_accessing_vcpu(u32 index);

 private:
  struct Port : BusPort {
    explicit Port(devices::MmioDevice& d) : device(d) {}
    devices::MmioDevice& device;
    std::mutex mutex;
    std::atomic<u64> reads{0}, writes{0}, ticks{0};  ///< written under the mutex
  };
  struct Region {
    u64 base, size;
    Port* port;
    BusWindow* window;  ///< null: nothing moves in it
  };
  struct Hit {
    Port* port = nullptr;  ///< null: nothing there
    u64 offset = 0;
  };
  class Movable;

  Status add(const devices::Region& region, devices::MmioDevice& device, BusWindow* window);
  Hit find(GuestPa pa, u32 size) const;
  Port* port_of(devices::MmioDevice& device);

  std::vector<Region> regions_;  ///< by base
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<BusWindow>> windows_;
  std::vector<std::unique_ptr<Movable>> movables_;
  measure::TickScale tick_scale_;
};

}  // namespace armvisor::machine
