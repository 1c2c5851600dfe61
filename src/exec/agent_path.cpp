#include "exec/agent_path.h"

#include "vmm/control_path.h"

namespace armvisor::exec {

Result<std::string> agent_socket_path(const std::string& name) {
  AV_TRY_ASSIGN(const vmm::ControlDirectory directory, vmm::open_control_directory());
  return vmm::machine_socket_path(directory, name, ".agent", "agent socket");
}

}  // namespace armvisor::exec
