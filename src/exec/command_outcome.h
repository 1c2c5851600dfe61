#pragma once
// What became of a command, by what the agent said and what reached this process's streams.
#include <chrono>

#include "exec/outcome.h"
#include "exec/session.h"

namespace armvisor::exec {

/// There was no command.
Outcome failed_command(const Channel::Failure& failure);
/// Of a session whose channel says that the command has exited; `delivered` as Session::deliver() says it.
Outcome ended_command(const Session& session, bool delivered);
/// How long it took until the command started, from `began` on, and how long it ran.
void set_times(Outcome& outcome, const Session& session, std::chrono::steady_clock::time_point began);

}  // namespace armvisor::exec
