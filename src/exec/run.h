#pragma once
// "armvisor exec": a machine that is made for one command in a system of the user's, and ends with it.
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "exec/channel.h"
#include "exec/kernel.h"
#include "exec/outcome.h"
#include "exec/system.h"
#include "vmm/vm_config.h"

namespace armvisor::exec {

struct ShareRequest {
  std::string host;   ///< a folder
  std::string guest;  ///< where it is in the guest, absolute
  bool read_only = false;
};

/// HOST[:GUEST][,ro]; without GUEST it is at the host's path.
Result<ShareRequest> parse_share(std::string_view text);

struct Request {
  SystemOptions system;
  std::optional<std::string> entrypoint;  ///< in the place of an image's and its command; empty: none
  CommandRequest command;
  KernelOptions kernel;
  std::string append;  ///< to the kernel's command line
  std::vector<ShareRequest> shares;
  bool user_network = false;
  bool host_loopback = false;  ///< the guest reaches services of the host's loopback at 10.0.2.2
  /// As much as a kernel maps as a whole. What is beyond (highmem) it frees page by page when it starts, which takes a
  /// tenth of a second for 256 MiB.
  u64 memory = u64{704} << 20;
  u32 cpus = 1;
  u64 timeout_ms = 0;         ///< 0: none
  u64 guest_timeout_ms = 0;   ///< of the guest's time, as vmm::VmConfig has it; 0: none
  u32 stall_s = 0;            ///< after which a guest that makes no progress is ended; 0: never
  bool show_console = false;  ///< the guest's console goes to standard error
  std::string engine = "auto";
  vmm::SandboxMode sandbox = vmm::SandboxMode::IfPossible;
  std::string report{};  ///< a file that is written when all is over; empty: none
  std::string name;  ///< of the machine, by which attach() and others find it; empty: nobody does
};

/// The signals that are passed on, beside those of vmm::watched_signals().
extern const std::vector<int> k_passed_signals;

/// Runs it to its end. To be called with the watched signals and those of k_passed_signals blocked, in all threads. An
/// error: the command was not started.
Result<Outcome> run(const Request& request);

}  // namespace armvisor::exec
