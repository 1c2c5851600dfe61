// Options that name devices, and those about the program's life.
#include <algorithm>
#include <cctype>
#include <sstream>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// Items of -d: traces of blocks, which are here too; what says nothing here; and traces that are not here.
enum class LogItem { Blocks, Silent, Missing };
struct LogItemRow {
  std::string_view name;
  LogItem kind;
};
constexpr LogItemRow k_log_items[] = {
    {"in_asm", LogItem::Blocks},     {"out_asm", LogItem::Blocks},     {"op", LogItem::Blocks},
    {"op_opt", LogItem::Blocks},     {"op_ind", LogItem::Blocks},      {"guest_errors", LogItem::Silent},
    {"unimp", LogItem::Silent},      {"nochain", LogItem::Silent},     {"strace", LogItem::Silent},
    {"page", LogItem::Silent},       {"pcall", LogItem::Silent},       {"plugin", LogItem::Silent},
    {"op_plugin", LogItem::Silent},  {"invalid_mem", LogItem::Silent}, {"tid", LogItem::Silent},
    {"int", LogItem::Missing},       {"exec", LogItem::Missing},       {"cpu", LogItem::Missing},
    {"fpu", LogItem::Missing},       {"vpu", LogItem::Missing},        {"mmu", LogItem::Missing},
    {"cpu_reset", LogItem::Missing}, {"all", LogItem::Missing},
};

void read_log_item(Line& line, const std::string& item) {
  const std::string where = "-d " + item;
  const auto row = std::ranges::find(k_log_items, item, &LogItemRow::name);
  if (row == std::end(k_log_items) && !item.starts_with("trace:"))
    return line.outcomes.refused(where, "expected an item of QEMU's log, which '-d help' lists; change it");
  const LogItem kind = row == std::end(k_log_items) ? LogItem::Missing : row->kind;
  if (kind == LogItem::Silent)
    return line.outcomes.ignored(where, "messages of QEMU's own; this program has others, on standard error");
  if (kind == LogItem::Missing)
    return line.outcomes.clamped(where, "no trace", "it is not here; what the guest does is the same without it");
  line.trace = true;
  line.outcomes.clamped(where, "blocks as this program translates them, on standard error", "QEMU's are not here");
}

enum class ObjectKind { Entropy, Idle, Memory, Dump };
struct ObjectRow {
  std::string_view type;
  ObjectKind kind;
  std::string_view shape, text;
};
constexpr ObjectRow k_objects[] = {
#define OBJECT(type, kind, shape, text) {type, ObjectKind::kind, shape, text},
#include "qemu/objects.inc"
#undef OBJECT
};

void read_entropy(Line& line, const Given& given, KeyValues& values, const std::string& id, const ObjectRow& row) {
  const std::string* const file = values.find("filename");
  if (file && row.type == "rng-random") line.files.push_back({given.text(), *file, NamedFile::Kind::Entropy});
  if (!check_keys(line, given, values, row.shape)) return;
  line.objects.push_back(id);
  line.outcomes.mapped(given.text(), std::string(row.text));
}

void read_memory_backend(Line& line, const Given& given, KeyValues& values, const std::string& id,
                         const ObjectRow& row) {
  const std::string* const text = values.find("size");
  const auto size = parse_size(text ? *text : "", 0);
  if (!size || *size == 0) return line.outcomes.refused(given.text(), "expected size=SIZE with it, in bytes; give it");
  Line::MemoryBackend backend{.id = id, .size = *size, .option = given.text()};
  if (const std::string* const path = values.find("mem-path")) backend.path = *path;
  const auto is_on = [&values](const char* key) {
    const std::string* const on = values.find(key);
    return on && parse_bool(*on).value_or(false);
  };
  backend.shared = is_on("share");
  backend.read_only = is_on("readonly");
  if (row.type == "memory-backend-file" && backend.path.empty())
    return line.outcomes.refused(given.text(), "expected mem-path=FILE with it; name one");
  if (!check_keys(line, given, values, row.shape)) return;
  line.memory_backends.push_back(std::move(backend));
  line.outcomes.mapped(given.text(), std::string(row.text));
}

