// The serial console, and monitors.
#include <algorithm>

#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using Kind = devices::ChardevOptions::Kind;
using When = devices::ConsoleKeys::When;

bool has_stdio(const vmm::VmConfig& vm) {
  return std::ranges::any_of(vm.chardevs, [](const auto& c) { return c.kind == Kind::Stdio; });
}

/// Puts a chardev that is used for the first time into the machine's list. False, with an outcome: it cannot be there.
bool add_chardev(Line& line, vmm::VmConfig& vm, Chardev& c) {
  devices::ChardevOptions& where = c.where;
  if (where.kind == Kind::None && where.log_file.empty()) return true;
  if (where.kind == Kind::Stdio && has_stdio(vm)) {
    line.outcomes.refused(c.given.text(),
                          "expected standard input and output for one character device, found two; send one elsewhere, "
                          "or share it (mux=on)");
    return false;
  }
  where.keys.when = where.mux ? When::Always : When::Never;
  if (line.escape) where.keys.escape = *line.escape;
  vm.chardevs.push_back(where);
  c.index = static_cast<u32>(vm.chardevs.size() - 1);
  return true;
}

/// Whose place is meant: that of a -chardev, or its own. null, with an outcome: there is none.
Chardev* find_end(Line& line, Chardev& end) {
  if (end.refused) return nullptr;
  if (end.refers.empty()) return &end;
  Chardev* const named = line.chardev(end.refers);
  if (!named) {
    refuse(line, end, end.given.text(), "expected the id of a -chardev, found none of that name; check it");
    return nullptr;
  }
  if (named->refused) line.outcomes.ignored(end.given.text(), "its -chardev is refused");
  return named->refused ? nullptr : named;
}

/// The monitor that -nographic has unless another is named: it shares standard input and output with the serial line.
bool has_default_monitor(const Line& line) {
  return line.display == Display::Nographic && line.defaults && line.monitors.empty();
}

bool monitor_on_stdio(Line& line) {
  return std::ranges::any_of(line.monitors, [&line](Monitor& m) {
    const Chardev* const c = m.end.refers.empty() ? &m.end : line.chardev(m.end.refers);
    return c && c->where.kind == Kind::Stdio;
  });
}

void add_first_serial(Line& line, vmm::VmConfig& vm) {
  if (!line.serials.empty()) {
    Chardev& first = line.serials.front();
    if (!use_chardev(line, vm, first, "serial0", vm.console)) return;  // it has been said why
    return line.outcomes.mapped(first.given.text(), "the serial console is on " + place_text(vm, vm.console));
  }
  if (!line.defaults) return line.outcomes.mapped("default: -serial none", "-nodefaults leaves it out");
  if (line.display == Display::None)
    return line.outcomes.mapped("default: -serial vc", "shown in no window, as in QEMU with -display none");
  if (line.display != Display::Nographic && monitor_on_stdio(line))
    return line.outcomes.clamped("default: -serial vc", "the serial console is nowhere",
                                 "QEMU shows it in a window, which is not here");
  const bool muxed = has_default_monitor(line);
  line.serials.push_back(new_chardev({"serial", muxed ? "mon:stdio" : "stdio"}));
  Chardev& stdio = line.serials.back();
  stdio.where.mux = muxed;
  stdio.where.keys.signals = line.display == Display::Nographic && !muxed;
  if (!use_chardev(line, vm, stdio, "serial0", vm.console)) return;
  if (line.display == Display::Nographic)
    return line.outcomes.mapped("default: " + stdio.given.text(),
                                "the serial console is on " + place_text(vm, vm.console));
  vm.chardevs[*vm.console].keys.when = When::Terminal;
  line.outcomes.clamped("default: -serial vc", "the serial console is on " + place_text(vm, vm.console),
                        "QEMU shows it in a window, which is not here");
}

/// QEMU's board has a second UART when a second line is asked for, and no third.
void add_other_serials(Line& line, vmm::VmConfig& vm) {
  for (std::size_t i = 1; i < line.serials.size(); ++i) {
    Chardev& c = line.serials[i];
    if (c.given.value == "none" || i > 1) {
      line.outcomes.ignored(c.given.text(), "the board has no such line then, nor has QEMU's");
      continue;
    }
    if (!use_chardev(line, vm, c, "serial1", vm.second_console)) continue;
    vm.boot.board = &board_of(line, true);
    line.outcomes.mapped(c.given.text(), "a second serial line, on " + place_text(vm, vm.second_console));
  }
}

