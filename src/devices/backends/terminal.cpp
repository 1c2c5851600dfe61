#include "devices/backends/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <mutex>

#include "base/log.h"

namespace armvisor::devices {
namespace {

struct Terminal {
  int fd = -1;
  termios users_mode, raw_mode;
  std::atomic<bool> changed{false};  ///< the user's mode and the descriptor change only while it is false
};

// Process-wide because a signal handler has nothing else. As many as a machine has consoles.
std::mutex g_mutex;
std::array<Terminal, 3> g_terminals;

bool same_mode(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag && a.c_lflag == b.c_lflag &&
         std::equal(std::begin(a.c_cc), std::end(a.c_cc), std::begin(b.c_cc));
}

/// Without being stopped, should the process have just lost the foreground. (async-signal-safe)
void set_mode(int fd, const termios& mode) {
  sigset_t stop, old;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &stop, &old);
  tcsetattr(fd, TCSANOW, &mode);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

/// (async-signal-safe)
void restore_now() {
  for (Terminal& t : g_terminals) {
    if (!t.changed.load() || in_background(t.fd)) continue;
    set_mode(t.fd, t.users_mode);
    t.changed = false;
  }
}

/// The one that stands for `fd`, or a free one.
Terminal* find(int fd) {
  for (Terminal& t : g_terminals)
    if (t.changed && t.fd == fd) return &t;
  for (Terminal& t : g_terminals)
    if (!t.changed) return &t;
  return nullptr;
}

void restore_and_die(int signal) {
  restore_now();
  settle_messages();
  // The handler was reset on entry (SA_RESETHAND), so this ends the process as if there had been none.
  raise(signal);
}

}  // namespace

bool in_background(int fd) {
  const pid_t session = tcgetsid(fd);  // fails where `fd` is nobody's controlling terminal
  if (session < 0 || session != getsid(0)) return false;
  const pid_t foreground = tcgetpgrp(fd);
  return foreground > 0 && foreground != getpgrp();
}

void make_terminal_raw(int fd, bool signals) {
  const std::lock_guard lock(g_mutex);
  termios mode;
  Terminal* const t = find(fd);
  if (!t || in_background(fd) || tcgetattr(fd, &mode) != 0) return;
  const bool is_raw = t->changed && same_mode(mode, t->raw_mode);
  if (is_raw && signals == ((mode.c_lflag & ISIG) != 0)) return;
  if (!is_raw) {
    t->changed = false;
    t->fd = fd;
    t->users_mode = mode;
  }
  cfmakeraw(&mode);
  if (signals) mode.c_lflag |= ISIG;
  mode.c_oflag |= OPOST;  // the host's own messages keep their line ends
  set_mode(fd, mode);
  if (tcgetattr(fd, &t->raw_mode) != 0) t->raw_mode = mode;
  t->changed = true;
}

void restore_terminal() {
  const std::lock_guard lock(g_mutex);
  restore_now();
}

void restore_terminal_now() { restore_now(); }

void guard_terminal() {
  std::atexit(restore_terminal);
  struct sigaction action {};
  action.sa_handler = restore_and_die;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT}) {
    struct sigaction before {};
    // One that is ignored from the start (a shell does so for its background) stays ignored.
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
}

}  // namespace armvisor::devices
