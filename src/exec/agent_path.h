#pragma once
// Where the agent sockets of a user's machines are: beside their control sockets (vmm/control_path.h).
#include <string>

#include "base/result.h"

namespace armvisor::exec {

Result<std::string> agent_socket_path(const std::string& name);

}  // namespace armvisor::exec
