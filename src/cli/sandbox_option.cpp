#include "cli/sandbox_option.h"

#include <unistd.h>

#include <string>

#include "cli/exit_status.h"
#include "devices/backends/terminal.h"

namespace armvisor::cli {

Result<vmm::SandboxMode> parse_sandbox(std::string_view text) {
  if (text == "on") return vmm::SandboxMode::On;
  if (text == "off") return vmm::SandboxMode::Off;
  return Error{ErrorKind::BadArguments,
               "--sandbox: expected on or off, found '" + std::string(text) + "'; give one of these"};
}

void end_sandboxed(Sandbox::End why) {
  devices::restore_terminal_now();
  _exit(static_cast<int>(why == Sandbox::End::ForbiddenCall ? ExitStatus::Sandbox : ExitStatus::HostResource));
}

}  // namespace armvisor::cli
