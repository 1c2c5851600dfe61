#pragma once
// What the program's exit status says; the table is exit_status.inc.
#include "base/result.h"

namespace armvisor::cli {

enum class ExitStatus : int {
#define STATUS(name, value, meaning) name = value,
#include "cli/exit_status.inc"
#undef STATUS
};

/// The message of a lack of memory.
inline constexpr const char* k_out_of_memory =
    "expected memory of the host, found none left; give the machine less with --memory, or raise the limit on memory "
    "(ulimit -v, or the container's)";

/// The status for an error; its message goes to standard error.
ExitStatus report(const Error& error);

}  // namespace armvisor::cli
