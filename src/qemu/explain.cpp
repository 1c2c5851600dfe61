#include "qemu/explain.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace armvisor::qemu {
namespace {

using Json = nlohmann::ordered_json;

Json chardev_json(const Machine& m, devices::ChardevIndex index) {
  using Kind = devices::ChardevOptions::Kind;
  if (!index) return "none";
  const devices::ChardevOptions& where = m.vm.chardevs[*index];
  switch (where.kind) {
    case Kind::Stdio: return "stdio";
    case Kind::Pty: return "pty";
    case Kind::File: return "file:" + where.path;
    case Kind::Pipe: return "pipe:" + where.path;
    case Kind::Udp: return "udp:" + where.socket.at.text() + "@" + where.local.text();
    case Kind::Socket: return where.socket.text();
    case Kind::None:
    case Kind::Own: break;
  }
  return "none";
}

Json device_json(const Machine&, const machine::DiskSpec& disk) {
  Json j{{"kind", "disk"}, {"file", disk.path}, {"read-only", disk.read_only}};
  if (!disk.serial.empty()) j["serial"] = disk.serial;
  j["format"] = disk.format;
  if (disk.snapshot) j["snapshot"] = true;
  if (disk.cache != devices::DiskCache::Writeback) j["cache"] = devices::name(disk.cache);
  if (disk.unmap) j["discard"] = "unmap";
  if (!disk.detect_zeroes.empty()) j["detect-zeroes"] = disk.detect_zeroes;
  return j;
}

void set_link(Json& j, const devices::FrameLinkOptions& link) {
  using Kind = devices::FrameLinkOptions::Kind;
  using Family = devices::SocketAddress::Family;
  j["kind-of-link"] = link.kind == Kind::Connect  ? "connect"
                      : link.kind == Kind::Listen ? "listen"
                      : link.kind == Kind::Vde    ? "vde"
                                                  : "datagram";
  if (link.local.family != Family::None) j["local"] = link.local.text();
  if (link.remote.family != Family::None) j["remote"] = link.remote.text();
  if (link.reconnect_ms) j["reconnect-ms"] = *link.reconnect_ms;
}

void set_user(Json& j, const devices::UserNetworkOptions& user) {
  j["dhcpstart"] = devices::ipv4_text(user.first_lease);
  if (!user.ipv4) j["ipv4"] = false;
  const std::string prefix = devices::ip_text(user.network6);
  if (user.ipv6) j["ipv6-net"] = fmt::format("{}/{}", prefix.substr(1, prefix.size() - 2), user.network6_bits);
}

Json device_json(const Machine& m, const machine::NetworkSpec& spec) {
  Json j{{"kind", "network"}, {"connected", spec.unplugged ? "no" : spec.tap ? "tap" : spec.link ? "socket" : "user"}};
  if (spec.card == machine::NetworkSpec::Card::E1000) j["card"] = "e1000";
  if (spec.tap && !spec.tap->interface.empty()) j["interface"] = spec.tap->interface;
  if (spec.tap && !spec.tap->helper.empty()) {
    j["helper"] = spec.tap->helper;
    j["bridge"] = spec.tap->bridge;
  }
  if (spec.network.mac) j["mac"] = devices::mac_text(*spec.network.mac);
  if (spec.network.restricted) j["restrict"] = true;
  if (!spec.network.tftp_folder.empty()) j["tftp"] = spec.network.tftp_folder;
  if (spec.link) set_link(j, *spec.link);
  if (spec.is_user()) set_user(j, spec.network);
  for (const devices::GuestForward& f : spec.network.guest_forwards)
    j["guestfwd"].push_back(fmt::format("tcp:{}:{}-{}", devices::ipv4_text(f.address), f.port,
                                        f.is_line() ? place_text(m.vm, f.line) : "cmd:" + f.command));
  for (const devices::DumpOptions& dump : spec.dumps)
    j["dumps"].push_back({{"file", dump.path}, {"maxlen", dump.most_bytes}});
  for (const devices::HostForward& f : spec.network.forwards)
    j["hostfwd"].push_back(fmt::format("{}:{}:{}-{}:{}", f.udp ? "udp" : "tcp", devices::ip_text(f.host_address),
                                       f.host_port, devices::ip_text(f.guest_address), f.guest_port));
  return j;
}

Json device_json(const Machine&, const machine::EntropySpec&) { return {{"kind", "entropy"}}; }

Json device_json(const Machine&, const machine::WatchdogSpec&) { return {{"kind", "watchdog"}}; }

Json device_json(const Machine&, const machine::BalloonSpec& spec) {
  return {{"kind", "balloon"}, {"free-page-reporting", spec.free_page_reporting}};
}

Json device_json(const Machine&, const machine::PvpanicSpec& spec) {
  return {{"kind", "pvpanic"}, {"events", spec.events}};
}

Json device_json(const Machine& m, const machine::ConsoleSpec& spec) {
  Json j{{"kind", "console"}, {"ports", Json::array()}};
  for (const machine::PortSpec& port : spec.ports) {
    Json p{{"where", chardev_json(m, port.chardev)}, {"nr", port.number}};
    if (port.console) p["console"] = true;
    if (!port.name.empty()) p["name"] = port.name;
    j["ports"].push_back(std::move(p));
  }
  return j;
}

Json device_json(const Machine& m, const machine::ScsiSpec& spec) {
  Json j{{"kind", "scsi"}, {"units", Json::array()}};
  for (const machine::ScsiSpec::Unit& unit : spec.units) {
    Json u = device_json(m, unit.disk);
    u["kind"] = unit.cd_rom ? "cd-rom" : "disk";
    u["target"] = unit.address.target;
    u["lun"] = unit.address.lun;
    j["units"].push_back(std::move(u));
  }
  return j;
}

Json device_json(const Machine&, const machine::ShareSpec& share) {
  using devices::ninep::OtherDevices;
  Json j{{"kind", "share"},
         {"folder", share.path},
         {"tag", share.tag},
         {"security-model", devices::ninep::name(share.model)},
         {"read-only", share.read_only}};
  j["multidevs"] = share.others == OtherDevices::Remap    ? "remap"
                   : share.others == OtherDevices::Forbid ? "forbid"
                                                          : "warn";
  if (share.write_out) j["writeout"] = "immediate";
  if (devices::ninep::is_mapped(share.model)) {
    j["fmode"] = share.file_mode;
    j["dmode"] = share.folder_mode;
  }
  return j;
}

Json device_json(const Machine&, const machine::GpuSpec& spec) {
  return {{"kind", "gpu"}, {"width", spec.width}, {"height", spec.height}};
}

Json device_json(const Machine&, const machine::EduSpec& spec) {
  return {{"kind", "edu"}, {"dma_mask", spec.dma_mask}};
}

Json device_json(const Machine&, const machine::SharedMemorySpec& spec) {
  Json j{{"kind", "shared-memory"}, {"size", spec.size}, {"share", spec.shared}, {"read-only", spec.read_only}};
  if (!spec.path.empty()) j["file"] = spec.path;
  return j;
}

Json device_json(const Machine&, const machine::VsockSpec& vsock) {
  return {{"kind", "vsock"}, {"cid", vsock.cid}, {"path", vsock.path}};
}

Json device_json(const Machine&, const machine::VhostUserSpec& spec) {
  if (spec.kind == devices::vhost_user::Kind::Disk) return {{"kind", "vhost-user-disk"}, {"socket", spec.socket}};
  Json j{{"kind", "virtio-fs"}, {"tag", spec.tag}};
  if (spec.socket.empty())
    j["folder"] = spec.folder;
  else
    j["socket"] = spec.socket;
  return j;
}

/// A number on virtio-mmio, and the text that QEMU's "info qtree" has on PCI.
void set_place(Json& device, const machine::Seat& seat) {
  if (seat.bus == machine::Seat::Bus::Mmio) {
    device["slot"] = seat.slot;
    return;
  }
  device["pci"] = fmt::format("{:02x}.{:x}", seat.slot, seat.function);
}

Json flash_json(std::size_t bank, const machine::FlashSpec& flash) {
  Json j{{"unit", bank}, {"file", flash.path}, {"read-only", flash.read_only}};
  if (flash.snapshot) j["snapshot"] = true;
  return j;
}

Json loaded_json(const machine::LoadedFile& loaded) {
  Json j;
  if (!loaded.path.empty()) j["file"] = loaded.path;
  if (loaded.raw) j["raw"] = true;
  j["address"] = loaded.address;
  if (!loaded.data.empty()) j["data"] = loaded.data;
  if (loaded.vcpu) j["cpu"] = *loaded.vcpu;
  return j;
}

Json machine_json(const Machine& m) {
  const machine::BootConfig& boot = m.vm.boot;
  Json j;
  for (const auto& [key, file] : {std::pair{"kernel", boot.kernel},
                                  {"initrd", boot.initrd},
                                  {"dtb", boot.dtb},
                                  {"firmware", boot.firmware},
                                  {"dumpdtb", m.dump_dtb},
                                  {"pidfile", m.pid_file}})
    if (!file.empty()) j[key] = file;
  for (std::size_t bank = 0; bank < boot.flash.size(); ++bank)
    if (!boot.flash[bank].path.empty()) j["flash"].push_back(flash_json(bank, boot.flash[bank]));
  for (const machine::LoadedFile& loaded : boot.loaded) j["loaded"].push_back(loaded_json(loaded));
  for (const machine::FirmwareOptions::File& file : boot.items.files) {
    j["fw_cfg"].push_back({{"name", file.name}});
    j["fw_cfg"].back()[file.path.empty() ? "string" : "file"] = file.path.empty() ? file.content : file.path;
  }
  if (boot.append) j["append"] = *boot.append;
  j["memory"] = boot.ram_size;
  j["cpus"] = boot.vcpus;
  j["cpu"] = arm::row(boot.cpu.value_or(arm::CpuModel::CortexA15)).name;
  j["serial"] = chardev_json(m, m.vm.console);
  if (boot.board->find(machine::DeviceKind::SecondUart)) j["serial2"] = chardev_json(m, m.vm.second_console);
  j["virtio"] = m.vm.legacy_virtio ? "legacy" : "modern";
  j["reboot"] = m.vm.reboot;
  for (const vmm::MonitorSpec& spec : m.vm.monitors)
    j[spec.mode == monitor::Monitor::Mode::Readline ? "monitors" : "qmp"].push_back(chardev_json(m, spec.chardev));
  if (m.vm.stopped) j["stopped"] = true;
  if (m.daemonize) j["daemonize"] = true;
  j["devices"] = Json::array();
  for (std::size_t i = 0; i < m.vm.devices.size(); ++i) {
    Json device = std::visit([&m](const auto& spec) { return device_json(m, spec); }, m.vm.devices[i]);
    set_place(device, m.vm.seats[i]);
    j["devices"].push_back(std::move(device));
  }
  return j;
}

}  // namespace

std::string explain(const Line& line, const Machine& machine) {
  Json j;
  j["outcome"] = line.outcomes.any_refused() ? "refused" : "runs";
  j["options"] = Json::array();
  for (const Outcome& o : line.outcomes.all()) {
    Json row{{"option", o.option}, {"fate", name(o.fate)}};
    if (!o.became.empty()) row["became"] = o.became;
    if (!o.why.empty()) row["why"] = o.why;
    j["options"].push_back(std::move(row));
  }
  j["machine"] = machine_json(machine);
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace armvisor::qemu
