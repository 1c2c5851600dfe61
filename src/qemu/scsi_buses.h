#pragma once
// The SCSI hosts of a line and the addresses on them, as QEMU gives them.
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/virtio/scsi.h"
#include "machine/device_spec.h"
#include "qemu/line.h"

namespace armvisor::qemu {

class ScsiBuses {
 public:
  /// A host of which `device` is the number among the machine's devices.
  void add(const std::string& id, std::size_t device, const machine::Seat& seat);

  struct Place {
    std::size_t host;  ///< as it was given to add()
    devices::virtio::ScsiAddress address;
  };
  /// Where a -device is, by its properties bus, channel, scsi-id and lun, which are taken from it. If they do not say:
  /// on the host in the last slot of virtio-mmio, or else on the newest of PCI, at the next target that is free.
  Result<Place> take(Device& device);

 private:
  struct Bus {
    std::string name;
    std::size_t device;
    machine::Seat seat;
    std::vector<devices::virtio::ScsiAddress> taken;
  };
  Result<Bus*> find(const std::optional<std::string>& name);
  Bus* usual();

  std::vector<Bus> buses_;
  std::size_t unnamed_ = 0;
};

}  // namespace armvisor::qemu
