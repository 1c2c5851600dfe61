#pragma once
// The signals that a machine takes from a descriptor instead of being interrupted by them.
#include <signal.h>

#include <span>

namespace armvisor::vmm {

/// The user's wishes to end (SIGINT, SIGTERM, SIGHUP), job control (SIGTSTP, SIGCONT) and SIGWINCH; without those that
/// were ignored when the program started: nohup has SIGHUP ignored, a shell SIGINT of what it starts in the background.
/// `more` are others that the machine was told to take.
sigset_t watched_signals(std::span<const int> more = {});
/// Blocks them in this thread and those that it starts, as Vm::create needs them. Before any thread exists.
void block_watched_signals(std::span<const int> more = {});
/// Forgets those that came since: what they ask for happens already. When the program is about to end.
void forget_watched_signals(std::span<const int> more = {});
/// Gives them their usual effect again. When no machine is left.
void unblock_watched_signals(std::span<const int> more = {});
/// Stops the process as SIGTSTP does if nobody takes it; returns when it goes on. In a thread where it is blocked.
void stop_process();

}  // namespace armvisor::vmm
