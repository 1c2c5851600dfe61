#pragma once
// One command in a machine that runs already and has an agent (agent_server.h).
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "exec/agent_server.h"
#include "exec/outcome.h"
#include "exec/session.h"

namespace armvisor::exec {

struct AttachRequest {
  std::string machine;  ///< its name
  CommandRequest command;
  u64 timeout_ms = 0;              ///< for all of it; 0: none
  Session::Streams streams{};      ///< of the command
  u64 agent_patience_ms = 60'000;  ///< until the guest has started it, or said that it cannot
};

/// The name of the machine that `system` means: what is behind "machine:", or itself if there is a socket of such a
/// machine and no file of that name.
std::optional<std::string> running_machine(const std::string& system);

/// Runs it to its end. To be called with the watched signals and those of k_passed_signals blocked, in all threads. An
/// error: the command was not started.
Result<Outcome> attach(AttachRequest request);

}  // namespace armvisor::exec
