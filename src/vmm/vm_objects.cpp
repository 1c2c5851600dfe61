// The machine's objects, as monitors list them: what QEMU's tree has of them, with the properties that are known here.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "arm/cpu_model.h"
#include "vmm/vm.h"

namespace armvisor::vmm {
namespace {

using monitor::ObjectInfo;
using Json = nlohmann::json;

std::string json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

ObjectInfo::Property property(const char* name, const char* type, const Json& value) {
  return {name, type, json(value)};
}

/// What every device has.
std::vector<ObjectInfo::Property> device_properties() {
  return {property("realized", "bool", true), property("hotplugged", "bool", false),
          property("hotpluggable", "bool", false)};
}

class Tree {
 public:
  explicit Tree(const VmConfig& config) : config_(config), board_(*config.boot.board) {}

  std::vector<ObjectInfo> all() {
    add_containers();
    add_machine();
    add_cpus();
    add_board_devices();
    for (std::size_t n = 0; n < config_.devices.size(); ++n) add_device(n);
    for (const devices::ChardevOptions& c : config_.chardevs)
      if (!c.label.empty()) add("/chardevs/" + c.label, chardev_type(c));
    return std::move(objects_);
  }

 private:
  void add(std::string path, std::string type, std::vector<ObjectInfo::Property> properties = {}) {
    objects_.push_back({std::move(path), std::move(type), std::move(properties)});
  }
  void add_unattached(const char* type) {
    add(fmt::format("/machine/unattached/device[{}]", unattached_++), type, device_properties());
  }

  void add_containers() {
    add("/", "container");
    for (const char* path : {"/backend", "/chardevs", "/machine/peripheral", "/machine/peripheral-anon",
                             "/machine/unattached", "/objects"})
      add(path, "container");
    add("/objects/mach-virt.ram", "memory-backend-ram", {property("size", "int", config_.boot.ram_size)});
  }

  void add_machine() {
    const machine::BootConfig& boot = config_.boot;
    add("/machine", config_.board_type,
        {property("kernel", "string", boot.kernel), property("initrd", "string", boot.initrd),
         property("dtb", "string", boot.dtb), property("append", "string", boot.append.value_or("")),
         property("firmware", "string", boot.firmware), property("gic-version", "string", "2"),
         property("graphics", "bool", boot.items.graphics), property("usb", "bool", false),
         property("secure", "bool", false), property("virtualization", "bool", false)});
    if (board_.has(machine::DeviceKind::FwCfg)) add("/machine/fw_cfg", "fw_cfg_mem", device_properties());
    if (board_.has(machine::DeviceKind::Flash))
      for (const char* bank : {"/machine/virt.flash0", "/machine/virt.flash1"})
        add(bank, "cfi.pflash01", device_properties());
  }

  void add_cpus() {
    const std::string model(arm::row(config_.boot.cpu.value_or(arm::CpuModel::CortexA15)).name);
    for (u32 n = 0; n < config_.boot.vcpus; ++n) {
      auto properties = device_properties();
      properties.push_back(property("core-id", "int", n));
      properties.push_back(property("start-powered-off", "bool", n > 0));
      add(fmt::format("/machine/unattached/device[{}]", unattached_++), model + "-arm-cpu", std::move(properties));
    }
  }

  /// In the order in which QEMU makes them, by which they are numbered.
  void add_board_devices() {
    using machine::DeviceKind;
    constexpr std::pair<DeviceKind, const char*> k_types[] = {
        {DeviceKind::Gic, "arm_gic"},          {DeviceKind::Uart, "pl011"},
        {DeviceKind::SecondUart, "pl011"},     {DeviceKind::Rtc, "pl031"},
        {DeviceKind::PciHost, "gpex-pcihost"}, {DeviceKind::Gpio, "pl061"},
        {DeviceKind::PowerKey, "gpio-key"},    {DeviceKind::VirtioMmio, "virtio-mmio"}};
    for (const auto& [kind, type] : k_types) {
      const machine::Placement* const placement = board_.find(kind);
      if (!placement) continue;
      for (u32 n = 0; n < placement->count; ++n) add_unattached(type);
      if (kind == DeviceKind::Gic && placement->first.spi) add_unattached("arm-gicv2m");
    }
  }

