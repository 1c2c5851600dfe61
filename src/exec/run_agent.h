#pragma once
// An agent in a machine of "armvisor run", which has a first process of its own.
#include <memory>

#include "base/result.h"
#include "exec/agent_server.h"
#include "vmm/vm_config.h"

namespace armvisor::exec {

/// Adds the agent's ports, as a device that comes last, and with an initrd the agent: it is AV_RUN_AGENT of a further
/// archive behind it, which the kernel starts in the place of /init, and which goes on as that. Without one the system
/// has to have it by itself. The server outlives the machine that is made of the configuration.
Result<std::unique_ptr<AgentServer>> add_agent(vmm::VmConfig& config);

}  // namespace armvisor::exec
