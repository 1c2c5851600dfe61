#include "exec/agent_path.h"

#include <sys/un.h>

#include "vmm/control_path.h"

namespace armvisor::exec {

Result<std::string> agent_socket_path(const std::string& name) {
  AV_TRY_ASSIGN(const vmm::ControlDirectory directory, vmm::open_control_directory());
  AV_TRY(vmm::check_machine_name(name));
  std::string path = directory.path + "/" + name + ".agent";
  if (path.size() >= sizeof sockaddr_un::sun_path)
    return Error{ErrorKind::HostResource, "agent socket: expected a path shorter than " +
                                              std::to_string(sizeof sockaddr_un::sun_path) + " bytes, found " + path +
                                              "; set XDG_RUNTIME_DIR to a shorter one"};
  return path;
}

}  // namespace armvisor::exec
