#include "vmm/signals.h"

#include <pthread.h>
#include <time.h>

#include <initializer_list>

namespace armvisor::vmm {

sigset_t watched_signals(std::span<const int> more) {
  sigset_t set;
  sigemptyset(&set);
  const auto add = [&set](int s) {
    struct sigaction action {};
    if (sigaction(s, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) sigaddset(&set, s);
  };
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH}) add(s);
  for (const int s : more) add(s);
  return set;
}

void block_watched_signals(std::span<const int> more) {
  const sigset_t set = watched_signals(more);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void forget_watched_signals(std::span<const int> more) {
  const sigset_t set = watched_signals(more);
  const timespec now{};
  while (sigtimedwait(&set, nullptr, &now) > 0) {
  }
}

void unblock_watched_signals(std::span<const int> more) {
  const sigset_t set = watched_signals(more);
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
