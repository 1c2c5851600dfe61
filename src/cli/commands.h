#pragma once
// One function per subcommand; the table is commands.inc.
#include <string>
#include <string_view>
#include <vector>

#include "cli/exit_status.h"

namespace armvisor::cli {

using Arguments = std::vector<std::string>;

#define COMMAND(function, name, arguments, help) ExitStatus function(const Arguments& arguments_given);
#include "cli/commands.inc"
#undef COMMAND

/// Whether a program of this name is to be qemu-system-arm: then all arguments are those of "qemu".
bool invoked_as_qemu(std::string_view program);

/// The whole program: dispatches to a subcommand.
ExitStatus dispatch(const Arguments& arguments);

std::string version_text();

}  // namespace armvisor::cli
