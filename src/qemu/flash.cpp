// The board's banks of flash: drives of if=pflash, and what -machine pflash0= and pflash1= name.
#include "devices/backends/nbd_disk.h"
#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// Whether a bank can have it; else with an outcome.
bool fits(Line& line, Drive& drive) {
  if (devices::is_nbd_address(drive.source.path))
    refuse(line, drive, drive.given.text(), "expected a file: flash on a server is not here; copy it to one");
  else if (drive.source.format != "raw" && drive.source.format != "auto")
    refuse(line, drive, drive.given.text(),
           "expected a raw image as flash; convert it (qemu-img convert -O raw) and say format=raw");
  return !drive.refused;
}

void add_bank(Line& line, machine::BootConfig& boot, std::size_t bank, Drive& drive) {
  drive.used = true;
  if (!fits(line, drive)) return;
  if (boot.flash.size() <= bank) boot.flash.resize(bank + 1);
  machine::FlashSpec& spec = boot.flash[bank];
  static_cast<devices::DiskSource&>(spec) = drive.source;
  spec.snapshot = drive.is_snapshot(line.snapshot);
  // QEMU opens a -drive read-only that it may not write.
  spec.or_read_only = drive.given.name != "blockdev";
  line.outcomes.mapped(drive.given.text(), (drive.source.read_only ? "read-only flash in bank " : "flash in bank ") +
                                               std::to_string(bank) + ": " + drive.source.path);
}

void add_node(Line& line, machine::BootConfig& boot, std::size_t bank) {
  const FlashNode& node = line.flash_nodes[bank];
  Outcomes& out = line.outcomes;
  Drive* const drive = line.drive(node.node);
  if (!drive || drive->interface != "none")
    return out.refused(node.option, drive ? "expected a -blockdev, found a drive that has a place already; say if=none"
                                          : "expected the node-name of a -blockdev, found no such; check it");
  if (drive->used)
    return out.refused(node.option, "expected a -blockdev of its own, found that of another; give it one");
  if (drive->refused) return out.ignored(node.option, "its -blockdev is refused");
  add_bank(line, boot, bank, *drive);
  out.mapped(node.option, "flash in bank " + std::to_string(bank));
}

}  // namespace

void add_flash(Line& line, machine::BootConfig& boot) {
  for (std::size_t bank = 0; bank < line.flash_nodes.size(); ++bank)
    if (!line.flash_nodes[bank].node.empty()) add_node(line, boot, bank);
  for (Drive& drive : line.drives) {
    if (drive.interface != "pflash" || drive.refused) continue;
    const u64 bank = drive.index.value_or(0);
    if (bank >= line.flash_nodes.size())
      refuse(line, drive, drive.given.text(), "expected unit=0 or unit=1: the board has two banks of flash");
    else if (!line.flash_nodes[bank].node.empty())
      refuse(line, drive, drive.given.text(),
             "expected a bank of its own, found that of " + line.flash_nodes[bank].option + "; leave out one");
    else
      add_bank(line, boot, bank, drive);
  }
}

}  // namespace armvisor::qemu
