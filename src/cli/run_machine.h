#pragma once
// Running a machine to its end: what "armvisor run" and "armvisor qemu" have in common.
#include "cli/exit_status.h"
#include "cli/run_options.h"

namespace armvisor::cli {

/// Sets up signals and the terminal, runs the machine (or writes its device tree), and says how it ended. Once; to be
/// called before any thread exists.
Result<ExitStatus> run_machine(RunRequest request);

}  // namespace armvisor::cli
