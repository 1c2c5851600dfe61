#include "monitor/hmp.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "monitor/memory_dump.h"
#include "monitor/objects.h"
#include "monitor/pci_classes.h"

namespace armvisor::monitor {
namespace {

/// What is behind a command's name, and the CPU that it is about unless it says so itself.
struct Words : std::vector<std::string> {
  u32 cpu = 0;
};

Words split(const std::string& line) {
  Words words;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(" \t\r\n", at)) != std::string::npos) {
    std::size_t end = std::min(line.find_first_of(" \t\r\n", at), line.size());
    // A format may follow the name at once: x/4xw.
    if (words.empty()) end = std::min(end, line.find('/', at + 1));
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

struct Command {
  std::string_view names, arguments;
  std::string (*function)(MachineControl&, const Words&);  ///< of the words behind its name
  std::string_view help;

  bool has_name(std::string_view name) const {
    for (std::string_view rest = names; !rest.empty();) {
      const std::size_t bar = std::min(rest.find('|'), rest.size());
      if (rest.substr(0, bar) == name) return true;
      rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    return false;
  }
  std::string_view first_name() const { return names.substr(0, names.find('|')); }
};

struct Info {
  std::string_view name;
  std::string (*function)(MachineControl&, const Words&);  ///< of the words behind its name
  std::string_view help;
};

std::string error_text(const Status& status) { return status ? std::string() : status.error().message + "\n"; }

// --- info

constexpr const char* k_no_balloon = "Error: No balloon device has been activated\n";

std::string info_balloon(MachineControl& m, const Words&) {
  const auto bytes = m.balloon();
  return bytes ? "balloon: actual=" + std::to_string(*bytes >> 20) + "\n" : k_no_balloon;
}

std::string info_block(MachineControl& m, const Words&) {
  std::string text;
  for (const BlockInfo& b : m.blocks())
    text += (text.empty() ? "" : "\n") + b.device + ": " + b.file + " (" + b.format +
            (b.read_only ? ", read-only" : "") + ")\n    Cache mode:       writeback\n";
  return text;
}

std::string info_chardev(MachineControl& m, const Words&) {
  std::string text;
  for (const ChardevInfo& c : m.chardevs_in_use()) text += c.label + ": filename=" + c.filename + "\n";
  return text;
}

std::string info_cpus(MachineControl& m, const Words&) {
  std::string text;
  for (const CpuInfo& cpu : m.cpus())
    text += std::string(cpu.index == 0 ? "*" : " ") + " CPU #" + std::to_string(cpu.index) +
            ": thread_id=" + std::to_string(cpu.thread_id) + "\n";
  return text;
}

std::string info_kvm(MachineControl&, const Words&) { return "kvm support: not compiled\n"; }

std::string info_name(MachineControl& m, const Words&) {
  const std::string name = m.name();
  return name.empty() ? name : name + "\n";
}

std::string info_network(MachineControl& m, const Words&) {
  std::string text;
  for (const NetworkInfo& n : m.networks()) {
    text += n.card + ": index=0,type=nic,model=" + n.card.substr(0, n.card.find('.')) + ",macaddr=" + n.mac + "\n";
    if (!n.kind.empty())
      text += " \\ " + n.id + ": index=0,type=" + n.kind + (n.detail.empty() ? "" : "," + n.detail) + "\n";
  }
  return text;
}

std::string info_mtree(MachineControl& m, const Words&) {
  std::string text = "address-space: memory\n  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n";
  for (const devices::MappedRegion& r : m.memory_map())
    text += fmt::format("{}{:016x}-{:016x} (prio {}, {}): {}\n", std::string(2 * (2 + r.depth), ' '), r.base,
                        r.base + r.size - 1, r.depth, r.kind, r.name);
  return text + "\n";
}

std::string region_text(const PciDeviceInfo::Region& r) {
  const std::string kind =
      r.io ? "I/O" : fmt::format("{} bit{} memory", r.wide ? 64 : 32, r.prefetchable ? " prefetchable" : "");
  const int digits = r.io ? 4 : 8;
  const std::string place =
      r.address ? fmt::format("at 0x{:0{}x} [0x{:0{}x}].", *r.address, digits, *r.address + r.size - 1, digits)
                : "(not mapped)";
  return fmt::format("      BAR{}: {} {}\n", r.index, kind, place);
}

std::string info_pci(MachineControl& m, const Words&) {
  std::string text;
  for (const PciDeviceInfo& d : m.pci()) {
    const char* const name = pci_class_name(d.device_class);
    text += fmt::format("  Bus {:2}, device {:3}, function {}:\n    {}: PCI device {:04x}:{:04x}\n", d.bus, d.slot,
                        d.function, name ? name : fmt::format("Class {:04}", d.device_class), d.vendor, d.device);
    if (d.subsystem_vendor || d.subsystem)
      text += fmt::format("      PCI subsystem {:04x}:{:04x}\n", d.subsystem_vendor, d.subsystem);
    if (d.pin) text += fmt::format("      IRQ {}, pin {:c}\n", d.line, static_cast<char>('A' + d.pin - 1));
    for (const PciDeviceInfo::Region& r : d.regions) text += region_text(r);
    text += "      id \"" + d.id + "\"\n";
  }
  return text.empty() ? "No PCI devices\n" : text;
}

/// QEMU's GIC says nothing either.
std::string info_pic(MachineControl&, const Words&) { return {}; }

std::string info_qom_tree(MachineControl& m, const Words& words) {
  return object_tree(m.objects(), words.empty() ? "/machine" : words[0]);
}

std::string info_registers(MachineControl& m, const Words& words) {
  const bool all = !words.empty() && words[0] == "-a";
  u32 wanted = words.cpu;
  if (!words.empty() && !all) {
    const char* const end = words[0].data() + words[0].size();
    const auto [at, error] = std::from_chars(words[0].data(), end, wanted);
    if (error != std::errc() || at != end) return "info registers: expected -a or a CPU, found " + words[0] + "\n";
  }
  std::string text;
  for (const CpuInfo& cpu : m.cpus())
    if (all || cpu.index == wanted) text += m.registers(cpu.index);
  return text.empty() ? "CPU#" + std::to_string(wanted) + " not available\n" : text;
}

std::string info_status(MachineControl& m, const Words&) {
  const RunState state = m.state();
  const bool says_all = state == RunState::Running || state == RunState::Paused;
  const std::string why = says_all ? "" : std::string(" (") + name(state) + ")";
  return std::string("VM status: ") + (state == RunState::Running ? "running" : "paused") + why + "\n";
}

std::string info_uuid(MachineControl& m, const Words&) { return m.uuid() + "\n"; }

std::string info_version(MachineControl& m, const Words&) {
  const VersionInfo v = m.version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.micro) + v.package + "\n";
}

constexpr Info k_infos[] = {
#define HMP(names, arguments, function, help)
#define INFO(name, function, help) {name, info_##function, help},
#define NOT_HERE(name, why)
#include "monitor/hmp_commands.inc"
#undef HMP
#undef INFO
#undef NOT_HERE
};

std::string run_info(MachineControl& m, const Words& words) {
  std::string text;
  if (words.empty()) {
    for (const Info& row : k_infos) text += "info " + std::string(row.name) + "  -- " + std::string(row.help) + "\n";
    return text;
  }
  const auto row = std::ranges::find(k_infos, std::string_view(words[0]), &Info::name);
  if (row == std::end(k_infos)) return "unknown command: 'info " + words[0] + "'\n";
  Words rest = words;
  rest.erase(rest.begin());
  return row->function(m, rest);
}

// --- commands

std::string run_help(MachineControl& m, const Words& words);

std::string run_quit(MachineControl& m, const Words&) {
  m.quit();
  return {};
}
std::string run_stop(MachineControl& m, const Words&) {
  m.stop();
  return {};
}
std::string run_cont(MachineControl& m, const Words&) { return error_text(m.cont()); }
std::string run_system_reset(MachineControl& m, const Words&) {
  m.reset();
  return {};
}
std::string run_power_down(MachineControl& m, const Words&) {
  m.power_down();
  return {};
}

/// A size in MiB.
std::string run_balloon(MachineControl& m, const Words& words) {
  const std::string help = "Try \"help balloon\" for more information\n";
  if (words.empty()) return "unexpected end of expression\n" + help;
  u64 wanted = 0;
  const char* const end = words[0].data() + words[0].size();
  const auto [at, error] = std::from_chars(words[0].data(), end, wanted);
  if (words[0].starts_with('-')) return "enter a positive value\n" + help;
  if (error != std::errc() || at == words[0].data())
    return "invalid char '" + words[0].substr(0, 1) + "' in expression\n" + help;
  if (at != end || words.size() > 1) return "balloon: extraneous characters at the end of line\n" + help;
  if (!m.balloon()) return k_no_balloon;
  if (wanted == 0 || wanted > ~u64{0} >> 20) return "Error: Parameter 'value' expects a size\n";
  m.set_balloon(wanted << 20);
  return "";
}

std::string run_x(MachineControl& m, const Words& words) { return dump_memory(m, words.cpu, words); }
std::string run_xp(MachineControl& m, const Words& words) { return dump_memory(m, std::nullopt, words); }

std::string run_screendump(MachineControl& m, const Words& words) {
  if (words.size() != 1) return "screendump: expected the name of a file\n";
  const Status done = m.screendump(words[0]);
  return done ? "" : "Error: " + error_text(done);
}

using Forward = Status (MachineControl::*)(const std::string&, const std::string&);

Status change_forward(MachineControl& m, const Words& words, Forward change) {
  const bool named = words.size() > 1;
  return (m.*change)(named ? words[0] : "", words.back());
}
std::string run_hostfwd_add(MachineControl& m, const Words& words) {
  return error_text(change_forward(m, words, &MachineControl::add_forward));
}
std::string run_hostfwd_remove(MachineControl& m, const Words& words) {
  const Status done = change_forward(m, words, &MachineControl::remove_forward);
  return done ? "host forwarding rule for " + words.back() + " removed\n" : error_text(done);
}

constexpr Command k_commands[] = {
#define HMP(names, arguments, function, help) {names, arguments, run_##function, help},
#define INFO(name, function, help)
#define NOT_HERE(name, why)
#include "monitor/hmp_commands.inc"
#undef HMP
#undef INFO
#undef NOT_HERE
};

constexpr std::pair<std::string_view, std::string_view> k_not_here[] = {
#define HMP(names, arguments, function, help)
#define INFO(name, function, help)
#define NOT_HERE(name, why) {name, why},
#include "monitor/hmp_commands.inc"
#undef HMP
#undef INFO
#undef NOT_HERE
};

const Command* find_command(std::string_view name) {
  const auto row = std::ranges::find_if(k_commands, [name](const Command& c) { return c.has_name(name); });
  return row == std::end(k_commands) ? nullptr : &*row;
}

std::string run_help(MachineControl& m, const Words& words) {
  if (words.size() > 1 && words[0] == "info") return run_info(m, {});
  std::string text;
  for (const Command& c : k_commands)
    if (words.empty() || c.has_name(words[0]))
      text += std::string(c.names) + " " + std::string(c.arguments) + " -- " + std::string(c.help) + "\n";
  return text;
}

/// How many words there may be behind a command: at least, at most.
std::pair<std::size_t, std::size_t> words_of(const Command& c) {
  if (c.arguments.empty()) return {0, 0};
  if (c.first_name().starts_with("hostfwd")) return {1, 2};
  return {0, 2};
}

}  // namespace

const char* name(RunState state) {
  switch (state) {
    case RunState::Prelaunch: return "prelaunch";
    case RunState::Running: return "running";
    case RunState::Paused: return "paused";
    case RunState::Debug: return "debug";
    case RunState::Shutdown: return "shutdown";
    case RunState::GuestPanicked: return "guest-panicked";
    case RunState::Watchdog: return "watchdog";
  }
  return "";
}

std::string run_human_command(MachineControl& machine, const std::string& line, u32 cpu) {
  Words words = split(line);
  words.cpu = cpu;
  if (words.empty()) return {};
  const std::string name = words[0];
  words.erase(words.begin());
  const Command* const command = find_command(name);
  if (!command) {
    for (const auto& [other, why] : k_not_here)
      if (other == name) return name + ": expected a command that is here: " + std::string(why) + "; leave it out\n";
    return "unknown command: '" + name + "'\n";
  }
  const auto [least, most] = words_of(*command);
  const std::string hint = "\nTry \"help " + std::string(command->first_name()) + "\" for more information\n";
  if (words.size() < least) return std::string(command->names) + ": string expected" + hint;
  if (words.size() > most) return std::string(command->names) + ": extraneous characters at the end of line" + hint;
  return command->function(machine, words);
}

// --- typing

void LineEditor::show(std::string& shown) {
  if (line_ != shown_) {
    for (std::size_t i = 0; i < shown_cursor_; ++i) shown += "\x1b[D";
    shown += line_ + "\x1b[K";
    shown_ = line_;
    shown_cursor_ = line_.size();
  }
  for (; shown_cursor_ < cursor_; ++shown_cursor_) shown += "\x1b[C";
  for (; shown_cursor_ > cursor_; --shown_cursor_) shown += "\x1b[D";
}

void LineEditor::insert(char c) {
  if (line_.size() == k_max_line) return;
  line_.insert(cursor_++, 1, c);
}

void LineEditor::erase_before() {
  if (cursor_ > 0) line_.erase(--cursor_, 1);
}

/// Goes back and forth in what was typed before.
void LineEditor::recall(std::ptrdiff_t step) {
  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(recalled_) + step;
  if (at < 0 || at > static_cast<std::ptrdiff_t>(history_.size())) return;
  recalled_ = static_cast<std::size_t>(at);
  line_ = recalled_ < history_.size() ? history_[recalled_] : std::string();
  cursor_ = line_.size();
}

/// What ends an escape sequence.
void LineEditor::escape(char c) {
  switch (c) {
    case 'A': return recall(-1);
    case 'B': return recall(1);
    case 'C': cursor_ = std::min(cursor_ + 1, line_.size()); return;
    case 'D': cursor_ -= cursor_ > 0; return;
    case 'H': cursor_ = 0; return;
    case 'F': cursor_ = line_.size(); return;
    case '~':
      if (number_ == "3" && cursor_ < line_.size()) line_.erase(cursor_, 1);
      if (number_ == "1") cursor_ = 0;
      if (number_ == "4") cursor_ = line_.size();
      return;
    default: return;
  }
}

bool LineEditor::key(char c, std::string& shown) {
  if (state_ == State::Escape) {
    state_ = c == '[' || c == 'O' ? State::Sequence : State::Plain;
    number_.clear();
    return false;
  }
  if (state_ == State::Sequence) {
    if (c >= '0' && c <= '9') {
      if (number_.size() < 4) number_ += c;
      return false;
    }
    state_ = State::Plain;
    escape(c);
    show(shown);
    return false;
  }
  switch (c) {
    case '\r':
    case '\n': shown += "\r\n"; return true;
    case 1: cursor_ = 0; break;
    case 4:
      if (cursor_ < line_.size()) line_.erase(cursor_, 1);
      break;
    case 5: cursor_ = line_.size(); break;
    case 8:
    case 127: erase_before(); break;
    case 21:
      line_.clear();
      cursor_ = 0;
      break;
    case 23:
      while (cursor_ > 0 && line_[cursor_ - 1] == ' ') erase_before();
      while (cursor_ > 0 && line_[cursor_ - 1] != ' ') erase_before();
      break;
    case 27: state_ = State::Escape; return false;
    default:
      if (static_cast<unsigned char>(c) >= 32) insert(c);
  }
  show(shown);
  return false;
}

std::string LineEditor::take() {
  constexpr std::size_t k_history = 64;
  std::string line = std::move(line_);
  reset();
  if (!line.empty() && (history_.empty() || history_.back() != line)) history_.push_back(line);
  if (history_.size() > k_history) history_.erase(history_.begin());
  recalled_ = history_.size();
  return line;
}

void LineEditor::reset() {
  state_ = State::Plain;
  line_.clear();
  shown_.clear();
  cursor_ = shown_cursor_ = 0;
  recalled_ = history_.size();
}

// --- the session

void HmpSession::say(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' && (out.empty() || out.back() != '\r')) out += '\r';
    out += c;
  }
  say_(out);
}

void HmpSession::opened() {
  const VersionInfo v = machine_.version();
  open_ = true;
  editor_.reset();
  say("QEMU " + std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.micro) +
      " monitor - type 'help' for more information\n");
  if (has_focus_) prompt();
}

std::size_t HmpSession::take(std::string_view bytes) {
  constexpr std::size_t k_echo = 4096;  // at once: whoever calls looks at how much waits to be said
  std::string shown;
  std::size_t at = 0;
  bool complete = false;
  while (at < bytes.size() && !complete && shown.size() < k_echo) complete = editor_.key(bytes[at++], shown);
  say_(shown);
  if (!complete) return at;
  const std::string line = editor_.take();
  say(run_human_command(machine_, line));
  const Words words = split(line);
  if (words.size() != 1 || (words[0] != "quit" && words[0] != "q")) prompt();
  return at;
}

void HmpSession::focused(bool has) {
  if (std::exchange(has_focus_, has) == has || !open_) return;  // before it opens it only remembers
  if (has) {
    editor_.reset();
    prompt();
  } else {
    say("\n");
  }
}

}  // namespace armvisor::monitor
