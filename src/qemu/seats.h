#pragma once
// Where QEMU has the virtio devices of a line: in slots of virtio-mmio, or on the PCI bus of the board.
#include <bitset>

#include "base/result.h"
#include "machine/device_spec.h"
#include "qemu/device_kinds.h"
#include "qemu/line.h"

namespace armvisor::qemu {

class Seats {
 public:
  /// The place that QEMU gives to a device that names none: the last free slot of virtio-mmio, or the first of PCI.
  Result<machine::Seat> next(DeviceBus bus);
  /// That of a -device, by its properties bus, addr, multifunction, disable-legacy and disable-modern, which are taken
  /// from it; with an outcome where it cannot be quite there.
  Result<machine::Seat> of(Line& line, Device& device, DeviceBus bus);

 private:
  Result<machine::Seat> on_mmio(Line& line, Device& device);
  Result<machine::Seat> on_pci(Line& line, Device& device);
  Result<machine::Seat> at_address(const std::string& address);
  bool claim_pci(u32 slot, u32 function);

  std::bitset<32> mmio_;
  std::bitset<256> pci_{1};  ///< by slot and function; the host bridge has the first
};

/// "virtio-mmio slot 31", "PCI slot 2" or "PCI slot 2.1".
std::string text(const machine::Seat& seat);

}  // namespace armvisor::qemu
