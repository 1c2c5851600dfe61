#pragma once
// What of the host a machine needs while it runs, from its configuration: the sandbox's rules and errands.
#include "base/result.h"
#include "vmm/vm_config.h"

namespace armvisor::vmm {

/// Threads are narrowed from now on, as the configuration says; Vm::run() narrows its caller. To be called before there
/// are threads. An error: the user insists on a sandbox, and there can be none. Otherwise a warning says so.
Status begin_sandbox(const VmConfig& config);

}  // namespace armvisor::vmm
