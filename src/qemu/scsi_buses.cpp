#include "qemu/scsi_buses.h"

#include <fmt/core.h>

#include <algorithm>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using devices::virtio::ScsiAddress;

Error refusal(std::string why) { return Error{ErrorKind::BadArguments, std::move(why)}; }

/// A number up to `most`; nothing if the property is not there.
Result<std::optional<u64>> take_number(Device& device, std::string_view key, u64 most) {
  const auto text = device.properties.take(key);
  if (!text) return std::optional<u64>();
  const auto number = parse_unsigned(*text);
  if (!number || *number > most)
    return refusal(fmt::format("expected {} from 0 to {}, found '{}'; change it", key, most, *text));
  return std::optional<u64>(*number);
}

}  // namespace

/// Buses of hosts without an id are counted.
void ScsiBuses::add(const std::string& id, std::size_t device, const machine::Seat& seat) {
  buses_.push_back({id.empty() ? fmt::format("scsi.{}", unnamed_++) : id + ".0", device, seat, {}});
}

/// As QEMU comes across them.
ScsiBuses::Bus* ScsiBuses::usual() {
  Bus* found = nullptr;
  const auto on_mmio = [](const Bus& bus) { return bus.seat.bus == machine::Seat::Bus::Mmio; };
  for (Bus& bus : buses_) {
    const bool better =
        !found || (on_mmio(bus) ? !on_mmio(*found) || bus.seat.slot > found->seat.slot : !on_mmio(*found));
    if (better) found = &bus;
  }
  return found;
}

Result<ScsiBuses::Bus*> ScsiBuses::find(const std::optional<std::string>& name) {
  if (!name) {
    if (Bus* const bus = usual()) return bus;
    return refusal("expected a virtio-scsi device before it; add one");
  }
  const auto found = std::ranges::find(buses_, *name, &Bus::name);
  if (found != buses_.end()) return &*found;
  return refusal(fmt::format("expected bus=ID.0 of a virtio-scsi device before it, found {}; check it", *name));
}

Result<ScsiBuses::Place> ScsiBuses::take(Device& device) {
  AV_TRY_ASSIGN(Bus* const bus, find(device.properties.take("bus")));
  AV_TRY(take_number(device, "channel", 0));
  AV_TRY_ASSIGN(const auto target, take_number(device, "scsi-id", ScsiAddress::k_max_target));
  AV_TRY_ASSIGN(const auto lun, take_number(device, "lun", ScsiAddress::k_max_lun));
  const auto free = [&](const ScsiAddress& a) { return std::ranges::find(bus->taken, a) == bus->taken.end(); };
  ScsiAddress address{static_cast<u8>(target.value_or(0)), static_cast<u16>(lun.value_or(0))};
  if (!target)  // the next that is free, of this LUN
    while (!free(address) && address.target < ScsiAddress::k_max_target) ++address.target;
  else if (!lun)
    while (!free(address) && address.lun < ScsiAddress::k_max_lun) ++address.lun;
  if (!free(address))
    return refusal(
        fmt::format("expected a SCSI address of its own, found that another device is at target {}, LUN {}; "
                    "change scsi-id or lun",
                    address.target, address.lun));
  bus->taken.push_back(address);
  return Place{bus->device, address};
}

}  // namespace armvisor::qemu
