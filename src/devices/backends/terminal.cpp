#include "devices/backends/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <mutex>

#include "base/log.h"

namespace armvisor::devices {
namespace {

// Process-wide because a signal handler has nothing else. The modes change only while g_changed is false.
std::mutex g_mutex;
termios g_users_mode, g_raw_mode;
int g_fd = -1;
std::atomic<bool> g_changed{false};

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
  if (!g_changed.load() || in_background(g_fd)) return;
  set_mode(g_fd, g_users_mode);
  g_changed = false;
}

void restore_and_die(int signal) {
  restore_now();
  settle_messages();
  // The handler was reset on entry (SA_RESETHAND), so this ends the process as if there had been none.
  raise(signal);
}

}  // namespace

bool in_background(int fd) {
  const pid_t foreground = tcgetpgrp(fd);  // fails where `fd` is not the controlling terminal
  return foreground > 0 && foreground != getpgrp();
}

void make_terminal_raw(int fd) {
  const std::lock_guard lock(g_mutex);
  termios mode;
  if (in_background(fd) || tcgetattr(fd, &mode) != 0) return;
  if (g_changed.load() && same_mode(mode, g_raw_mode)) return;
  g_changed = false;
  g_fd = fd;
  g_users_mode = mode;
  cfmakeraw(&mode);
  mode.c_oflag |= OPOST;  // the host's own messages keep their line ends
  set_mode(fd, mode);
  if (tcgetattr(fd, &g_raw_mode) != 0) g_raw_mode = mode;
  g_changed = true;
}

void restore_terminal() {
  const std::lock_guard lock(g_mutex);
  restore_now();
}

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
