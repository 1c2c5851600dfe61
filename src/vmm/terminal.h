#pragma once
// The user's terminal is as it was before, however the program ends: the console puts it in raw mode and back; this
// guards against ends that run no destructors.
namespace armvisor::vmm {

/// Remembers the mode of the terminal on standard input, if it is one, and has it restored at exit and on fatal
/// signals.
void guard_terminal();
/// Restores it now. (any thread; async-signal-safe)
void restore_terminal();

}  // namespace armvisor::vmm
