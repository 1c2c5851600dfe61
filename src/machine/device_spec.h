#pragma once
// What options ask for: devices beyond those that a board has anyway. Each takes one of its virtio slots, in the order
// in which they were asked for unless MachineOptions::seats says otherwise.
#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "devices/backends/disk_source.h"
#include "devices/backends/network_options.h"
#include "devices/backends/shared_memory.h"
#include "devices/chardev/chardevs.h"
#include "devices/ninep/share_options.h"
#include "devices/pci/edu.h"
#include "devices/pvpanic.h"
#include "devices/vhost_user/options.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/gpu.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/scsi.h"
#include "devices/vsock/host_socket.h"

namespace armvisor::machine {

struct DiskSpec : devices::DiskSource {
  std::string serial{};  ///< what the guest is told when it asks, 20 bytes of it at most
  std::string name{};    ///< by which a monitor knows it
};

/// A file that is the whole content of a bank of flash, byte for byte.
struct FlashSpec : devices::DiskSource {
  bool or_read_only = false;  ///< read-only if the file may not be written
};

/// A network device on the user-mode network, on a tap interface of the host, at an end of a link over a socket, or
/// with nothing at the other end of its cable.
struct NetworkSpec : devices::NetworkOptions {
  enum class Card : u8 { Virtio, E1000 } card = Card::Virtio;  ///< the second is on PCI
  bool unplugged = false;
  std::string name{};  ///< by which a monitor knows the network; empty: it has none
  bool is_user() const { return !unplugged && !tap && !link; }
};

/// A source of entropy, which is the host's.
struct EntropySpec {};

/// A line to the host: a console, or a port that has a name.
struct PortSpec {
  devices::ChardevIndex chardev;
  bool console = true;
  std::string name{};
  u32 number = 0;  ///< each its own
};

/// A virtio console with its ports: one, or several that the driver is told of.
struct ConsoleSpec {
  std::vector<PortSpec> ports;
  bool multiport = false;
};

/// A SCSI host, and what is on it.
struct ScsiSpec {
  struct Unit {
    DiskSpec disk;
    devices::virtio::ScsiAddress address;
    bool cd_rom = false;
    std::string name{};  ///< what the guest is told that it is, without a serial
  };
  std::vector<Unit> units;
};

/// A folder of the host's, by 9P.
struct ShareSpec : devices::ninep::ShareOptions {};

/// Sockets between programs of the guest and of the host.
struct VsockSpec : devices::vsock::Options {};

/// A device whose work a program on the host does: a folder by virtio-fs, or a disk.
struct VhostUserSpec : devices::vhost_user::Options {};

/// A device on PCI by which the guest's kernel says that it has panicked.
struct PvpanicSpec {
  u8 events = devices::Pvpanic::k_all_events;  ///< that it says it knows
};

/// A watchdog on PCI.
struct WatchdogSpec {};

/// By which the guest gives memory back to the host.
struct BalloonSpec : devices::virtio::BalloonOptions {};

/// How many pages a guest of so many bytes of RAM gives when it leaves itself `bytes`.
constexpr u32 balloon_pages(u64 ram, u64 bytes) {
  return static_cast<u32>((ram - std::min(bytes, ram)) >> k_page_bits);
}

/// QEMU's device for education, on PCI.
struct EduSpec {
  u64 dma_mask = devices::pci::Edu::k_usual_mask;
};

/// A screen that nobody looks at but monitors.
struct GpuSpec : devices::virtio::GpuOptions {};

/// Memory that is shared with others, on PCI (ivshmem).
struct SharedMemorySpec : devices::SharedMemoryOptions {};

/// Where a device is: in one of the board's slots of virtio-mmio, or on its PCI bus.
struct Seat {
  enum class Bus : u8 { Mmio, Pci };
  Bus bus = Bus::Mmio;
  u32 slot = 0;
  // Of PCI:
  u32 function = 0;                 ///< 0 to 7
  bool multifunction = false;       ///< function 0 says that there are others
  devices::virtio::PciForm form{};  ///< of its registers
  // For monitors:
  std::string type{};  ///< what QEMU calls the device
  std::string id{};    ///< what the line calls it; empty: nothing
  bool named = false;  ///< by -device, and not the board's own
};

using DeviceSpec =
    std::variant<DiskSpec, NetworkSpec, EntropySpec, ConsoleSpec, ScsiSpec, ShareSpec, PvpanicSpec, BalloonSpec,
                 WatchdogSpec, EduSpec, SharedMemorySpec, GpuSpec, VsockSpec, VhostUserSpec>;

/// Calls `f` for each disk of `specs`, in the order in which a machine takes what was opened for them, until one fails.
template <class F>
Status for_each_disk(const std::vector<DeviceSpec>& specs, F f) {
  for (const DeviceSpec& spec : specs) {
    if (const auto* disk = std::get_if<DiskSpec>(&spec)) AV_TRY(f(*disk));
    if (const auto* host = std::get_if<ScsiSpec>(&spec))
      for (const ScsiSpec::Unit& unit : host->units) AV_TRY(f(unit.disk));
  }
  return {};
}

}  // namespace armvisor::machine
