// Disks, cards, sources of entropy and consoles: what each -device is, and where it gets its place.
#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "devices/virtio/console.h"
#include "qemu/boot_order.h"
#include "qemu/device_properties.h"
#include "qemu/machine.h"
#include "qemu/options.h"
#include "qemu/scsi_buses.h"
#include "qemu/seats.h"

namespace armvisor::qemu {
namespace {

class Adder {
 public:
  Adder(Line& line, vmm::VmConfig& vm) : line_(line), vm_(vm), out_(line.outcomes) {}
  void add_cards_of_board();
  void add_named();
  void add_drives_of_board();
  void tell_unused();
  std::string boot_order() const { return boot_order_.text(line_.strict_boot); }

 private:
  using Place = Result<machine::Seat>;
  /// False, with an outcome: there is no place for it.
  bool add(const Given& given, const std::string& what, const Place& place, machine::DeviceSpec spec);
  void name(machine::Seat& seat) const;
  void add_card(const Nic& nic, const Place& place);
  bool take_ends(Netdev& netdev);
  void add_dumps(const Netdev& netdev, machine::NetworkSpec& spec);
  void add_device(Device& device, const DeviceRow& row);
  Drive* take_drive(Device& device);
  void add_disk_device(Device& device, const DeviceRow& row);
  void add_scsi_host(Device& device, const DeviceRow& row);
  void add_scsi_unit(Device& device, const DeviceRow& row);
  void add_card_device(Device& device, const DeviceRow& row);
  void add_entropy_device(Device& device, const DeviceRow& row);
  void add_controller(Device& device, const DeviceRow& row);
  machine::ConsoleSpec* controller_of(Device& device);
  void add_port(Device& device, const DeviceRow& row);
  void add_share(Device& device, const DeviceRow& row);
  void add_vsock(Device& device, const DeviceRow& row);
  bool take_socket(Device& device, std::string& path);
  void add_vhost_user(Device& device, const DeviceRow& row);
  void add_balloon(Device& device, const DeviceRow& row);
  void add_pvpanic(Device& device, const DeviceRow& row);
  void add_gpu(Device& device, const DeviceRow& row);
  void add_edu(Device& device, const DeviceRow& row);
  void add_shared_memory(Device& device, const DeviceRow& row);
  void add_graphics(const Device& device);
  void finish(Device& device, const DeviceRow& row);

