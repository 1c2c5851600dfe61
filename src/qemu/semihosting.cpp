// -semihosting and -semihosting-config.
#include "machine/semihosting/semihosting.h"

#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

constexpr const char* k_served = "semihosting calls are served, with the files of the current folder and no others";

/// Refuses what QEMU would not take in a list.
void check_semihosting(Line& line, const Given& given, KeyValues values) {
  read_bool(line, given, values, "enable");
  read_bool(line, given, values, "userspace");
  const std::string target = values.take("target").value_or("auto");
  if (target != "native" && target != "auto")
    line.outcomes.refused(key_of(given, "target", target),
                          "expected native or auto: files and console are the host's, not a debugger's; change it");
  if (const auto id = values.take("chardev"); id && id->empty())
    line.outcomes.refused(key_of(given, "chardev", ""), "expected the id of a -chardev, found an empty one; name one");
  values.take_all("arg");
  refuse_unknown_keys(line, given, values);
}

/// The machine's console of semihosting. False, with an outcome: it cannot be there.
bool add_semihosting_console(Line& line, vmm::VmConfig& vm, devices::ChardevIndex& index) {
  Chardev& console = line.semihosting.console;
  if (console.refers.empty()) return true;
  if (!use_chardev(line, vm, console, "semihosting", index)) return false;
  if (index) return true;
  devices::ChardevOptions nowhere;  // which is not the process's own output and input
  nowhere.kind = devices::ChardevOptions::Kind::None;
  nowhere.label = console.refers;
  index = vm.add_chardev(std::move(nowhere));
  return true;
}

}  // namespace

void read_semihosting(Line& line, const Given& given) {
  line.semihosting.on = true;
  line.outcomes.mapped(given.text(), k_served);
}

/// As QEMU has it, each of several lists is read with those before it; so their words are there once more.
void read_semihosting_config(Line& line, const Given& given) {
  auto values = read_list(line, given, "");
  if (!values) return;
  Line::Semihosting& s = line.semihosting;
  s.said.append(*values);
  const auto says = [&s](std::string_view key, bool otherwise) {
    const std::string* const text = s.said.find(key);
    return text ? parse_bool(*text).value_or(otherwise) : otherwise;
  };
  s.on = says("enable", true);
  s.userspace = says("userspace", false);
  s.console = new_chardev(given);
  if (const std::string* const id = s.said.find("chardev")) s.console.refers = *id;
  for (const auto& [key, value] : s.said.left())
    if (key == "arg") s.arguments.push_back(value);
  check_semihosting(line, given, *std::move(values));
  line.outcomes.mapped(given.text(), s.on ? k_served : "no semihosting");
}

void add_semihosting(Line& line, vmm::VmConfig& vm) {
  Line::Semihosting& s = line.semihosting;
  if (!s.on) return;
  vmm::SemihostingSpec spec{.options = {.option = "-semihosting",
                                        .everybody = s.userspace,
                                        .folder = ".",
                                        .folder_needed = false,
                                        .command_line = s.arguments.empty() ? machine::kernel_command_line(
                                                                                  line.kernel, line.append.value_or(""))
                                                                            : machine::joined(s.arguments)},
                            .console = {}};
  if (!add_semihosting_console(line, vm, spec.console)) return;
  vm.semihosting = std::move(spec);
}

}  // namespace armvisor::qemu
