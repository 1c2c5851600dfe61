#include "cli/run_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "cli/sandbox_option.h"
#include "devices/backends/image_format.h"
#include "devices/backends/nbd_disk.h"
#include "exec/run_agent.h"
#include "vmm/control_path.h"

namespace armvisor::cli {
namespace {

Error bad(const std::string& message) { return Error{ErrorKind::BadArguments, message}; }

template <class T>
struct Choice {
  const char* name;
  T value;
};

template <class T, std::size_t N>
Result<T> choose(const std::string& option, const std::string& text, const Choice<T> (&choices)[N]) {
  std::string names;
  for (const auto& choice : choices) {
    if (text == choice.name) return choice.value;
    names += names.empty() ? choice.name : std::string(", ") + choice.name;
  }
  return bad(option + ": expected one of " + names + ", found '" + text + "'; give one of these");
}

/// An empty name is mostly a variable of a script that is not set.
Status check_named(const RunOptions& o) {
  const std::pair<const char*, const std::optional<std::string>&> files[] = {{"--kernel", o.kernel},
                                                                             {"--initrd", o.initrd},
                                                                             {"--dtb", o.dtb},
                                                                             {"--firmware", o.firmware},
                                                                             {"--dump-dtb", o.dump_dtb}};
  for (const auto& [option, path] : files)
    if (path && path->empty())
      return bad(std::string(option) + ": expected a file, found an empty name; name one or leave the option out");
  return {};
}

/// The firmware has the first bank to itself.
Status set_flash(const RunOptions& o, machine::BootConfig& boot) {
  if (!o.flash.empty() && !boot.firmware.empty()) boot.flash.emplace_back();
  for (const std::string& text : o.flash) {
    auto file = devices::parse_disk_option(text);
    if (!file) return bad("--flash: " + file.error().message);
    if (file->format.empty() && devices::format_of_name(file->path) == "raw") file->format = "raw";
    if (file->format != "raw" || devices::is_nbd_address(file->path))
      return bad("--flash: expected a raw image in a file, found '" + text +
                 "'; convert it (qemu-img convert -O raw), or say format=raw");
    boot.flash.push_back({*std::move(file)});
  }
  return {};
}

Result<arm::CpuModel> parse_cpu_model(const std::string& name) {
  if (const auto model = arm::find_cpu_model(name)) return *model;
  std::string names;
  for (const arm::CpuModelRow& row : arm::cpu_models()) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return bad("--cpu: expected one of " + names + ", found '" + name + "'; give one of these");
}

Status set_machine(const RunOptions& o, vmm::VmConfig& vm) {
  AV_TRY(check_named(o));
  vm.boot.kernel = o.kernel.value_or("");
  vm.boot.initrd = o.initrd.value_or("");
  vm.boot.dtb = o.dtb.value_or("");
  vm.boot.firmware = o.firmware.value_or("");
  vm.boot.kernel_for_firmware = !vm.boot.kernel.empty() && !vm.boot.firmware.empty();
  AV_TRY(set_flash(o, vm.boot));
  vm.boot.append = o.append;
  if (o.memory) {
    AV_TRY_ASSIGN(vm.boot.ram_size, parse_size("--memory", *o.memory));
  }
  if (o.cpus) {
    AV_TRY_ASSIGN(const u64 cpus, parse_number("--cpus", *o.cpus, 1, vm.boot.board->max_vcpus));
    vm.boot.vcpus = static_cast<u32>(cpus);
  }
  if (o.cpu) {
    AV_TRY_ASSIGN(vm.boot.cpu, parse_cpu_model(*o.cpu));
  }
  return {};
}

Status set_balloon(const RunOptions& o, vmm::VmConfig& vm) {
  if (o.balloon.empty()) return {};
  machine::BalloonSpec balloon;
  balloon.free_page_reporting = balloon.deflate_on_oom = true;
  if (o.balloon != "true") {  // without a value
    AV_TRY_ASSIGN(const u64 left, parse_size("--balloon", o.balloon));
    balloon.pages = machine::balloon_pages(vm.boot.ram_size, left);
  }
  vm.devices.emplace_back(balloon);
  return {};
}

/// Of "--share", with the words that the kinds of shares have beside those of parse_share_option().
Result<machine::DeviceSpec> parse_share(const std::string& given) {
  std::string text = given;
  std::string kind = "9p";
  std::optional<devices::vhost_user::Sandbox> sandbox;
  bool read_only = false;
  for (std::size_t comma; (comma = text.rfind(',')) != std::string::npos; text.erase(comma)) {
    const std::string word = text.substr(comma + 1);
    if (word.starts_with("fs="))
      kind = word.substr(3);
    else if (word == "ro")
      read_only = true;
    else if (!word.starts_with("sandbox="))
      break;
    else if (!(sandbox = devices::vhost_user::find_sandbox(word.substr(8))))
      return bad(fmt::format("--share: expected sandbox=namespace, chroot or none, found '{}'; change it", word));
  }
  if (kind != "9p" && kind != "virtiofs")
    return bad(fmt::format("--share: expected fs=9p or fs=virtiofs, found '{}'; change it", kind));
  if (kind == "9p" && sandbox) return bad("--share: expected sandbox= with fs=virtiofs only; leave it out");
  auto share = devices::ninep::parse_share_option(read_only ? text + ",ro" : text);
  if (!share) return bad("--share: " + share.error().message);
  if (kind == "9p") return machine::DeviceSpec(machine::ShareSpec{*std::move(share)});
  machine::VhostUserSpec spec;
  spec.folder = std::move(share->path);
  spec.tag = std::move(share->tag);
  spec.read_only = share->read_only;
  spec.sandbox = sandbox;
  return machine::DeviceSpec(std::move(spec));
}

Status set_shares(const RunOptions& o, vmm::VmConfig& vm) {
  std::set<std::string> tags;
  for (const std::string& text : o.shares) {
    AV_TRY_ASSIGN(machine::DeviceSpec share, parse_share(text));
    const auto* const by_9p = std::get_if<machine::ShareSpec>(&share);
    const std::string& tag = by_9p ? by_9p->tag : std::get<machine::VhostUserSpec>(share).tag;
    if (!tags.insert(tag).second)
      return bad(fmt::format("--share: expected a tag for each folder, found '{}' twice; say FOLDER:TAG", tag));
    vm.devices.push_back(std::move(share));
  }
  return {};
}

/// Disks come first, so that a guest finds them by the same names whatever else the machine has.
Status set_devices(const RunOptions& o, vmm::VmConfig& vm) {
  for (const std::string& text : o.disks) {
    auto disk = devices::parse_disk_option(text);
    if (!disk) return bad("--disk: " + disk.error().message);
    vm.devices.emplace_back(machine::DiskSpec{*std::move(disk), ""});
  }
  u32 networks = 0;
  for (const std::string& text : o.networks) {
    AV_TRY_ASSIGN(auto network, devices::parse_network_option(text));
    if (network.link && !network.link->switch_name.empty() && !network.network.mac)
      network.network.mac = devices::switch_mac(network.link->switch_name, o.name.value_or(""), networks);
    ++networks;
    vm.devices.emplace_back(machine::NetworkSpec{std::move(network)});
  }
  AV_TRY(set_shares(o, vm));
  if (o.vsock) {
    auto vsock = devices::vsock::parse_option(*o.vsock);
    if (!vsock) return bad("--vsock: " + vsock.error().message);
    vm.devices.emplace_back(machine::VsockSpec{*std::move(vsock)});
  }
  vm.devices.emplace_back(machine::EntropySpec{});
  AV_TRY(set_balloon(o, vm));
  if (o.io) AV_TRY(devices::parse_io_options(*o.io, vm.io));
  return {};
}

using Kind = devices::ChardevOptions::Kind;

/// The chardev that an option says, as the last of the list; nothing for "none".
Result<devices::ChardevIndex> add_chardev(vmm::VmConfig& vm, const std::string& option, const std::string& text) {
  AV_TRY_ASSIGN(auto where, devices::ChardevOptions::parse(option, text));
  if (where.kind == Kind::None) return devices::ChardevIndex();
  return vm.add_chardev(std::move(where));
}

std::ptrdiff_t on_stdio(const vmm::VmConfig& vm) {
  return std::ranges::count(vm.chardevs, Kind::Stdio, &devices::ChardevOptions::kind);
}

/// After semihosting's: the board's console is on standard input and output unless another is.
Status set_consoles(const RunOptions& o, vmm::VmConfig& vm) {
  if (o.virtio_console) {
    AV_TRY_ASSIGN(const auto where, add_chardev(vm, "--virtio-console", *o.virtio_console));
    vm.devices.emplace_back(machine::ConsoleSpec{{machine::PortSpec{.chardev = where}}});
  }
  if (o.console || on_stdio(vm) == 0) {
    AV_TRY_ASSIGN(vm.console, add_chardev(vm, "--console", o.console.value_or("stdio")));
  }
  if (on_stdio(vm) > 1)
    return bad(
        "--console, --virtio-console and --semihosting-console: expected one of them on stdio, found more; send the "
        "others elsewhere");
  return {};
}

Status set_agent(const RunOptions& o, RunRequest& request) {
  if (o.name) {
    AV_TRY(vmm::check_machine_name(*o.name));
    request.vm.name = *o.name;
  }
  if (!o.agent) return {};
  AV_TRY_ASSIGN(request.agent, exec::add_agent(request.vm));
  return {};
}

Status set_semihosting(const RunOptions& o, vmm::VmConfig& vm) {
  if (o.semihosting.empty()) {
    if (o.semihosting_console || o.semihosting_userspace || !o.arguments.empty())
      return bad(
          "--semihosting-console, --semihosting-userspace and --arg: expected --semihosting with them, found them "
          "without; add it");
    return {};
  }
  vmm::SemihostingSpec spec;
  if (o.semihosting != "true") spec.options.folder = o.semihosting;  // "true": without a value
  spec.options.everybody = o.semihosting_userspace;
  spec.options.command_line = o.arguments.empty() ? machine::kernel_command_line(vm.boot.kernel, o.append.value_or(""))
                                                  : machine::joined(o.arguments);
  if (o.semihosting_console) {
    AV_TRY_ASSIGN(auto where, devices::ChardevOptions::parse("--semihosting-console", *o.semihosting_console));
    spec.console = vm.add_chardev(std::move(where));  // "none", too: without any it is the process's own
  }
  vm.semihosting = std::move(spec);
  return {};
}

/// A socket is a server's, which does not keep the machine waiting.
Status set_debugger(const RunOptions& o, vmm::VmConfig& vm) {
  vm.stopped = o.stopped;
  if (o.stopped && !o.gdb) return bad("--stopped: expected --gdb, since gdb lets the machine go; add it");
  if (!o.gdb) return {};
  if (o.verify) return bad("--verify: expected no --gdb, since each block runs twice; leave one of them out");
  AV_TRY_ASSIGN(vm.gdb, add_chardev(vm, "--gdb", *o.gdb));
  if (!vm.gdb) return bad("--gdb: expected a place, found none; name one, or leave it out");
  devices::ChardevOptions& where = vm.chardevs[*vm.gdb];
  where.label = "gdb";
  if (where.kind == Kind::Socket) {
    where.socket.server = !where.socket.reconnect_ms;
    where.socket.wait = false;
  }
  if (where.kind == Kind::Stdio && on_stdio(vm) > 1)
    return bad("--gdb and --console: expected one of them on stdio, found both; send one elsewhere");
  where.keys.when = devices::ConsoleKeys::When::Never;
  return {};
}

/// After all devices are there: on PCI each has a slot, behind the host bridge's.
Status set_places(const RunOptions& o, vmm::VmConfig& vm) {
  using machine::Seat;
  constexpr Choice<Seat::Bus> k_buses[] = {{"mmio", Seat::Bus::Mmio}, {"pci", Seat::Bus::Pci}};
  AV_TRY_ASSIGN(const Seat::Bus bus, choose("--virtio", o.virtio.value_or("mmio"), k_buses));
  const std::size_t most = bus == Seat::Bus::Pci ? devices::pci::HostBridge::k_slots - 1
                                                 : vm.boot.board->find(machine::DeviceKind::VirtioMmio)->count;
  if (vm.devices.size() + o.pvpanic > most)
    return bad(
        fmt::format("--virtio: expected at most {} disks, networks, shares, vsocks, consoles, agents and entropy "
                    "sources together, with --pvpanic, found {}; leave some out",
                    most, vm.devices.size() + o.pvpanic));
  if (bus == Seat::Bus::Mmio && !o.pvpanic) return {};
  vm.boot.board = &machine::virt_board(false, machine::VirtPci::Low);
  const u32 first = bus == Seat::Bus::Pci ? 1 : 0;
  for (u32 n = 0; n < vm.devices.size(); ++n) vm.seats.push_back({.bus = bus, .slot = n + first});
  if (!o.pvpanic) return {};
  vm.devices.emplace_back(machine::PvpanicSpec{});
  vm.seats.push_back({.bus = Seat::Bus::Pci, .slot = bus == Seat::Bus::Pci ? vm.seats.back().slot + 1 : 1});
  return {};
}

Result<RunRequest::StatsOutput> parse_stats(std::string_view text) {
  RunRequest::StatsOutput out;
  if (text == "true") return out;  // without a value
  out.json = text.starts_with("json:");
  if (out.json || text.starts_with("text:")) out.file = text.substr(5);
  if (out.file.empty())
    return bad("--stats: expected nothing, =json:FILE or =text:FILE, found '=" + std::string(text) + "'; change it");
  return out;
}

}  // namespace

Result<RunOptions> parse_run_options(const Arguments& arguments) {
  RunOptions o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("run", arguments, o.help, bind));
  return o;
}

