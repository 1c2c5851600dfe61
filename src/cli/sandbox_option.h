#pragma once
// The option --sandbox, and how a process ends whose sandbox says so.
#include <string_view>

#include "base/result.h"
#include "vmm/vm_config.h"

namespace armvisor::cli {

Result<vmm::SandboxMode> parse_sandbox(std::string_view text);

/// With a status of "armvisor run". (async-signal-safe)
void end_sandboxed(Sandbox::End why);

}  // namespace armvisor::cli
