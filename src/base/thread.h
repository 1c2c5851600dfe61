#pragma once
// Threads with a name; one that the host has no room for is an error, no exception.
#include <pthread.h>
#include <signal.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/host_error.h"

namespace armvisor {

/// `name`: up to 15 bytes, as tools of the host show it.
template <class F>
Result<std::thread> start_thread(const std::string& name, F run) {
  try {
    return std::thread([name, run = std::move(run)]() mutable {
      pthread_setname_np(pthread_self(), name.c_str());
      run();
    });
  } catch (const std::system_error& e) {
    return thread_error(name, e.code().value());
  }
}

/// A thread that takes no signals: they are for others, and errors stay with the call that hit them (SIGPIPE, SIGXFSZ).
template <class F>
Result<std::thread> start_quiet_thread(const std::string& name, F run) {
  struct AllBlocked {
    AllBlocked() {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &old);
    }
    ~AllBlocked() { pthread_sigmask(SIG_SETMASK, &old, nullptr); }
    sigset_t old;
  };
  const AllBlocked inherited_by_the_thread;
  return start_thread(name, std::move(run));
}

}  // namespace armvisor
