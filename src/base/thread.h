#pragma once
// Threads with a name and a kind, which says what they may ask of the host (base/sandbox/sandbox.h); one that the host
// has no room for is an error, no exception. All threads are made here (scripts/check_layering.py looks).
#include <pthread.h>
#include <signal.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/host_error.h"
#include "base/sandbox/sandbox.h"

namespace armvisor {

struct AllSignalsBlocked {
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &all, &old);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &old, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  sigset_t old;
};

template <class F>
Result<std::thread> start_narrowed_thread(Narrowing narrowing, const std::string& name, F run) {
  try {
    return std::thread([narrowing, name, run = std::move(run)]() mutable {
      pthread_setname_np(pthread_self(), name.c_str());
      narrowing.put_on();
      run();
    });
  } catch (const std::system_error& e) {
    return thread_error(name, e.code().value());
  }
}

/// `name`: up to 15 bytes, as tools of the host show it.
template <class F>
Result<std::thread> start_thread(ThreadKind kind, const std::string& name, F run) {
  AV_TRY_ASSIGN(const Narrowing narrowing, Narrowing::of(kind));
  return start_narrowed_thread(narrowing, name, std::move(run));
}

/// A thread that takes no signals: they are for others, and errors stay with the call that hit them (SIGPIPE, SIGXFSZ).
/// (SIGSYS, which tells of a forbidden call, comes whatever is blocked; it would end the process without a word.)
template <class F>
Result<std::thread> start_quiet_thread(ThreadKind kind, const std::string& name, F run) {
  const AllSignalsBlocked inherited_by_the_thread;
  return start_thread(kind, name, std::move(run));
}

/// A quiet thread that opens something by a library of the host's, before the machine runs, and then ends.
template <class F>
Result<std::thread> start_opening_thread(const std::string& name, F run) {
  const AllSignalsBlocked inherited_by_the_thread;
  return start_narrowed_thread(Narrowing(), name, std::move(run));
}

}  // namespace armvisor
