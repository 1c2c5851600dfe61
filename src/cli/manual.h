#pragma once
// Manual pages in roff, from the tables: armvisor(1), and armvisor-COMMAND(1) for each command.
#include <string>

#include "cli/command_tables.h"

namespace armvisor::cli {

std::string manual_page();
std::string manual_page(const CommandRow& command);

/// "-k, --kernel FILE"
std::string option_title(const OptionRow& option);
std::string option_help(const OptionRow& option);

inline constexpr std::string_view k_exec_status =
    "The status of armvisor exec is the command's, or 128 + N if signal N ended it. A command may end with one of the "
    "following, too.";
inline constexpr std::string_view k_keys =
    "On a terminal, Ctrl-A x ends the machine, Ctrl-A b sends a break, Ctrl-A Ctrl-A sends one Ctrl-A to the guest, "
    "and Ctrl-A h shows this.";

}  // namespace armvisor::cli