/// The packets of a network, in a file.
void read_dump(Line& line, const Given& given, KeyValues& values, const ObjectRow& row) {
  using Direction = devices::DumpOptions::Direction;
  const auto text = [&values](const char* key) { return values.find(key) ? *values.find(key) : std::string(); };
  const auto number = [&](const char* key, u64 usual) {
    return values.find(key) ? parse_unsigned(*values.find(key)) : usual;
  };
  Dump dump{given, text("netdev"), {.option = given.text(), .path = text("file")}};
  const auto most = number("maxlen", devices::DumpOptions::k_usual_bytes);
  const std::string queue = text("queue");
  dump.options.direction = queue == "rx"   ? Direction::FromGuest  // what the network receives
                           : queue == "tx" ? Direction::ToGuest
                                           : Direction::Both;
  dump.options.on = text("status") != "off";
  if (!check_keys(line, given, values, row.shape)) return;
  if (dump.options.path.empty()) return line.outcomes.refused(given.text(), "expected file= with it; name one");
  if (dump.netdev.empty()) return line.outcomes.refused(given.text(), "expected netdev= with it; name one");
  if (!most || *most == 0 || *most > ~u32{0})
    return line.outcomes.refused(given.text(), "expected maxlen=BYTES of 1 or more; change it");
  dump.options.most_bytes = static_cast<u32>(*most);
  line.dumps.push_back(std::move(dump));
}

}  // namespace

std::string object_names() {
  std::string names;
  for (const ObjectRow& row : k_objects) names += (names.empty() ? "" : ", ") + std::string(row.type);
  return names;
}

void read_device(Line& line, const Given& given) {
  auto values = read_list(line, given, "driver");
  if (!values) return;
  Device device;
  device.given = given;
  device.driver = values->take("driver").value_or("");
  if (is_help(device.driver) || values->take("help")) {
    line.help = "device";
    return;
  }
  read_id(line, given, *values, "id", IdKind::Device, false, device.id);
  device.properties = *std::move(values);
  line.devices.push_back(std::move(device));
}

/// DRIVER.PROPERTY=VALUE, or driver=DRIVER,property=PROPERTY,value=VALUE
void read_global(Line& line, const Given& given) {
  auto values = read_list(line, given, {});
  if (!values) return;
  Global global{given, values->take("driver").value_or(""), values->take("property").value_or(""),
                values->take("value").value_or("")};
  if (global.driver.empty() && !values->left().empty()) {
    const auto [key, value] = values->left().front();
    const std::size_t dot = key.find('.');
    if (dot == std::string::npos || given.value.find('=') == std::string::npos)
      return line.outcomes.refused(given.text(), "expected DRIVER.PROPERTY=VALUE; change it");
    global.driver = key.substr(0, dot);
    global.property = key.substr(dot + 1);
    global.value = value;
  }
  if (global.driver.empty() || global.property.empty())
    return line.outcomes.refused(given.text(), "expected DRIVER.PROPERTY=VALUE; change it");
  line.globals.push_back(std::move(global));
}

void read_object(Line& line, const Given& given) {
  auto values = read_list(line, given, "qom-type");
  if (!values) return;
  const std::string type = values->take("qom-type").value_or("");
  if (is_help(type) || values->find("help")) {
    line.help = "object";
    return;
  }
  const auto row = std::ranges::find(k_objects, type, &ObjectRow::type);
  if (row == std::end(k_objects))
    return line.outcomes.refused(key_of(given, type, {}),
                                 "expected " + object_names() + ", what there is here; leave it out");
  std::string id;
  if (!read_id(line, given, *values, "id", IdKind::Object, true, id)) return;
  switch (row->kind) {
    case ObjectKind::Entropy: return read_entropy(line, given, *values, id, *row);
    case ObjectKind::Memory: return read_memory_backend(line, given, *values, id, *row);
    case ObjectKind::Dump: return read_dump(line, given, *values, *row);
    case ObjectKind::Idle: break;
  }
  if (check_keys(line, given, *values, row->shape)) line.outcomes.ignored(given.text(), std::string(row->text));
}

void read_usb_device(Line& line, const Given& given) {
  for (const std::string_view input : {"tablet", "mouse", "keyboard"})
    if (given.value == input)
      return read_device(line, {"device", input == "keyboard" ? "usb-kbd" : "usb-" + std::string(input)});
  line.outcomes.refused(given.text(), "expected tablet, mouse or keyboard: there is no USB; leave it out");
}

