#pragma once
// What firmware is to boot from first: bootindex= of devices, as the file "bootorder" of fw_cfg, in QEMU's form.
#include <map>
#include <string>

#include "machine/device_spec.h"
#include "qemu/line.h"

namespace armvisor::qemu {

class BootOrder {
 public:
  /// Takes bootindex= from the properties of a device, which is a disk or a card at `seat`, or with `unit` a disk on
  /// the SCSI host there. One that another device has is refused.
  void take(Line& line, Device& device, const machine::Seat& seat, bool card,
            const devices::virtio::ScsiAddress* unit = nullptr);
  /// The file. `strict`: firmware is to boot from nothing else.
  std::string text(bool strict) const;

 private:
  std::map<u32, std::string> paths_;
};

}  // namespace armvisor::qemu
