#include "exec/patience.h"

#include <signal.h>

namespace armvisor::exec {

Status Patience::check() {
  sigset_t waiting;
  if (sigpending(&waiting) == 0)
    for (const int signal : signals_)
      if (sigismember(&waiting, signal) == 1) signal_ = signal;
  if (until_ && Clock::now() >= *until_) timed_out_ = true;
  if (signal_) return Error{ErrorKind::HostResource, "ended by a signal"};
  if (timed_out_) return Error{ErrorKind::HostResource, "the time given with --timeout is over"};
  return {};
}

}  // namespace armvisor::exec
