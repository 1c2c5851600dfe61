// Options that name devices, and those about the program's life.
#include <initializer_list>
#include <tuple>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// "guest_errors,unimp": messages of QEMU's own about what a guest does; others trace what the guest does.
bool is_about_messages(std::string_view items) {
  while (!items.empty()) {
    const std::size_t comma = items.find(',');
    const std::string_view item = items.substr(0, comma);
    if (item != "guest_errors" && item != "unimp" && item != "nochain" && item != "strace") return false;
    items = comma == std::string_view::npos ? std::string_view() : items.substr(comma + 1);
  }
  return true;
}

}  // namespace

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

void read_global(Line& line, const Given& given) {
  auto values = read_list(line, given, {});
  if (!values) return;
  // DRIVER.PROPERTY=VALUE, or driver=DRIVER,property=PROPERTY,value=VALUE
  std::string key = values->take("driver").value_or(""), value;
  if (!key.empty()) {
    key += "." + values->take("property").value_or("");
    value = values->take("value").value_or("");
  } else if (!values->left().empty()) {
    std::tie(key, value) = values->left().front();
  }
  if (key != "virtio-mmio.force-legacy")
    return line.outcomes.refused(given.text(), "expected virtio-mmio.force-legacy, the one here; leave it out");
  const auto legacy = parse_bool(value);
  if (!legacy) return line.outcomes.refused(given.text(), "expected on or off; change it");
  line.legacy_virtio = *legacy;
  line.outcomes.mapped(given.text(), *legacy ? "legacy virtio-mmio" : "virtio-mmio of virtio 1.0 and later");
}

void read_object(Line& line, const Given& given) {
  auto values = read_list(line, given, "qom-type");
  if (!values) return;
  const std::string type = values->take("qom-type").value_or("");
  if (is_help(type)) {
    line.help = "object";
    return;
  }
  std::string id;
  if (!read_id(line, given, *values, "id", IdKind::Object, true, id)) return;
  if (type == "rng-random" || type == "rng-builtin") {
    line.objects.push_back(id);
    return line.outcomes.mapped(given.text(), "the host's entropy");
  }
  if (type == "iothread" || type == "throttle-group")
    return line.outcomes.ignored(given.text(), "each disk has a thread of its own and goes as fast as it can");
  line.outcomes.refused(key_of(given, type, {}),
                        "expected rng-random, rng-builtin or iothread, what there is here; "
                        "leave it out");
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

void read_action(Line& line, const Given& given) {
  auto values = read_list(line, given, {});
  if (!values) return;
  if (const auto reboot = values->take("reboot")) {
    line.reboot = *reboot != "shutdown";
    line.outcomes.mapped(key_of(given, "reboot", *reboot),
                         line.reboot ? "a reset boots again" : "a reset ends the machine");
  }
  if (const auto shutdown = values->take("shutdown")) {
    if (*shutdown == "poweroff")
      line.outcomes.mapped(key_of(given, "shutdown", *shutdown), "power-off ends the machine");
    else
      line.outcomes.refused(
          key_of(given, "shutdown", *shutdown),
          "expected poweroff: there is no monitor that could go on with a stopped machine; change it");
  }
  ignore_keys(line, given, *values, {"panic", "watchdog"}, "there is no device that would tell of it");
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

void read_name(Line& line, const Given& given) { line.outcomes.ignored(given.text(), "it is shown nowhere"); }

void read_pid_file(Line& line, const Given& given) {
  line.pid_file = given.value;
  line.outcomes.mapped(given.text(), "the process's id goes there");
}

void read_daemonize(Line& line, const Given& given) {
  line.daemonize = true;
  line.outcomes.mapped(given.text(), "goes to the background when the machine is about to run");
}

void read_log_items(Line& line, const Given& given) {
  if (is_help(given.value)) {
    line.help = "d";
  } else if (is_about_messages(given.value)) {
    line.outcomes.ignored(given.text(), "messages of QEMU's own; this program has others, on standard error");
  } else {
    line.outcomes.refused(given.text(),
                          "expected guest_errors or unimp at most: QEMU's traces are not here; leave it out");
  }
}

void read_log_file(Line& line, const Given& given) {
  line.log_file = given.value;
  line.outcomes.mapped(given.text(), "messages of a machine in the background go there");
}

void read_sandbox(Line& line, const Given& given) {
  line.outcomes.ignored(given.text(), "no system calls are filtered; the guest does not see it");
}

void read_help(Line& line, const Given&) { line.help = ""; }
void read_version(Line& line, const Given&) { line.version = true; }
void read_explain(Line& line, const Given&) { line.explain = true; }

}  // namespace armvisor::qemu
