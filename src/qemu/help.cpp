// -help, -version, and the lists of '-machine help' and the like.
#include "machine/virt.h"
#include "qemu/device_kinds.h"
#include "qemu/explain.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// The version of QEMU whose command line and behaviour are followed.
constexpr monitor::VersionInfo k_followed{10, 0, 2, {}};

std::string followed() {
  return std::to_string(k_followed.major) + "." + std::to_string(k_followed.minor) + "." +
         std::to_string(k_followed.micro);
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.resize(std::max(out.size() + 1, width), ' ');
  return out;
}

/// Of "A, B, C".
std::string lines_of(std::string names) {
  for (std::size_t at; (at = names.find(", ")) != std::string::npos;) names.replace(at, 2, "\n  ");
  return names;
}

std::string options_help() {
  std::string text =
      "usage: qemu-system-arm [OPTION...] [DISK-IMAGE]\n\nOptions that do something; '-explain' says what each of a "
      "line "
      "becomes:\n";
  for (const OptionRow& row : option_rows())
    if (row.fate == Fate::Mapped && !row.text.empty()) {
      const std::string title = "-" + std::string(row.name) + (row.value.empty() ? "" : " " + std::string(row.value));
      text += padded(title, 16) + (title.size() > 15 ? "\n" + std::string(16, ' ') : "") + std::string(row.text) + "\n";
    }
  text += "\nOptions that change nothing here:\n";
  for (const OptionRow& row : option_rows())
    if (row.fate == Fate::Ignored) text += padded("-" + std::string(row.name), 16) + std::string(row.text) + "\n";
  text += "\nOptions that are refused:\n";
  for (const OptionRow& row : option_rows())
    if (row.fate == Fate::Refused) text += padded("-" + std::string(row.name), 16) + std::string(row.text) + "\n";
  return text +
         "\nARMVISOR_QEMU_FALLBACK=PATH in the environment: a line that is refused is run by the program at PATH "
         "instead.\n";
}

std::string machine_help() {
  return "Supported machines are:\nvirt                 QEMU's ARM virtual machine, of any version\n"
         "virt-X.Y             the same\n\nProperties that change nothing here, or the machine:\n"
         "  gic-version=2  virtualization=off  secure=off  mte=off  iommu=none  dumpdtb=FILE  accel=NAME  "
         "highmem=on|off  highmem-mmio=on|off\n";
}

std::string devices_help() {
  std::string text = "Devices that do something:\n";
  for (const DeviceRow& row : device_rows())
    if (row.kind < DeviceKind::Idle)
      text += "name \"" + std::string(row.name) + "\", desc \"" + std::string(row.text) + "\"\n";
  text += "\nDevices that change nothing here:\n";
  for (const DeviceRow& row : device_rows())
    if (row.kind == DeviceKind::Idle || row.kind == DeviceKind::Input || row.kind == DeviceKind::Graphics)
      text += "name \"" + std::string(row.name) + "\"\n";
  return text;
}

}  // namespace

std::string help_text(const std::string& about) {
  if (about == "machine") return machine_help();
  if (about == "cpu") return "Available CPUs:\n  cortex-a15\n  cortex-a7\n  max          (without what is of ARMv8)\n";
  if (about == "device") return devices_help();
  if (about == "accel") return "Accelerators supported in QEMU binary:\ntcg\n";
  if (about == "netdev") return "Available netdev backend types:\nbridge\ndgram\nsocket\nstream\nuser\ntap\nvde\n";
  if (about == "chardev") return "Available chardev backend types: \n  stdio\n  file\n  pty\n  null\n";
  if (about == "object") return "List of user creatable objects:\n  " + lines_of(object_names()) + "\n";
  if (about == "display") return "Available display backend types:\nnone\n";
  if (about == "d")
    return "Log items (comma separated):\nin_asm, out_asm, op, op_opt, op_ind    blocks as they are translated here\n"
           "guest_errors, unimp and others         (nothing is written of them here)\n";
  return options_help();
}

std::string version_text(const std::string& version) {
  return "QEMU emulator version " + followed() + " (armvisor " + version +
         ")\narmvisor runs command lines of qemu-system-arm; it is not QEMU, and has another licence (Apache-2.0).\n";
}

monitor::VersionInfo version_info(const std::string& version) {
  monitor::VersionInfo info = k_followed;
  info.package = "armvisor " + version;
  return info;
}

}  // namespace armvisor::qemu
