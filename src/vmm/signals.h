#pragma once
// The signals that a machine takes from a descriptor instead of being interrupted by them.
#include <signal.h>

namespace armvisor::vmm {

/// The user's wishes to end (SIGINT, SIGTERM, SIGHUP), job control (SIGTSTP, SIGCONT) and SIGWINCH; without those that
/// were ignored when the program started: nohup has SIGHUP ignored, a shell SIGINT of what it starts in the background.
sigset_t watched_signals();
/// Blocks them in this thread and those that it starts, as Vm::create needs them. Before any thread exists.
void block_watched_signals();
/// Forgets those that came since: what they ask for happens already. When the program is about to end.
void forget_watched_signals();
/// Gives them their usual effect again. When no machine is left.
void unblock_watched_signals();
/// Stops the process as SIGTSTP does if nobody takes it; returns when it goes on. In a thread where it is blocked.
void stop_process();

}  // namespace armvisor::vmm