void read_nodefaults(Line& line, const Given& given) {
  line.defaults = false;
  line.outcomes.mapped(given.text(), "no devices that are not named");
}

void read_no_reboot(Line& line, const Given& given) {
  line.reboot = false;
  line.outcomes.mapped(given.text(), "a reset ends the machine");
}

namespace {
struct PanicRow {
  std::string_view name;
  vmm::PanicAction action;
  std::string_view text;
};
constexpr PanicRow k_panic_actions[] = {
    {"pause", vmm::PanicAction::Pause, "a guest that tells of a panic is stopped"},
    {"shutdown", vmm::PanicAction::PowerOff, "a guest that tells of a panic is ended, or stopped under -no-shutdown"},
    {"exit-failure", vmm::PanicAction::Fail, "a guest that tells of a panic is ended with status 1"},
    {"none", vmm::PanicAction::None, "a guest that tells of a panic goes on"},
};
constexpr const char* k_watchdog_kind = "reset|shutdown|poweroff|inject-nmi|pause|debug|none";

/// One of these.
void set_watchdog_action(Line& line, const std::string& option, const std::string& name) {
  const auto row = std::ranges::find(vmm::k_watchdog_actions, std::string_view(name), &vmm::WatchdogActionRow::name);
  line.watchdog = row->action;
  line.outcomes.mapped(option, std::string(row->text));
}
}  // namespace

/// The form that QEMU had before -device.
void read_watchdog(Line& line, const Given& given) {
  if (given.value != "i6300esb")
    return line.outcomes.refused(given.text(), "expected i6300esb: there is no other watchdog; change it");
  read_device(line, {"device", given.value});
}

void read_watchdog_action(Line& line, const Given& given) {
  if (std::ranges::find(vmm::k_watchdog_actions, std::string_view(given.value), &vmm::WatchdogActionRow::name) ==
      std::end(vmm::k_watchdog_actions))
    return line.outcomes.refused(given.text(), "expected " + std::string(k_watchdog_kind) + "; change it");
  set_watchdog_action(line, given.text(), given.value);
}

void read_action(Line& line, const Given& given) {
  auto values = read_list(line, given, {});
  if (!values) return;
  if (const auto reboot = read_value(line, given, *values, "reboot", "reset|shutdown")) {
    line.reboot = *reboot != "shutdown";
    line.outcomes.mapped(key_of(given, "reboot", *reboot),
                         line.reboot ? "a reset boots again" : "a reset ends the machine");
  }
  if (const auto shutdown = read_value(line, given, *values, "shutdown", "poweroff|pause")) {
    line.keep_when_off = *shutdown == "pause";
    line.outcomes.mapped(key_of(given, "shutdown", *shutdown),
                         line.keep_when_off ? "power-off stops the machine" : "power-off ends the machine");
  }
  if (const auto panic = read_value(line, given, *values, "panic", "pause|shutdown|exit-failure|none")) {
    const auto row = std::ranges::find(k_panic_actions, std::string_view(*panic), &PanicRow::name);
    line.panic = row->action;
    line.outcomes.mapped(key_of(given, "panic", *panic), std::string(row->text));
  }
  if (const auto watchdog = read_value(line, given, *values, "watchdog", k_watchdog_kind))
    set_watchdog_action(line, key_of(given, "watchdog", *watchdog), *watchdog);
  refuse_unknown_keys(line, given, *values);
}

void read_rtc(Line& line, const Given& given) {
  auto values = read_list(line, given, "base");
  if (!values) return;
  const std::string base = values->take("base").value_or("utc"), clock = values->take("clock").value_or("host");
  ignore_keys(line, given, *values, {"driftfix"}, "ARM has no such clock");
  refuse_unknown_keys(line, given, *values);
  if (base != "utc")
    return line.outcomes.refused(key_of(given, "base", base),
                                 "expected utc: the clock shows the host's time; leave it out");
  line.outcomes.mapped(given.text(), "the host's time, UTC");
}