bool has_shared_monitor(const Line& line) {
  return std::ranges::any_of(line.serials, [](const Chardev& c) { return c.refers.empty() && c.where.mux && c.index; });
}

std::string what(monitor::Monitor::Mode mode) {
  return mode == monitor::Monitor::Mode::Readline ? "a monitor, on " : "a machine protocol (QMP), on ";
}

void add_monitor(Line& line, vmm::VmConfig& vm, Monitor& m, u32 number) {
  vmm::MonitorSpec spec{.chardev = {}, .mode = m.mode};
  if (!use_chardev(line, vm, m.end, "compat_monitor" + std::to_string(number), spec.chardev)) return;
  if (!spec.chardev) return line.outcomes.mapped(m.end.given.text(), "no monitor");
  line.outcomes.mapped(m.end.given.text(), what(m.mode) + place_text(vm, spec.chardev));
  vm.monitors.push_back(spec);
}

void add_gdb(Line& line, vmm::VmConfig& vm) {
  if (!line.gdb || !use_chardev(line, vm, *line.gdb, "gdb", vm.gdb)) return;
  line.outcomes.mapped(line.gdb->given.text(),
                       vm.gdb ? "gdb may connect to " + place_text(vm, vm.gdb) : "gdb cannot connect");
}

/// What a "mon:" place, or -nographic without more, shares its console with.
void add_shared_monitor(Line& line, vmm::VmConfig& vm, const std::string& option, Chardev& c) {
  ++c.users;
  vm.monitors.push_back({.chardev = c.index, .mode = monitor::Monitor::Mode::Readline});
  line.outcomes.mapped(option, "a monitor, on " + place_text(vm, c.index));
}

void check_display(Line& line) {
  if (line.display != Display::Window) return;
  line.outcomes.clamped(line.display_given.text(), "no window",
                        "there is none, nor has the machine a graphics card that would show anything in it");
}

}  // namespace

bool use_chardev(Line& line, vmm::VmConfig& vm, Chardev& end, const std::string& label, devices::ChardevIndex& index) {
  Chardev* const c = find_end(line, end);
  if (!c) return false;
  if (c->users > 0 && !c->where.mux) {
    line.outcomes.refused(end.given.text(),
                          "expected a -chardev that nothing else uses, or one with mux=on; change it");
    return false;
  }
  if (c->users++ == 0) {
    if (c->where.label.empty()) c->where.label = label;
    c->refused = !add_chardev(line, vm, *c);
  }
  index = c->index;
  return !c->refused;
}

std::string place_text(const vmm::VmConfig& vm, devices::ChardevIndex index) {
  if (!index) return "nowhere";
  const devices::ChardevOptions& where = vm.chardevs[*index];
  switch (where.kind) {
    case Kind::Stdio: return "standard input and output";
    case Kind::Pty: return "a pseudo-terminal";
    case Kind::File: return "the file " + where.path;
    case Kind::Pipe: return "the pipe " + where.path;
    case Kind::Udp: return "datagrams to " + where.socket.at.text();
    case Kind::Socket: return "the socket " + where.socket.text();
    case Kind::None:
    case Kind::Own: break;
  }
  return "nowhere";
}

void add_consoles(Line& line, vmm::VmConfig& vm) {
  check_display(line);
  const bool default_monitor = has_default_monitor(line);
  add_first_serial(line, vm);
  add_other_serials(line, vm);
  u32 number = 0;
  for (Monitor& m : line.monitors) add_monitor(line, vm, m, number++);
  for (Chardev& c : line.serials)
    if (c.refers.empty() && c.where.mux && c.index) add_shared_monitor(line, vm, "-serial mon:", c);
  if (default_monitor && !has_shared_monitor(line))
    line.outcomes.ignored("default: -monitor stdio", "standard input and output are a serial line's alone");
  add_gdb(line, vm);
  if (line.stopped && vm.monitors.empty() && !vm.gdb)
    line.outcomes.refused(
        "-S",
        "expected a monitor (-monitor, -qmp) or gdb (-gdb) that can let the machine go; add one, or leave it "
        "out");
}

}  // namespace armvisor::qemu
