#pragma once
// The machine that a command line asks for, put together from what its options said.
#include <string>

#include "qemu/line.h"
#include "vmm/vm.h"

namespace armvisor::qemu {

struct Machine {
  vmm::VmConfig vm;
  std::string dump_dtb;  ///< not empty: the device tree goes there, and nothing runs
  std::string pid_file;
  std::string log_file;  ///< of a machine in the background
  bool daemonize = false;
};

/// Adds its outcomes to the line's. Where one is refused, the machine is not to be run.
Machine make_machine(Line& line);

/// Looks at the files of disks, used or not, and of sources of entropy: one that cannot be what it is to be is refused;
/// one that is missing only if `missing_too`, so that a line can be explained before its files are there.
void check_files(Line& line, bool missing_too);

// Its parts.
const machine::Board& board_of(const Line& line, bool two_uarts);
void add_devices(Line& line, vmm::VmConfig& vm);
void add_consoles(Line& line, vmm::VmConfig& vm);
void add_semihosting(Line& line, vmm::VmConfig& vm);
/// Before the devices, which may not have the same drives.
void add_flash(Line& line, machine::BootConfig& boot);
/// -device loader; what is left of its properties is no property of it.
void add_loaded_file(Line& line, Device& device, machine::BootConfig& boot);
/// Finds the place in the machine's list of a chardev that has one more user from now on, called `label` if it has no
/// id. False, with an outcome for what was given: nothing can come of it.
bool use_chardev(Line& line, vmm::VmConfig& vm, Chardev& end, const std::string& label, devices::ChardevIndex& index);
/// "standard input and output".
std::string place_text(const vmm::VmConfig& vm, devices::ChardevIndex index);

}  // namespace armvisor::qemu
