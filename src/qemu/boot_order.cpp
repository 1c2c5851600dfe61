#include "qemu/boot_order.h"

#include <fmt/core.h>

#include <charconv>

#include "machine/virt.h"
#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

/// Open Firmware's name of the device in a place, as QEMU builds it; of the board's PCI bus it knows no address.
std::string node_of(const machine::Seat& seat, bool card) {
  if (seat.bus == machine::Seat::Bus::Mmio) {
    const auto* const slots = machine::k_virt.find(machine::DeviceKind::VirtioMmio);
    return fmt::format("/virtio-mmio@{:016x}", slots->site(seat.slot).regions[0].base.value);
  }
  const std::string function = seat.function ? fmt::format(",{:x}", seat.function) : "";
  return fmt::format("/pci@ffffffffffffffff/{}@{:x}{}", card ? "ethernet" : "scsi", seat.slot, function);
}

}  // namespace

void BootOrder::take(Line& line, Device& device, const machine::Seat& seat, bool card,
                     const devices::virtio::ScsiAddress* unit) {
  const auto value = read_value(line, device.given, device.properties, "bootindex", "number");
  if (!value) return;
  const std::string where = key_of(device.given, "bootindex", *value);
  const auto index = parse_unsigned(*value);
  if (!index) return line.outcomes.ignored(where, "firmware looks at it last, as at all others without one");
  std::string path = node_of(seat, card);
  if (unit)
    path += fmt::format("/channel@0/disk@{:x},{:x}", unit->target, unit->lun);
  else
    path += card ? "/ethernet-phy@0" : "/disk@0,0";
  if (*index > 0x7fff'ffff || !paths_.emplace(static_cast<u32>(*index), std::move(path)).second)
    return line.outcomes.refused(where, "expected a number up to 2147483647 that no other device has; change it");
  line.outcomes.mapped(where, "a place in the file bootorder of fw_cfg");
}

std::string BootOrder::text(bool strict) const {
  if (paths_.empty()) return {};
  std::string all;
  for (const auto& [index, path] : paths_) all += (all.empty() ? "" : "\n") + path;
  if (strict) all += "\nHALT";
  return all + '\0';
}

}  // namespace armvisor::qemu
