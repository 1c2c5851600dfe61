#include "vmm/signals.h"

#include <pthread.h>
#include <time.h>

#include <initializer_list>

namespace armvisor::vmm {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH}) {
    struct sigaction action {};
    if (sigaction(s, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) sigaddset(&set, s);
  }
  return set;
}

void block_watched_signals() {
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void forget_watched_signals() {
  const sigset_t set = watched_signals();
  const timespec now{};
  while (sigtimedwait(&set, nullptr, &now) > 0) {
  }
}

void unblock_watched_signals() {
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void stop_process() {
  sigset_t stop, old;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, &old);  // stops here; not at all if no shell could make it go on (an orphan)
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace armvisor::vmm
