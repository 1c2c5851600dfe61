#include "qemu/seats.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "devices/pci/host_bridge.h"
#include "machine/virt.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using Bus = machine::Seat::Bus;
using devices::pci::HostBridge;

const u32 k_mmio_slots = machine::k_virt.find(machine::DeviceKind::VirtioMmio)->count;
constexpr std::string_view k_mmio_bus = "virtio-mmio-bus.";
constexpr std::string_view k_pci_bus = "pcie.0";

Error refusal(std::string why) { return Error{ErrorKind::BadArguments, std::move(why)}; }

/// Which of a PCI device's interfaces there are. On the board's bus QEMU's devices are transitional.
Result<devices::virtio::PciForm> form_of(Line& line, Device& device) {
  devices::virtio::PciForm form;
  form.legacy = !device.driver.ends_with("-non-transitional");
  if (const auto given = read_value(line, device.given, device.properties, "disable-legacy", "auto|on|off"))
    form.legacy = form.legacy && *given != "on";
  if (const auto off = read_bool(line, device.given, device.properties, "disable-modern")) form.modern = !*off;
  if (!form.legacy && !form.modern) return refusal("expected one of its two interfaces; leave disable-modern out");
  return form;
}

/// "SLOT" or "SLOT.FUNCTION", in hexadecimal digits with or without 0x, as QEMU reads it.
bool read_address(std::string_view text, u32& slot, u32& function) {
  const auto number = [](std::string_view digits, u32& value) {
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
  };
  const std::size_t dot = std::min(text.find('.'), text.size());
  function = 0;
  return number(text.substr(0, dot), slot) && (dot == text.size() || number(text.substr(dot + 1), function)) &&
         slot < HostBridge::k_slots && function < HostBridge::k_functions;
}

}  // namespace

bool Seats::claim_pci(u32 slot, u32 function) {
  const u32 at = slot * HostBridge::k_functions + function;
  if (pci_[at]) return false;
  pci_[at] = true;
  return true;
}

Result<machine::Seat> Seats::next(DeviceBus bus) {
  if (bus == DeviceBus::Pci) {
    for (u32 slot = 0; slot < HostBridge::k_slots; ++slot)
      if (claim_pci(slot, 0)) return machine::Seat{.bus = Bus::Pci, .slot = slot};
    return refusal("expected at most 31 devices on PCI; leave some out");
  }
  for (u32 slot = k_mmio_slots; slot-- > 0;) {
    if (mmio_[slot]) continue;
    mmio_[slot] = true;
    return machine::Seat{.slot = slot};
  }
  return refusal(fmt::format("expected at most {} devices on virtio-mmio, each in a slot of its own; leave some out",
                             k_mmio_slots));
}

Result<machine::Seat> Seats::of(Line& line, Device& device, DeviceBus bus) {
  return bus == DeviceBus::Pci ? on_pci(line, device) : on_mmio(line, device);
}

Result<machine::Seat> Seats::on_mmio(Line&, Device& device) {
  const auto named = device.properties.take("bus");
  if (!named) return next(DeviceBus::Mmio);
  const auto slot = named->starts_with(k_mmio_bus) ? parse_unsigned(std::string_view(*named).substr(k_mmio_bus.size()))
                                                   : std::nullopt;
  if (!slot || *slot >= k_mmio_slots)
    return refusal(fmt::format("expected bus={}0 to {}{}, found '{}'; change it", k_mmio_bus, k_mmio_bus,
                               k_mmio_slots - 1, *named));
  if (mmio_[*slot])
    return refusal(fmt::format("expected a free bus, found that another device has {}; change it", *named));
  mmio_[*slot] = true;
  return machine::Seat{.slot = static_cast<u32>(*slot)};
}

Result<machine::Seat> Seats::at_address(const std::string& address) {
  u32 slot = 0, function = 0;
  if (!read_address(address, slot, function))
    return refusal("expected addr=SLOT or addr=SLOT.FUNCTION, from 1 to 1f.7, found '" + address + "'; change it");
  if (function != 0 && !pci_[slot * HostBridge::k_functions])
    return refusal(fmt::format("expected function 0 of PCI slot {} first, with multifunction=on; add it", slot));
  if (!claim_pci(slot, function))
    return refusal("expected a free PCI slot, found that another device is at " + address + "; change it");
  return machine::Seat{.bus = Bus::Pci, .slot = slot, .function = function};
}

Result<machine::Seat> Seats::on_pci(Line& line, Device& device) {
  AV_TRY_ASSIGN(const auto form, form_of(line, device));
  const auto bus = device.properties.take("bus"), address = device.properties.take("addr");
  const bool multifunction = read_bool(line, device.given, device.properties, "multifunction").value_or(false);
  const bool on_root = !bus || *bus == k_pci_bus;
  if (!on_root && !line.ids.has(IdKind::Device, bus->substr(0, bus->find('.'))))
    return refusal(
        fmt::format("expected bus={} or that of a bridge by its id, found '{}'; change it", k_pci_bus, *bus));
  if (!on_root)
    line.outcomes.clamped(key_of(device.given, "bus", *bus), "on the board's bus",
                          "there are no bridges; the guest finds the device at another address");
  AV_TRY_ASSIGN(machine::Seat seat, address && on_root ? at_address(*address) : next(DeviceBus::Pci));
  seat.multifunction = multifunction && seat.function == 0;
  seat.form = form;
  return seat;
}

std::string text(const machine::Seat& seat) {
  if (seat.bus == Bus::Mmio) return fmt::format("virtio-mmio slot {}", seat.slot);
  return seat.function ? fmt::format("PCI slot {}.{}", seat.slot, seat.function)
                       : fmt::format("PCI slot {}", seat.slot);
}

}  // namespace armvisor::qemu
