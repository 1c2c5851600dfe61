#include "qemu/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "qemu/device_kinds.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// Where QEMU's own builds of firmware are, beside the folders of -L.
constexpr std::string_view k_data_folders[] = {"/usr/share/qemu", "/usr/local/share/qemu", "/usr/share/qemu-firmware"};

/// A name without a folder is looked for in those of -L, and in QEMU's own.
std::string find_firmware(const Line& line) {
  const std::string& name = line.firmware;
  if (name.empty() || name.find('/') != std::string::npos || ::access(name.c_str(), F_OK) == 0) return name;
  const auto in = [&name](std::string_view folder) { return std::string(folder) + "/" + name; };
  for (const std::string& folder : line.data_folders)
    if (::access(in(folder).c_str(), F_OK) == 0) return in(folder);
  for (const std::string_view folder : k_data_folders)
    if (::access(in(folder).c_str(), F_OK) == 0) return in(folder);
  return name;
}

/// Something is to be in the first bank, be it refused.
bool any_first_flash(const Line& line) {
  const auto first = [](const Drive& d) { return d.interface == "pflash" && d.index.value_or(0) == 0; };
  return !line.flash_nodes[0].node.empty() || std::ranges::any_of(line.drives, first);
}

bool runs_nothing(const Line& line) {
  return line.kernel.empty() && line.firmware.empty() && !any_first_flash(line) && line.dump_dtb.empty();
}

/// -device loader with cpu-num=0.
bool starts_first_cpu(const Device& device) {
  const auto* const cpu = device.driver == "loader" ? device.properties.find("cpu-num") : nullptr;
  return cpu && parse_unsigned(*cpu) == 0u;
}

void check_boot(Line& line, const machine::BootConfig& boot) {
  Outcomes& out = line.outcomes;
  const bool flash = !boot.flash.empty() && !boot.flash[0].path.empty();
  if (line.machine.empty())
    out.refused("default: -machine", "expected -M virt, found no -M; QEMU has no default either");
  if (runs_nothing(line) && std::ranges::none_of(line.devices, starts_first_cpu))
    out.clamped("default: -kernel none", "a CPU that runs the zeros of empty flash, as in QEMU",
                "there is neither -kernel nor -bios nor flash; a signal or the console's keys end the machine");
  if (flash && !line.firmware.empty())
    out.refused("-bios " + line.firmware, "expected -bios or flash in unit 0, found both; leave out one");
  for (const Given& given : line.smbios)
    if (flash || !line.firmware.empty())
      out.refused(given.text(),
                  "expected firmware without it: there are no SMBIOS tables here; leave it out if the guest can");
    else
      out.ignored(given.text(), "only firmware would read it, and there is none");
  if (line.kernel.empty() && !line.initrd.empty())
    out.refused("-initrd " + line.initrd, "expected -kernel with it; give both");
  if (line.kernel.empty() && line.append && line.dump_dtb.empty())
    out.refused("-append", "expected -kernel with it; give both");
  if (!line.dtb.empty() && !line.gic_version.empty() && line.gic_version != "2")
    out.refused(line.gic_option,
                "expected 2 with a device tree of one's own: there is no other GIC here; leave out one");
}

void set_boot(Line& line, machine::BootConfig& boot) {
  add_flash(line, boot);
  check_boot(line, boot);
  boot.board = &board_of(line, false);
  boot.kernel = line.kernel;
  boot.qemu_kernels = true;
  boot.initrd = line.initrd;
  boot.dtb = line.dtb;
  boot.firmware = find_firmware(line);
  boot.kernel_for_firmware = !line.kernel.empty() && !boot.boot_flash().empty();
  boot.items = line.firmware_options;
  boot.items.graphics = line.display != Display::Nographic;
  boot.append = line.append;
  boot.ram_size = line.memory;
  boot.vcpus = line.cpus;
  boot.cpu = line.cpu;
  boot.empty_flash = runs_nothing(line);
  boot.blank_flash = true;
  boot.tree_only = !line.dump_dtb.empty();
}

