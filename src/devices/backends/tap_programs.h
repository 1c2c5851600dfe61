#pragma once
// Programs of the host that have to do with tap interfaces, run as QEMU runs them.
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/stop_event.h"

namespace armvisor::devices {

/// Runs a script with the name of an interface and waits for its end, which has to be with 0. No script: does nothing.
/// It writes where this process does, with signals as a shell has them. It is killed when `stop`, if any, is set or
/// `patience_ms`, if not -1, are over.
Status run_tap_script(const std::string& script, const std::string& interface, const StopEvent* stop,
                      int patience_ms = -1);

/// The tap interface that a helper has put on a bridge: it opens the interface, with the privileges that its file
/// gives it, and sends the descriptor over the socket that it is given. `helper`: a program, or with blanks a command
/// of the shell. An error when it fails, or `stop`, if any, is set.
Result<Fd> run_bridge_helper(const std::string& helper, const std::string& bridge, const StopEvent* stop);

}  // namespace armvisor::devices
