#pragma once
// One function per subcommand; the table is commands.inc.
#include <string>
#include <vector>

#include "cli/exit_status.h"

namespace armvisor::cli {

using Arguments = std::vector<std::string>;

#define COMMAND(function, name, arguments, help) ExitStatus function(const Arguments& arguments_given);
#include "cli/commands.inc"
#undef COMMAND

/// The whole program: dispatches to a subcommand.
ExitStatus dispatch(const Arguments& arguments);

std::string version_text();

}  // namespace armvisor::cli