const Line::MemoryBackend* find_backend(Line& line, const Line::Reference& reference) {
  const auto at = std::ranges::find(line.memory_backends, reference.id, &Line::MemoryBackend::id);
  if (at != line.memory_backends.end()) return &*at;
  line.outcomes.refused(reference.option, "expected the id of an -object memory-backend-..., found none; check it");
  return nullptr;
}

/// -machine memory-backend= says how much RAM there is, if -m does not; both it and -numa must agree with -m.
void check_memory(Line& line) {
  const std::optional<Line::Reference> whole = line.memory_backend;
  if (whole) {
    const auto* const backend = find_backend(line, *whole);
    if (!backend) return;
    if (!line.memory_given) read_memory(line, {"m", "size=" + std::to_string(backend->size) + "B"});
  }
  for (const auto& reference : {whole, line.numa_memory}) {
    if (!reference) continue;
    const auto* const backend = find_backend(line, *reference);
    if (!backend) return;
    if (!backend->path.empty() && !std::filesystem::is_directory(backend->path))
      line.outcomes.refused(reference->option,
                            "expected memory that is no file's, since RAM is not kept in one here; say "
                            "memory-backend-ram, or mem-path= of a folder");
    else if (backend->size != line.memory)
      line.outcomes.refused(reference->option, "expected memory of the size of RAM; change one of the two");
    else
      line.outcomes.mapped(reference->option, "what RAM is");
  }
}

void check_high_memory(Line& line, const machine::Board& board) {
  if (!line.high_memory && board.low_ram(line.memory) < line.memory)
    line.outcomes.refused(
        "-machine highmem=off",
        "expected at most 3 GiB of RAM without memory above 4 GiB, as QEMU does, found more; change one "
        "of the two");
}

void check_background(Line& line, const vmm::VmConfig& vm) {
  using Kind = devices::ChardevOptions::Kind;
  if (line.daemonize && std::ranges::any_of(vm.chardevs, [](const auto& c) { return c.kind == Kind::Stdio; }))
    line.outcomes.refused("-daemonize",
                          "expected the console elsewhere than on standard input and output, which a "
                          "program in the background lets go; say -display none or -serial file:FILE");
}

}  // namespace

const machine::Board& board_of(const Line& line, bool two_uarts) {
  const bool high = line.high_memory && line.high_window;
  return machine::virt_board(two_uarts, high ? machine::VirtPci::High : machine::VirtPci::Low);
}

Machine make_machine(Line& line) {
  Machine m;
  check_memory(line);
  set_boot(line, m.vm.boot);
  check_high_memory(line, *m.vm.boot.board);
  m.vm.legacy_virtio = line.legacy_virtio;
  add_consoles(line, m.vm);
  add_semihosting(line, m.vm);
  add_devices(line, m.vm);
  check_background(line, m.vm);
  if (!line.outcomes.any_refused()) check_files(line, false);
  m.vm.reboot = line.reboot;
  m.vm.trace = line.trace;
  m.vm.stopped = line.stopped;
  m.vm.keep_when_off = line.keep_when_off;
  m.vm.panic = line.panic;
  m.vm.watchdog = line.watchdog;
  m.vm.title = line.title;
  m.vm.board_type = (line.machine == "virt" ? "virt-10.0" : line.machine) + "-machine";
  for (const DeviceRow& row : device_rows()) m.vm.device_types.emplace_back(row.name);
  if (!line.uuid.empty()) m.vm.uuid = line.uuid;
  m.dump_dtb = line.dump_dtb;
  m.pid_file = line.pid_file;
  m.log_file = line.log_file;
  m.daemonize = line.daemonize;
  m.vm.sandbox.mode = line.sandbox ? vmm::SandboxMode::IfPossible : vmm::SandboxMode::Off;
  return m;
}

}  // namespace armvisor::qemu
