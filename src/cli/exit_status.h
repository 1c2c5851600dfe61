#pragma once
// What the program's exit status says; the table is exit_status.inc.
#include "base/result.h"
#include "base/types.h"

namespace armvisor::cli {

enum class ExitStatus : int {
#define STATUS(name, value, meaning) name = value,
#include "cli/exit_status.inc"
#undef STATUS
};

/// Beside those of the table: what the guest's own program ended with by semihosting, in the low 8 bits, which are all
/// that the host has of a status.
constexpr ExitStatus program_status(u32 status) { return static_cast<ExitStatus>(256 | (status & 0xff)); }

/// The message of a lack of memory.
inline constexpr const char* k_out_of_memory =
    "expected memory of the host, found none left; give the machine less with --memory, or raise the limit on memory "
    "(ulimit -v, or the container's)";

/// The status for an error; its message goes to standard error.
ExitStatus report(const Error& error);

}  // namespace armvisor::cli
