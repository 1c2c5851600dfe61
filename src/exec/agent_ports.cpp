#include "exec/agent_ports.h"

namespace armvisor::exec {

void add_agent_ports(AgentServer& server, vmm::VmConfig& config, machine::ConsoleSpec& console, u32 first) {
  for (u32 n = 1; n <= AV_SESSIONS; ++n) {
    devices::ChardevOptions o;
    o.kind = devices::ChardevOptions::Kind::Own;
    o.make = [&server, n] { return server.line(n); };
    o.keys.when = devices::ConsoleKeys::When::Never;
    o.label = "agent." + std::to_string(n);
    console.ports.push_back({.chardev = config.add_chardev(std::move(o)),
                             .console = false,
                             .name = AV_SESSION_PORT + std::to_string(n),
                             .number = first + n - 1});
  }
}

}  // namespace armvisor::exec
