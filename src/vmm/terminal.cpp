#include "vmm/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace armvisor::vmm {
namespace {

// Process-wide because a signal handler has nothing else; written once, before any thread starts.
termios g_mode;
std::atomic<bool> g_saved{false};

void restore_and_die(int signal) {
  restore_terminal();
  // The handler was reset on entry (SA_RESETHAND), so this ends the process as if there had been none.
  raise(signal);
}

}  // namespace

void restore_terminal() {
  if (g_saved.load()) tcsetattr(STDIN_FILENO, TCSANOW, &g_mode);
}

void guard_terminal() {
  if (g_saved.load() || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &g_mode) != 0) return;
  g_saved = true;
  std::atexit(restore_terminal);
  struct sigaction action {};
  action.sa_handler = restore_and_die;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
}

}  // namespace armvisor::vmm