  static const char* chardev_type(const devices::ChardevOptions& c) {
    using Kind = devices::ChardevOptions::Kind;
    switch (c.kind) {
      case Kind::Stdio: return "chardev-stdio";
      case Kind::Pty: return "chardev-pty";
      case Kind::File: return "chardev-file";
      case Kind::Pipe: return "chardev-pipe";
      case Kind::Socket: return "chardev-socket";
      case Kind::Udp: return "chardev-udp";
      case Kind::None:
      case Kind::Own: break;
    }
    return "chardev-null";
  }

  /// Of a device without a seat, as of a command line of this program's own.
  static const char* type_of(const machine::DeviceSpec& spec) {
    constexpr const char* k_types[] = {"virtio-blk-device",  "virtio-net-device",
                                       "virtio-rng-device",  "virtio-serial-device",
                                       "virtio-scsi-device", "virtio-9p-device",
                                       "pvpanic-pci",        "virtio-balloon-device",
                                       "i6300esb",           "edu",
                                       "ivshmem-plain",      "virtio-gpu-device",
                                       "vhost-vsock-device", "vhost-user-fs-device"};
    const auto* const program = std::get_if<machine::VhostUserSpec>(&spec);
    if (program && program->kind == devices::vhost_user::Kind::Disk) return "vhost-user-blk-device";
    static_assert(std::size(k_types) == std::variant_size_v<machine::DeviceSpec>);
    return k_types[spec.index()];
  }

  void add_device(std::size_t n) {
    const machine::DeviceSpec& spec = config_.devices[n];
    const machine::Seat* const seat = n < config_.seats.size() ? &config_.seats[n] : nullptr;
    auto properties = device_properties();
    if (const auto* const card = std::get_if<machine::NetworkSpec>(&spec)) {
      properties.push_back(property(
          "mac", "str", devices::mac_text(card->network.mac ? *card->network.mac : devices::default_mac(macs_++))));
      properties.push_back(property("netdev", "str", card->name));
    } else if (const auto* const disk = std::get_if<machine::DiskSpec>(&spec)) {
      properties.push_back(property("drive", "str", disk->name));
      properties.push_back(property("serial", "str", disk->serial));
    }
    if (seat && seat->bus == machine::Seat::Bus::Pci)
      properties.push_back(property("addr", "str", fmt::format("{:02x}.{:x}", seat->slot, seat->function)));
    const std::string type = seat && !seat->type.empty() ? seat->type : type_of(spec);
    if (seat && !seat->id.empty()) return add("/machine/peripheral/" + seat->id, type, std::move(properties));
    const bool anonymous = seat && seat->named;
    add(anonymous ? fmt::format("/machine/peripheral-anon/device[{}]", anonymous_++)
                  : fmt::format("/machine/unattached/device[{}]", unattached_++),
        type, std::move(properties));
  }

  const VmConfig& config_;
  const machine::Board& board_;
  std::vector<ObjectInfo> objects_;
  u32 unattached_ = 0, anonymous_ = 0, macs_ = 0;
};

}  // namespace

std::vector<ObjectInfo> Vm::objects() { return Tree(config_).all(); }

/// Those of the objects that there are, those that a line may name, and what they are derived from.
std::vector<monitor::ObjectTypeInfo> Vm::object_types() {
  std::vector<monitor::ObjectTypeInfo> all = {
      {"object", ""},          {"device", "object"},         {"machine", "object"},
      {"container", "object"}, {"chardev", "object"},        {"cpu", "device"},
      {"arm-cpu", "cpu"},      {"memory-backend", "object"}, {"virt-machine", "machine"}};
  std::set<std::string> known;
  for (const auto& type : all) known.insert(type.name);
  const auto add = [&](const std::string& name, const char* parent) {
    if (known.insert(name).second) all.push_back({name, parent});
  };
  for (const ObjectInfo& object : Tree(config_).all()) {
    const std::string& type = object.type;
    add(type, type.ends_with("-machine")        ? "virt-machine"
              : type.ends_with("-arm-cpu")      ? "arm-cpu"
              : type.starts_with("chardev-")    ? "chardev"
              : type.starts_with("memory-back") ? "memory-backend"
                                                : "device");
  }
  for (const std::string& name : config_.device_types) add(name, "device");
  for (const char* cpu : {"cortex-a7-arm-cpu", "cortex-a15-arm-cpu", "max-arm-cpu"}) add(cpu, "arm-cpu");
  return all;
}

}  // namespace armvisor::vmm
