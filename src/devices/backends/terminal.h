#pragma once
// The user's terminal: in raw mode while a console reads it, and as it was before however the program ends.
//
// Job control: a process in the background of its terminal that sets the terminal's mode, or reads it, is stopped, so
// both are left alone there. What is remembered is process-wide, since signal handlers restore it.
namespace armvisor::devices {

/// Whether `fd` is the controlling terminal and another process group is in its foreground.
bool in_background(int fd);

/// Puts the terminal `fd` into raw mode, in which `signals` says whether Ctrl-C and the like are signals, unless this
/// process is in its background. A mode that is not the one that was set here before is remembered as the user's.
void make_terminal_raw(int fd, bool signals);

/// Gives terminals that were changed here the user's mode back, but none in whose background this process is. (any
/// thread)
void restore_terminal();

/// Has the terminal restored at exit and on fatal signals from now on. Before others handle those signals.
void guard_terminal();
/// As restore_terminal(), from a signal's handler. (async-signal-safe)
void restore_terminal_now();

}  // namespace armvisor::devices
