#pragma once
// What the devices are that QEMU's lines name; the table is devices.inc.
#include <span>
#include <string_view>

#include "base/types.h"

namespace armvisor::qemu {

enum class DeviceKind : u8 {
  Disk,
  Card,
  Ethernet,  ///< a card that is none of virtio's
  Entropy,
  Ports,    ///< virtio-serial
  Console,  ///< on it
  Port,     ///< likewise, with a name
  ScsiHost,
  ScsiDisk,  ///< on one
  ScsiCd,
  Share,    ///< a folder of the host's
  Vsock,    ///< sockets between programs of the guest and of the host
  UserFileSystem,  ///< a folder, which a program on the host serves
  UserDisk,        ///< a disk, likewise
  Balloon,  ///< takes memory that the guest does not need
  Watchdog,
  Panic,         ///< tells of a guest that panicked
  Gpu,           ///< a screen
  Edu,           ///< QEMU's device for education
  SharedMemory,  ///< of a memory-backend-... object
  Loader,        ///< puts something into memory
  Idle,          ///< does nothing here that a guest could miss
  Input,
  Graphics,
  Missing,
};
enum class DeviceBus : u8 { Mmio, Pci, Scsi, Usb, None };

struct DeviceRow {
  std::string_view name;
  DeviceKind kind;
  DeviceBus bus;
  std::string_view text;
};

std::span<const DeviceRow> device_rows();
/// null: of no name that is in the table. (Of virtio-*-pci, the transitional and other forms are the same.)
const DeviceRow* find_device(std::string_view name);

}  // namespace armvisor::qemu
