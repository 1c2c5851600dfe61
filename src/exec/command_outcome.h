#pragma once
// What became of a command, by what the agent said and what reached this process's streams.
#include "exec/outcome.h"
#include "exec/session.h"

namespace armvisor::exec {

/// There was no command.
Outcome failed_command(const Channel::Failure& failure);
/// Of a session whose channel says that the command has exited; `delivered` as Session::deliver() says it.
Outcome ended_command(const Session& session, bool delivered);

}  // namespace armvisor::exec
