#include "qemu/device_properties.h"

#include <algorithm>

#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

/// Sets of devices.
constexpr u32 Disk = 1, Card = 2, Entropy = 4, Ports = 8, ScsiHost = 16, ScsiUnit = 32, Pci = 64, Share = 128,
              Ethernet = 256, Balloon = 512, Gpu = 1024, Vsock = 2048, User = 4096;
constexpr u32 All = Disk | Card | Entropy | Ports | ScsiHost | Share | Balloon | Gpu | Vsock | User;

struct PropertyRow {
  std::string_view name, kind;
  u32 classes;
};
constexpr PropertyRow k_properties[] = {
#define PROPERTY(name, kind, classes) {name, kind, classes},
#include "qemu/device_properties.inc"
#undef PROPERTY
};

u32 classes_of(const DeviceRow& row) {
  const u32 bus = row.bus == DeviceBus::Pci ? Pci : 0;
  switch (row.kind) {
    case DeviceKind::Disk: return Disk | bus;
    case DeviceKind::Card: return Card | bus;
    case DeviceKind::Ethernet: return Ethernet | bus;
    case DeviceKind::Entropy: return Entropy | bus;
    case DeviceKind::Ports: return Ports | bus;
    case DeviceKind::ScsiHost: return ScsiHost | bus;
    case DeviceKind::Share: return Share | bus;
    case DeviceKind::Vsock: return Vsock | bus;
    case DeviceKind::UserFileSystem:
    case DeviceKind::UserDisk: return User | bus;
    case DeviceKind::Balloon: return Balloon | bus;
    case DeviceKind::Gpu: return Gpu | bus;
    case DeviceKind::ScsiDisk:
    case DeviceKind::ScsiCd: return ScsiUnit;
    default: return bus;
  }
}

/// "virtio-net-pci" of "virtio-net" and of the forms with "transitional" in their names.
std::string class_name(std::string_view driver) {
  const DeviceRow* const row = find_device(driver);
  std::string name(row ? row->name : driver);
  const bool is_short = row && row->bus == DeviceBus::Pci && name.starts_with("virtio-") && !name.ends_with("-pci");
  return is_short ? name + "-pci" : name;
}

/// A device on PCI has the device that is the same on MMIO within it.
bool is_of(const Device& device, std::string_view driver) {
  const std::string name = class_name(device.driver);
  if (name == driver) return true;
  constexpr std::string_view k_within = "-device", k_around = "-pci";
  return driver.ends_with(k_within) && name.ends_with(k_around) &&
         std::string_view(name).substr(0, name.size() - k_around.size()) ==
             driver.substr(0, driver.size() - k_within.size());
}

/// What the board has without a -device.
bool is_on_board(std::string_view driver) {
  for (const std::string_view name :
       {"cfi.pflash01", "pl011", "pl031", "pl061", "arm_gic", "arm-gic", "fw_cfg_mem", "gpex-pcihost", "gpex-root",
        "arm-cpu", "cortex-a15-arm-cpu", "cortex-a7-arm-cpu", "max-arm-cpu", "gpio-key", "arm-gicv2m"})
    if (driver == name) return true;
  return false;
}

void read_force_legacy(Line& line, const Global& global) {
  const std::string where = global.given.text();
  if (global.property != "force-legacy")
    return line.outcomes.refused(where, "expected force-legacy, the property of virtio-mmio here; leave it out");
  const auto legacy = parse_bool(global.value);
  if (!legacy) return line.outcomes.refused(where, "expected on or off; change it");
  line.legacy_virtio = *legacy;
  line.outcomes.mapped(where, *legacy ? "legacy virtio-mmio" : "virtio-mmio of virtio 1.0 and later");
}

/// Cards of -nic and disks of -drive have these drivers in QEMU, and no properties here but those that do not show.
bool shows_on_board(const Line& line, const Global& global) {
  const bool cards = !line.nics.empty() || (line.defaults && !line.network_named);
  const bool disks = std::ranges::any_of(line.drives, [](const Drive& d) { return d.interface == "virtio"; });
  const std::string_view driver = global.driver;
  if (!(cards && driver.starts_with("virtio-net-")) && !(disks && driver.starts_with("virtio-blk-"))) return false;
  const auto row = std::ranges::find(k_properties, global.property, &PropertyRow::name);
  return row == std::end(k_properties) || !is_value(row->kind, global.value);
}

void apply(Line& line, const Global& global) {
  if (global.driver == "virtio-mmio") return read_force_legacy(line, global);
  const std::string where = global.given.text();
  if (is_on_board(global.driver) || shows_on_board(line, global))
    return line.outcomes.refused(where,
                                 "expected a property of a -device: the board's own are as they are; leave it out");
  bool any = false;
  for (Device& device : line.devices) {
    if (!is_of(device, global.driver)) continue;
    device.properties.prepend({global.property, global.value});
    any = true;
  }
  if (any) return line.outcomes.mapped(where, "a property of each device of that driver that has none of its own");
  line.outcomes.ignored(where, "no device is of that driver");
}

}  // namespace

void apply_globals(Line& line) {
  for (auto global = line.globals.rbegin(); global != line.globals.rend(); ++global) apply(line, *global);
}

void finish_properties(Line& line, const Given& given, KeyValues& properties, const DeviceRow& row) {
  const u32 classes = classes_of(row);
  for (const PropertyRow& p : k_properties) {
    if (!(p.classes & classes)) continue;
    if (const auto value = read_value(line, given, properties, p.name, p.kind))
      line.outcomes.ignored(key_of(given, p.name, *value),
                            "about queues, offloads or PCI, which drivers find out and do without");
  }
  refuse_unknown_keys(line, given, properties);
}

}  // namespace armvisor::qemu