Result<RunRequest> run_request(const RunOptions& o) {
  RunRequest request;
  AV_TRY(set_machine(o, request.vm));
  vmm::VmConfig& vm = request.vm;
  AV_TRY(set_devices(o, vm));
  AV_TRY(set_semihosting(o, vm));
  AV_TRY(set_consoles(o, vm));
  AV_TRY(set_agent(o, request));
  AV_TRY(set_debugger(o, vm));
  AV_TRY(set_places(o, vm));
  if (o.engine) {
    constexpr Choice<const char*> k_engines[] = {{"auto", "auto"}, {"interp", "interp"}, {"jit", "jit"}};
    AV_TRY_ASSIGN(vm.engine, choose("--engine", *o.engine, k_engines));
  }
  if (o.traps) AV_TRY(engine::set_trap_level(*o.traps, vm.jit));
  if (o.jit) AV_TRY(engine::parse_jit_options(*o.jit, vm.jit));
  if (o.mmu) {
    AV_TRY_ASSIGN(vm.mmu, engine::parse_mmu_policy(*o.mmu));
  }
  if (!o.stats.empty()) {
    AV_TRY_ASSIGN(request.stats, parse_stats(o.stats));
  }
  vm.count_time = request.stats || o.name;
  if (o.timeout) {
    AV_TRY_ASSIGN(const u64 seconds, parse_number("--timeout", *o.timeout, 1, 1'000'000'000));
    vm.timeout_ms = seconds * 1000;
  }
  if (o.log) {
    constexpr Choice<LogLevel> k_levels[] = {{"error", LogLevel::Error},
                                             {"warn", LogLevel::Warn},
                                             {"info", LogLevel::Info},
                                             {"debug", LogLevel::Debug},
                                             {"trace", LogLevel::Trace}};
    AV_TRY_ASSIGN(request.log, choose("--log", *o.log, k_levels));
  }
  vm.sandbox.mode = vmm::SandboxMode::IfPossible;
  if (o.sandbox) {
    AV_TRY_ASSIGN(vm.sandbox.mode, parse_sandbox(*o.sandbox));
  }
  vm.trace = o.trace;
  vm.verify = o.verify;
  if (vm.verify && vm.engine == "interp")
    return Error{ErrorKind::BadArguments,
                 "--verify: expected the engine jit, which it compares with the interpreter, found interp; leave out "
                 "--engine"};
  vm.reboot = !o.no_reboot;
  request.dump_dtb = o.dump_dtb.value_or("");
  vm.boot.tree_only = !request.dump_dtb.empty();
  return request;
}

}  // namespace armvisor::cli
