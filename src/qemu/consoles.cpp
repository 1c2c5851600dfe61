// The serial console, and monitors, of which there are none.
#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using Kind = devices::ConsoleOption::Kind;

/// Puts what a -chardev says in the place of its id. False, with an outcome: nothing can come of it.
bool resolve(Line& line, Chardev& c) {
  if (!c.refers.empty()) {
    Chardev* const named = line.chardev(c.refers);
    if (!named) {
      line.outcomes.refused(c.given.text(), "expected the id of a -chardev, found none of that name; check it");
      c.refused = true;
      return false;
    }
    named->used = true;
    c.where = named->where;
    c.mux = c.mux || named->mux;
    c.refused = named->refused;
    if (c.refused) line.outcomes.ignored(c.given.text(), "its -chardev is refused");
  }
  using When = devices::ConsoleKeys::When;
  c.where.keys.when = c.mux ? When::Always : When::Never;
  if (line.escape) c.where.keys.escape = *line.escape;
  return !c.refused;
}

std::string place_text(const devices::ConsoleOption& where) {
  switch (where.kind) {
    case Kind::Stdio: return "standard input and output";
    case Kind::Pty: return "a pseudo-terminal";
    case Kind::File: return "the file " + where.path;
    case Kind::None: break;
  }
  return "nowhere";
}

void add_first_serial(Line& line, vmm::VmConfig& vm) {
  if (!line.serials.empty()) {
    Chardev& first = line.serials.front();
    if (!resolve(line, first)) return;  // which says why
    vm.console = first.where;
    line.outcomes.mapped(first.given.text(), "the serial console is on " + place_text(first.where));
    return;
  }
  vm.console.kind = Kind::None;
  if (!line.defaults) return line.outcomes.mapped("default: -serial none", "-nodefaults leaves it out");
  if (line.display == Display::None)
    return line.outcomes.mapped("default: -serial vc", "shown in no window, as in QEMU with -display none");
  vm.console.kind = Kind::Stdio;
  if (line.escape) vm.console.keys.escape = *line.escape;
  using When = devices::ConsoleKeys::When;
  if (line.display == Display::Nographic) {  // shared with the monitor, unless that is elsewhere
    vm.console.keys.when = line.monitors.empty() ? When::Always : When::Never;
    vm.console.keys.signals = !line.monitors.empty();
    line.outcomes.mapped(line.monitors.empty() ? "default: -serial mon:stdio" : "default: -serial stdio",
                         "the serial console is on " + place_text(vm.console));
  } else {
    line.outcomes.clamped("default: -serial vc", "the serial console is on " + place_text(vm.console),
                          "QEMU shows it in a window, which is not here");
  }
}

/// QEMU's board has a second UART when a second line is asked for, and no third.
void add_other_serials(Line& line, vmm::VmConfig& vm) {
  for (std::size_t i = 1; i < line.serials.size(); ++i) {
    Chardev& c = line.serials[i];
    if (c.given.value == "none" || i > 1) {
      line.outcomes.ignored(c.given.text(), "the board has no such line then, nor has QEMU's");
      continue;
    }
    if (!resolve(line, c)) continue;
    if (c.where.kind == Kind::Stdio && vm.console.kind == Kind::Stdio) {
      line.outcomes.refused(c.given.text(), "expected standard input and output for one line; send one elsewhere");
      continue;
    }
    vm.boot.board = &machine::virt_board(true, true);
    vm.second_console = c.where;
    line.outcomes.mapped(c.given.text(), "a second serial line, on " + place_text(c.where));
  }
}

constexpr const char* k_keys_only = "the keys of the console, without the monitor's commands";

void add_monitor(Line& line, Chardev& c) {
  if (!resolve(line, c)) return;
  if (c.where.kind == Kind::None)
    line.outcomes.mapped(c.given.text(), "no monitor");
  else if (c.where.kind == Kind::Stdio && c.mux)
    line.outcomes.mapped(c.given.text(), k_keys_only);
  else
    line.outcomes.refused(c.given.text(), "expected none: there is no monitor; say -monitor none");
}

void check_display(Line& line) {
  if (line.display != Display::Window) return;
  line.outcomes.clamped(line.display_given.text(), "no window",
                        "there is none, nor has the machine a graphics card that would show anything in it");
}

}  // namespace

std::optional<devices::ConsoleOption> console_place(Line& line, Chardev& chardev) {
  if (!resolve(line, chardev)) return std::nullopt;
  return chardev.where;
}

void add_consoles(Line& line, vmm::VmConfig& vm) {
  check_display(line);
  add_first_serial(line, vm);
  add_other_serials(line, vm);
  for (Chardev& monitor : line.monitors) add_monitor(line, monitor);
  if (line.monitor_on_serial)
    line.outcomes.mapped("-serial mon:", k_keys_only);
  else if (line.display == Display::Nographic && line.defaults && line.monitors.empty())
    line.outcomes.mapped("default: -monitor stdio", k_keys_only);
}

}  // namespace armvisor::qemu