  Line& line_;
  vmm::VmConfig& vm_;
  Outcomes& out_;
  Seats seats_;
  ScsiBuses scsi_buses_;
  BootOrder boot_order_;
  struct Controller {
    std::string id;
    std::size_t index;  ///< among the machine's devices
  };
  std::vector<Controller> controllers_;  ///< virtio-serial devices
  const Device* device_ = nullptr;       ///< the -device that is looked at; null: what the board has by itself
};

bool Adder::add(const Given& given, const std::string& what, const Place& place, machine::DeviceSpec spec) {
  if (!place) {
    out_.refused(given.text(), place.error().message);
    return false;
  }
  vm_.devices.push_back(std::move(spec));
  vm_.seats.push_back(*place);
  name(vm_.seats.back());
  out_.mapped(given.text(), what + " in " + text(*place));
  return true;
}

/// For monitors.
void Adder::name(machine::Seat& seat) const {
  seat.named = device_ != nullptr;
  if (device_) {
    seat.type = device_->driver;
    seat.id = device_->id;
  } else {
    const auto* const card = std::get_if<machine::NetworkSpec>(&vm_.devices.back());
    seat.type = !card ? "virtio-blk-pci" : card->card == machine::NetworkSpec::Card::E1000 ? "e1000" : "virtio-net-pci";
  }
}

void Adder::finish(Device& device, const DeviceRow& row) {
  finish_properties(line_, device.given, device.properties, row);
}

// --- cards

std::string network_text(const Netdev& netdev) {
  using Kind = devices::FrameLinkOptions::Kind;
  if (netdev.kind == "user") return "user-mode network";
  if (is_link(netdev.kind)) {
    const devices::FrameLinkOptions& link = netdev.link;
    if (link.kind == Kind::Listen) return "network of who connects to " + link.local.text();
    if (link.kind == Kind::Vde)
      return "network of the VDE switch at " + (link.vde.place.empty() ? "the usual place" : link.vde.place);
    if (link.kind == Kind::Connect) return "network by a connection to " + link.remote.text();
    return "network of datagrams by " +
           (link.remote.family == devices::SocketAddress::Family::None ? link.local : link.remote).text();
  }
  if (!netdev.tap.helper.empty()) return "tap interface on " + netdev.tap.bridge + " by " + netdev.tap.helper;
  return "tap interface" + (netdev.tap.interface.empty() ? "" : " " + netdev.tap.interface);
}

void Adder::add_card(const Nic& nic, const Place& place) {
  const Given& given = nic.given;
  const std::string& netdev = nic.netdev;
  const auto mac = nic.mac;
  machine::NetworkSpec spec;
  spec.card = nic.card;
  if (netdev.empty()) {
    spec.unplugged = true;
    spec.network.mac = mac;
    add(given, "network card that is connected to nothing", place, std::move(spec));
    return;
  }
  Netdev* const found = line_.netdev(netdev);
  if (!found) return out_.refused(given.text(), "expected the id of a -netdev, found no " + netdev + "; check it");
  if (found->used)
    return out_.refused(given.text(), "expected a -netdev of its own, found that of another; give it one");
  found->used = true;
  if (found->refused) {
    for (Dump& dump : line_.dumps) dump.used |= dump.netdev == found->name;
    return out_.ignored(given.text(), "its network is refused");
  }
  if (!take_ends(*found)) return;
  spec.network = found->user;
  if (!found->name.starts_with('#')) spec.name = found->name;
  if (found->kind == "tap" || found->kind == "bridge") spec.tap = found->tap;
  if (is_link(found->kind)) spec.link = found->link;
  spec.network.mac = mac;
  add_dumps(*found, spec);
  if (found->given.name == "netdev") out_.mapped(found->given.text(), network_text(*found));
  add(given, nic.card == machine::NetworkSpec::Card::E1000 ? "network card (e1000)" : "network card", place,
      std::move(spec));
}

/// Character devices where the guest connects to. False, with an outcome: there is one that it cannot have.
bool Adder::take_ends(Netdev& netdev) {
  auto end = netdev.ends.begin();
  for (devices::GuestForward& forward : netdev.user.guest_forwards) {
    if (!forward.is_line()) continue;
    if (!use_chardev(line_, vm_, *end, fmt::format("guestfwd.tcp.{}", forward.port), forward.line)) return false;
    out_.mapped(end->given.text(), "the guest's connections to it are on " + place_text(vm_, forward.line));
    ++end;
  }
  return true;
}

void Adder::add_dumps(const Netdev& netdev, machine::NetworkSpec& spec) {
  for (Dump& dump : line_.dumps) {
    if (dump.netdev != netdev.name) continue;
    dump.used = true;
    spec.dumps.push_back(dump.options);
    out_.mapped(dump.given.text(), "packets of the network in " + dump.options.path);
  }
}

/// Cards of -nic and -net nic, or the one that the board has by default; QEMU makes them before all others, on PCI.
void Adder::add_cards_of_board() {
  std::size_t on_hub = 0;
  for (const Nic& nic : line_.nics) {
    Nic made = nic;
    if (made.netdev.empty() && line_.hub) {
      if (++on_hub > 1) {
        out_.refused(nic.given.text(), "expected one card by -net: cards are not connected to each other; use -nic");
        continue;
      }
      made.netdev = line_.hub->id = "#hub";
      line_.netdevs.push_back(*line_.hub);
    }
    add_card(made, seats_.next(DeviceBus::Pci));
  }
  if (line_.hub && !line_.hub->refused) {
    if (on_hub)
      out_.mapped(line_.hub->given.text(), network_text(*line_.hub));
    else
      out_.ignored(line_.hub->given.text(), "no card is connected to it");
  }
  if (line_.network_named || !line_.defaults) return;
  Netdev& usual = line_.netdevs.emplace_back();
  usual.given = {"nic", "user"};
  usual.id = "#default";
  usual.kind = "user";
  add_card({{"nic", "user (default)"}, "#default", {}, {}}, seats_.next(DeviceBus::Pci));
}

void Adder::add_card_device(Device& device, const DeviceRow& row) {
  const auto mac = read_mac(line_, device.given, device.properties, "mac");
  const auto netdev = device.properties.take("netdev");
  if (netdev && netdev->empty())
    return out_.refused(key_of(device.given, "netdev", {}), "expected the id of a -netdev, found nothing; name one");
  const auto card = row.kind == DeviceKind::Ethernet ? machine::NetworkSpec::Card::E1000 : machine::NetworkSpec::Card{};
  const auto place = seats_.of(line_, device, row.bus);
  add_card({device.given, netdev.value_or(""), mac, card}, place);
  if (place) boot_order_.take(line_, device, *place, true);
  finish(device, row);
}

// --- disks

machine::DiskSpec disk_spec(const Drive& drive, bool snapshot) {
  machine::DiskSpec spec{drive.source, drive.serial, drive.id};
  spec.snapshot = drive.is_snapshot(snapshot);
  return spec;
}

std::string disk_text(const Drive& drive) {
  return (drive.source.read_only ? "read-only disk " : "disk ") + drive.source.path;
}

/// That which drive= names, with serial= of the device. Null, with an outcome, if it is not to be had.
Drive* Adder::take_drive(Device& device) {
  const std::string id = device.properties.take("drive").value_or("");
  Drive* const drive = line_.drive(id);
  const auto serial = device.properties.take("serial");
  if (!drive || drive->used) {
    out_.refused(device.given.text(), drive ? "expected a -drive of its own, found that of another; give it one"
                                            : "expected drive=ID of a -drive, found no '" + id + "'; check it");
    return nullptr;
  }
  drive->used = true;
  if (drive->refused) {
    out_.ignored(device.given.text(), "its drive is refused");
    return nullptr;
  }
  if (serial) drive->serial = *serial;
  if (drive->interface != "none" && drive->given.name == "drive")
    out_.ignored(key_of(drive->given, "if", drive->interface), "a -device has it");
  out_.mapped(drive->given.text(), "of the device that names it");
  return drive;
}

void Adder::add_disk_device(Device& device, const DeviceRow& row) {
  const Drive* const drive = take_drive(device);
  if (!drive) return;
  const auto place = seats_.of(line_, device, row.bus);
  add(device.given, disk_text(*drive), place, disk_spec(*drive, line_.snapshot));
  if (place) boot_order_.take(line_, device, *place, false);
  finish(device, row);
}

void Adder::add_scsi_host(Device& device, const DeviceRow& row) {
  const auto place = seats_.of(line_, device, row.bus);
  if (place) scsi_buses_.add(device.id, vm_.devices.size(), *place);
  add(device.given, std::string(row.text), place, machine::ScsiSpec{});
  finish(device, row);
}

/// A disk or a CD-ROM on a SCSI host. What has no serial is known by its drive's id.
void Adder::add_scsi_unit(Device& device, const DeviceRow& row) {
  const bool cd_rom = row.kind == DeviceKind::ScsiCd;
  const Drive* const drive = take_drive(device);
  if (!drive) return;
  const auto place = scsi_buses_.take(device);
  if (!place) return out_.refused(device.given.text(), place.error().message);
  machine::ScsiSpec::Unit unit{.disk = disk_spec(*drive, line_.snapshot), .address = place->address, .cd_rom = cd_rom};
  unit.disk.read_only |= cd_rom;
  if (drive->given.name == "drive") unit.name = drive->id;
  if (const auto name = device.properties.take("device_id")) unit.name = *name;
  out_.mapped(device.given.text(), fmt::format("{} {} at SCSI target {}, LUN {}", cd_rom ? "CD-ROM" : "disk",
                                               unit.disk.path, unit.address.target, unit.address.lun));
  boot_order_.take(line_, device, vm_.seats[place->host], false, &unit.address);
  std::get<machine::ScsiSpec>(vm_.devices[place->host]).units.push_back(std::move(unit));
  finish(device, row);
}

/// QEMU makes disks of if=virtio behind all others, on PCI.
void Adder::add_drives_of_board() {
  for (Drive& drive : line_.drives) {
    if (drive.used || drive.refused || drive.interface != "virtio") continue;
    drive.used = true;
    add(drive.given, disk_text(drive), seats_.next(DeviceBus::Pci), disk_spec(drive, line_.snapshot));
  }
}

// --- other devices

void Adder::add_entropy_device(Device& device, const DeviceRow& row) {
  const auto rng = device.properties.take("rng");
  if (rng && !rng->empty() && std::ranges::find(line_.objects, *rng) == line_.objects.end())
    return out_.refused(key_of(device.given, "rng", *rng), "expected the id of an -object rng-random; check it");
  add(device.given, std::string(row.text), seats_.of(line_, device, row.bus), machine::EntropySpec{});
  finish(device, row);
}

void Adder::add_controller(Device& device, const DeviceRow& row) {
  if (add(device.given, std::string(row.text), seats_.of(line_, device, row.bus),
          machine::ConsoleSpec{.ports = {}, .multiport = true}))
    controllers_.push_back({device.id, vm_.devices.size() - 1});
  finish(device, row);
}

/// The one that bus=ID.0 names, or the first. null: there is none.
machine::ConsoleSpec* Adder::controller_of(Device& device) {
  const std::string bus = device.properties.take("bus").value_or("");
  for (const Controller& c : controllers_)
    if (bus.empty() || bus == c.id + ".0" || bus == "virtio-serial-bus.0")
      return &std::get<machine::ConsoleSpec>(vm_.devices[c.index]);
  return nullptr;
}

/// By nr=, or as QEMU numbers them: 0 for the first console, the next for others.
std::optional<u32> number_of_port(const machine::ConsoleSpec& controller, bool console,
                                  const std::optional<std::string>& given) {
  const auto is_taken = [&controller](u32 number) {
    return std::ranges::find(controller.ports, number, &machine::PortSpec::number) != controller.ports.end();
  };
  if (given) {
    const auto number = parse_unsigned(*given);
    if (!number || *number >= devices::virtio::Console::k_max_ports || (*number == 0 && !console)) return std::nullopt;
    return is_taken(static_cast<u32>(*number)) ? std::nullopt : std::optional(static_cast<u32>(*number));
  }
  for (u32 number = console ? 0 : 1; number < devices::virtio::Console::k_max_ports; ++number)
    if (!is_taken(number)) return number;
  return std::nullopt;
}

void Adder::add_port(Device& device, const DeviceRow& row) {
  machine::PortSpec port;
  port.console = row.kind == DeviceKind::Console;
  port.name = device.properties.take("name").value_or("");
  const auto given_number = device.properties.take("nr");
  Chardev end = new_chardev(device.given);
  end.refers = device.properties.take("chardev").value_or("");
  machine::ConsoleSpec* const controller = controller_of(device);
  if (!controller)
    return out_.refused(device.given.text(), "expected a virtio-serial device before it, whose bus is ID.0; add one");
  finish(device, row);
  const auto number = number_of_port(*controller, port.console, given_number);
  if (!number)
    return out_.refused(device.given.text(),
                        "expected a number below " + std::to_string(devices::virtio::Console::k_max_ports) +
                            " that no other port has, of which 0 is for a virtconsole; change nr=");
  port.number = *number;
  if (!end.refers.empty() && !use_chardev(line_, vm_, end, {}, port.chardev)) return;
  out_.mapped(device.given.text(),
              std::string(row.text) + " " + std::to_string(port.number) + ", on " + place_text(vm_, port.chardev));
  controller->ports.push_back(std::move(port));
}

/// Several devices may have one folder.
void Adder::add_share(Device& device, const DeviceRow& row) {
  const std::string id = device.properties.take("fsdev").value_or("");
  const auto tag = device.properties.take("mount_tag");
  Share* const share = line_.share(id);
  if (!share)
    return out_.refused(device.given.text(), "expected fsdev=ID of an -fsdev, found no '" + id + "'; check it");
  const bool of_virtfs = device.given.name == share->given.name;
  if (!of_virtfs && !share->used && !share->refused) out_.mapped(share->given.text(), "of the device that names it");
  share->used = true;
  if (share->refused) {
    if (!of_virtfs) out_.ignored(device.given.text(), "its folder is refused");
    return;
  }
  if (!tag) return out_.refused(device.given.text(), "expected mount_tag=TAG, by which it is mounted; give one");
  if (const Status fits = devices::ninep::check_tag(*tag); !fits)
    return out_.refused(key_of(device.given, "mount_tag", *tag), fits.error().message);
  machine::ShareSpec spec{share->options};
  spec.tag = *tag;
  add(device.given, std::string(spec.read_only ? "read-only " : "") + "shared folder " + spec.path,
      seats_.of(line_, device, row.bus), std::move(spec));
  finish(device, row);
}

/// QEMU's sockets are those of the host's kernel (vhost), for which there is no place on a line here.
void Adder::add_vsock(Device& device, const DeviceRow& row) {
  constexpr const char* k_variable = "ARMVISOR_VSOCK";
  const auto cid = parse_unsigned(device.properties.take("guest-cid").value_or(""));
  const char* const path = std::getenv(k_variable);
  if (!cid) return out_.refused(device.given.text(), "expected guest-cid=NUMBER with it; give one");
  if (!path || !*path)
    return out_.refused(device.given.text(),
                        fmt::format("expected {}=SOCKET in the environment: the host's ends of the guest's sockets are "
                                    "Unix sockets here, not the kernel's; set it, or use armvisor run --vsock",
                                    k_variable));
  machine::VsockSpec spec;
  spec.cid = *cid;
  spec.path = path;
  for (const Status& fits : {devices::vsock::check_cid(spec.cid), devices::vsock::check_path(spec.path)})
    if (!fits) return out_.refused(device.given.text(), fits.error().message);
  add(device.given, fmt::format("{} at {}", row.text, spec.path), seats_.of(line_, device, row.bus), std::move(spec));
  finish(device, row);
}

/// The path of the Unix socket that a device's chardev= says. False, with an outcome: it says none.
bool Adder::take_socket(Device& device, std::string& path) {
  const std::string id = device.properties.take("chardev").value_or("");
  Chardev* const end = line_.chardev(id);
  if (!end) {
    out_.refused(device.given.text(), "expected chardev=ID of a -chardev, found no '" + id + "'; check it");
    return false;
  }
  if (end->refused) {
    out_.ignored(device.given.text(), "its -chardev is refused");
    return false;
  }
  using Family = devices::SocketAddress::Family;
  const devices::SocketOptions& socket = end->where.socket;
  if (end->where.kind != devices::ChardevOptions::Kind::Socket || socket.at.family != Family::Unix || socket.server ||
      end->where.mux || end->users++ > 0) {
    out_.refused(device.given.text(),
                 "expected a -chardev socket,path=PATH of its own, to which a program listens (not "
                 "server=on); change it");
    return false;
  }
  path = socket.at.path;
  return true;
}

/// Devices whose work a program does that listens at a socket.
void Adder::add_vhost_user(Device& device, const DeviceRow& row) {
  machine::VhostUserSpec spec;
  const bool disk = row.kind == DeviceKind::UserDisk;
  spec.kind = disk ? devices::vhost_user::Kind::Disk : devices::vhost_user::Kind::FileSystem;
  spec.queue_size = 128;
  if (!take_socket(device, spec.socket)) return;
  if (!disk) {
    spec.tag = device.properties.take("tag").value_or("");
    if (const Status fits = devices::vhost_user::check_tag(spec.tag); !fits)
      return out_.refused(device.given.text(), "tag=: " + fits.error().message);
  }
  if (const auto text = device.properties.take("queue-size")) {
    const auto size = parse_unsigned(*text);
    if (!size || !std::has_single_bit(*size) || *size < 2 || *size > 1024)
      return out_.refused(key_of(device.given, "queue-size", *text),
                          "expected a power of two from 2 to 1024; change it");
    spec.queue_size = static_cast<u16>(*size);
  }
  for (const char* key : {"num-queues", "num-request-queues"})
    if (const auto queues = device.properties.take(key); queues && *queues != "1")
      out_.clamped(key_of(device.given, key, *queues), "1", "one thread carries its requests");
  add(device.given, fmt::format("{}, of the program at {},", row.text, spec.socket), seats_.of(line_, device, row.bus),
      std::move(spec));
  finish(device, row);
}

void Adder::add_balloon(Device& device, const DeviceRow& row) {
  if (std::ranges::any_of(vm_.devices, [](const auto& s) { return std::holds_alternative<machine::BalloonSpec>(s); }))
    return out_.refused(device.given.text(), "expected one balloon at most, as QEMU does; leave the other out");
  machine::BalloonSpec spec;
  const auto read = [&](std::string_view key, bool& value) {
    if (const auto on = read_bool(line_, device.given, device.properties, key)) value = *on;
  };
  read("free-page-reporting", spec.free_page_reporting);
  read("deflate-on-oom", spec.deflate_on_oom);
  read("page-poison", spec.page_poison);
  add(device.given, std::string(row.text), seats_.of(line_, device, row.bus), spec);
  finish(device, row);
}

void Adder::add_pvpanic(Device& device, const DeviceRow& row) {
  machine::PvpanicSpec spec;
  if (const auto events = device.properties.take("events")) {
    const auto number = parse_unsigned(*events);
    if (!number || *number > 0xff)
      return out_.refused(key_of(device.given, "events", *events), "expected a number of 8 bits; change it");
    spec.events = static_cast<u8>(*number);
  }
  add(device.given, std::string(row.text), seats_.of(line_, device, row.bus), spec);
  finish(device, row);
}

void Adder::add_gpu(Device& device, const DeviceRow& row) {
  machine::GpuSpec spec;
  for (const auto& [key, side] : {std::pair{"xres", &spec.width}, {"yres", &spec.height}}) {
    const auto text = device.properties.take(key);
    if (!text) continue;
    const auto number = parse_unsigned(*text);
    if (!number || *number < 16 || *number > devices::virtio::Gpu::k_most_side)
      return out_.refused(key_of(device.given, key, *text), "expected a number from 16 to 16384; change it");
    *side = static_cast<u32>(*number);
  }
  if (const auto screens = device.properties.take("max_outputs"); screens && *screens != "1")
    out_.clamped(key_of(device.given, "max_outputs", *screens), "1", "there is one screen");
  ignore_keys(line_, device.given, device.properties, {"edid", "max_hostmem", "blob", "hostmem"},
              "drivers find out what there is");
  if (line_.display == Display::Default || line_.display == Display::Window)
    out_.clamped(device.given.text() + " (window)", "no window", "monitors see what the screen shows (screendump)");
  auto place = seats_.of(line_, device, row.bus);
  if (place) place->form.legacy = false;  // its drivers know no other
  add(device.given, std::string(row.text), place, spec);
  finish(device, row);
}

void Adder::add_edu(Device& device, const DeviceRow& row) {
  machine::EduSpec spec;
  if (const auto mask = device.properties.take("dma_mask")) {
    const auto number = parse_unsigned(*mask);
    if (!number) return out_.refused(key_of(device.given, "dma_mask", *mask), "expected a number; change it");
    spec.dma_mask = *number;
  }
  add(device.given, std::string(row.text), seats_.of(line_, device, row.bus), spec);
  finish(device, row);
}

/// One object may be of several devices.
void Adder::add_shared_memory(Device& device, const DeviceRow& row) {
  const std::string id = device.properties.take("memdev").value_or("");
  const auto backend = std::ranges::find(line_.memory_backends, id, &Line::MemoryBackend::id);
  if (backend == line_.memory_backends.end())
    return out_.refused(device.given.text(),
                        "expected memdev=ID of an -object memory-backend-..., found no '" + id + "'; check it");
  constexpr u64 k_least = 16, k_most = u64{1} << 31;
  if (!std::has_single_bit(backend->size) || backend->size < k_least || backend->size > k_most)
    return out_.refused(device.given.text(),
                        "expected memory of a power of two from 16 bytes to 2 GiB, found another; change size=");
  if (const auto master = read_bool(line_, device.given, device.properties, "master"))
    out_.ignored(key_of(device.given, "master", *master ? "on" : "off"), "machines are not migrated here");
  machine::SharedMemorySpec spec{{.option = backend->option,
                                  .path = backend->path,
                                  .size = backend->size,
                                  .shared = backend->shared,
                                  .read_only = backend->read_only}};
  add(device.given, backend->path.empty() ? "memory" : "memory, which is " + backend->path,
      seats_.of(line_, device, row.bus), std::move(spec));
  finish(device, row);
}

void Adder::add_graphics(const Device& device) {
  if (line_.display == Display::Nographic || line_.display == Display::None)
    return out_.ignored(device.given.text(), "nobody would see it, since there is no display");
  out_.refused(device.given.text(),
               "expected -nographic or -display none: there are no graphics here; say so, or leave "
               "it out");
}

void Adder::add_device(Device& device, const DeviceRow& row) {
  // What is not made here keeps its place on PCI: others have the same as in QEMU.
  using enum DeviceKind;
  if (row.bus == DeviceBus::Pci && (row.kind == Idle || row.kind == Input || row.kind == Graphics))
    (void)seats_.of(line_, device, row.bus);
  switch (row.kind) {
    case Disk: return add_disk_device(device, row);
    case Card:
    case Ethernet: return add_card_device(device, row);
    case Entropy: return add_entropy_device(device, row);
    case Ports: return add_controller(device, row);
    case Console:
    case Port: return add_port(device, row);
    case ScsiHost: return add_scsi_host(device, row);
    case ScsiDisk:
    case ScsiCd: return add_scsi_unit(device, row);
    case Share: return add_share(device, row);
    case Watchdog:
      add(device.given, std::string(row.text), seats_.of(line_, device, row.bus), machine::WatchdogSpec{});
      return finish(device, row);
    case Vsock: return add_vsock(device, row);
    case UserFileSystem:
    case UserDisk: return add_vhost_user(device, row);
    case Balloon: return add_balloon(device, row);
    case Panic: return add_pvpanic(device, row);
    case Gpu: return add_gpu(device, row);
    case Edu: return add_edu(device, row);
    case SharedMemory: return add_shared_memory(device, row);
    case Loader: add_loaded_file(line_, device, vm_.boot); return finish(device, row);
    case Idle: return out_.ignored(device.given.text(), std::string(row.text));
    case Input: return out_.ignored(device.given.text(), "nothing is typed or pointed at, since there is no window");
    case Graphics: return add_graphics(device);
    case Missing: break;
  }
  out_.refused(device.given.text(), "expected " + std::string(row.text) + "; change it");
}

void Adder::add_named() {
  for (Device& device : line_.devices) {
    device_ = &device;
    if (const DeviceRow* row = find_device(device.driver))
      add_device(device, *row);
    else
      out_.refused(device.given.text(), "expected a device that is here; '-device help' lists them");
  }
  device_ = nullptr;
}

void Adder::tell_unused() {
  for (const Drive& drive : line_.drives)
    if (!drive.used && !drive.refused) out_.ignored(drive.given.text(), "no device refers to it");
  for (const Netdev& netdev : line_.netdevs)
    if (!netdev.used && !netdev.refused) out_.ignored(netdev.given.text(), "no card refers to it");
  for (const Share& share : line_.shares)
    if (!share.used && !share.refused) out_.ignored(share.given.text(), "no device refers to it");
  for (const Dump& dump : line_.dumps) {
    if (dump.used) continue;
    if (line_.ids.has(IdKind::Network, dump.netdev))
      out_.ignored(dump.given.text(), "no card is on its network, so there are no packets");
    else
      out_.refused(dump.given.text(), "expected the id of a network, found no " + dump.netdev + "; check it");
  }
  for (const Chardev& c : line_.chardevs) {
    if (c.refused) continue;
    if (c.users)
      out_.mapped(c.given.text(), "of what names it");
    else
      out_.ignored(c.given.text(), "nothing refers to it");
  }
}

}  // namespace

void add_devices(Line& line, vmm::VmConfig& vm) {
  apply_globals(line);
  Adder adder(line, vm);
  adder.add_cards_of_board();
  adder.add_named();
  adder.add_drives_of_board();
  adder.tell_unused();
  vm.boot.items.boot_order = adder.boot_order();
}

}  // namespace armvisor::qemu