void read_name(Line& line, const Given& given) {
  auto values = read_list(line, given, "guest");
  if (!values) return;
  line.title = values->take("guest").value_or("");
  ignore_keys(line, given, *values, {"process", "debug-threads"}, "about QEMU's own process");
  refuse_unknown_keys(line, given, *values);
  line.outcomes.mapped(given.text(), "what monitors call the machine");
}

void read_uuid(Line& line, const Given& given) {
  constexpr std::string_view k_form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  const auto fits = [](char c, char form) {
    return form == '-' ? c == '-' : std::isxdigit(static_cast<unsigned char>(c));
  };
  if (!std::ranges::equal(given.value, k_form, fits))
    return line.outcomes.refused(given.text(), "expected a UUID, 32 hexadecimal digits in five groups; change it");
  line.uuid = given.value;
  std::string digits;
  for (const char c : given.value)
    if (c != '-') digits += c;
  auto& uuid = line.firmware_options.uuid;
  for (std::size_t n = 0; n < uuid.size(); ++n)
    uuid[n] = static_cast<u8>(std::stoul(digits.substr(2 * n, 2), nullptr, 16));
  line.outcomes.mapped(given.text(), "what monitors call the machine");
}

void read_stopped(Line& line, const Given& given) {
  line.stopped = true;
  line.outcomes.mapped(given.text(), "starts when a monitor or gdb says so");
}

void read_no_shutdown(Line& line, const Given& given) {
  line.keep_when_off = true;
  line.outcomes.mapped(given.text(), "power-off stops the machine");
}

void read_pid_file(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.pid_file = given.value;
  line.outcomes.mapped(given.text(), "the process's id goes there");
}

/// What QEMU lets be refused one by one, a process here is without as a whole.
void read_sandbox(Line& line, const Given& given) {
  constexpr std::string_view k_shape =
      "[enable]=bool,obsolete=allow|deny,elevateprivileges=allow|deny|children,spawn=allow|deny,"
      "resourcecontrol=allow|deny";
  if (!check_shape(line, given, k_shape)) return;
  auto values = read_list(line, given, "enable");
  if (!values) return;
  const auto enable = read_value(line, given, *values, "enable", "bool");
  line.sandbox = !enable || (*enable != "off" && *enable != "no" && *enable != "false" && *enable != "n");
  line.outcomes.mapped(given.text(), line.sandbox ? "the process has only what of the host the machine needs"
                                                  : "the process has all that the user may do");
}

void read_daemonize(Line& line, const Given& given) {
  line.daemonize = true;
  line.outcomes.mapped(given.text(), "goes to the background when the machine is about to run");
}

void read_log_items(Line& line, const Given& given) {
  if (is_help(given.value)) {
    line.help = "d";
    return;
  }
  std::istringstream items(given.value + ",");
  for (std::string item; std::getline(items, item, ',');) read_log_item(line, item);
}

void read_log_file(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.log_file = given.value;
  line.outcomes.mapped(given.text(), "messages of a machine in the background go there");
}

/// A sound device, if there is a model of one.
void read_audio(Line& line, const Given& given) {
  auto values = read_list(line, given, "driver");
  if (!values) return;
  if (const auto model = values->take("model"); model && !is_help(*model))
    return line.outcomes.refused(key_of(given, "model", *model),
                                 "expected no sound: there is no such device; leave it out");
  line.outcomes.ignored(given.text(), "there is no sound device");
}

void read_run_with(Line& line, const Given& given) {
  auto values = read_list(line, given, {});
  if (!values) return;
  for (const std::string_view key : {"chroot", "user"})
    if (const auto value = values->take(key))
      line.outcomes.refused(key_of(given, key, *value),
                            "expected to keep user and root folder: start it as they should be instead; leave it out");
  for (const std::string_view key : {"async-teardown", "exit-with-parent"})
    if (const auto on = read_bool(line, given, *values, key))
      line.outcomes.ignored(key_of(given, key, *on ? "on" : "off"), "about how QEMU ends");
  refuse_unknown_keys(line, given, *values);
}

void read_help(Line& line, const Given&) { line.help = ""; }
void read_version(Line& line, const Given&) { line.version = true; }
void read_explain(Line& line, const Given&) { line.explain = true; }

}  // namespace armvisor::qemu
