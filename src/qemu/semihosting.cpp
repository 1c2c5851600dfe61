// -semihosting and -semihosting-config.
#include "machine/semihosting/semihosting.h"

#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

constexpr const char* k_served = "semihosting calls are served, with the files of the current folder and no others";

}  // namespace

void read_semihosting(Line& line, const Given& given) {
  line.semihosting.on = true;
  line.outcomes.mapped(given.text(), k_served);
}

void read_semihosting_config(Line& line, const Given& given) {
  auto values = read_list(line, given, "enable");
  if (!values) return;
  Line::Semihosting& s = line.semihosting;
  s.on = read_bool(line, given, *values, "enable").value_or(true);
  s.userspace = read_bool(line, given, *values, "userspace").value_or(false);
  const std::string target = values->take("target").value_or("auto");
  if (target != "native" && target != "auto")
    line.outcomes.refused(key_of(given, "target", target),
                          "expected native or auto: files and console are the host's, not a debugger's; change it");
  s.console = new_chardev(given);
  s.console.refers = values->take("chardev").value_or("");
  for (std::string& word : values->take_all("arg")) s.arguments.push_back(std::move(word));
  refuse_unknown_keys(line, given, *values);
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
  if (!s.console.refers.empty() && !use_chardev(line, vm, s.console, "semihosting", spec.console)) return;
  vm.semihosting = std::move(spec);
}

}  // namespace armvisor::qemu
