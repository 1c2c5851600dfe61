#pragma once
// The ports of a machine by which its agent serves commands (protocol.h).
#include "exec/agent_server.h"
#include "vmm/vm_config.h"

namespace armvisor::exec {

/// As ports `first` and those behind it of a console; their chardevs are put into the configuration.
void add_agent_ports(AgentServer& server, vmm::VmConfig& config, machine::ConsoleSpec& console, u32 first);

}  // namespace armvisor::exec
