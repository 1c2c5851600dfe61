#pragma once
#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace armvisor {

/// A thread that takes no signals: they are for others, and errors stay with the call that hit them (SIGPIPE, SIGXFSZ).
template <class F>
std::thread quiet_thread(F run) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread thread(std::move(run));
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  return thread;
}

}  // namespace armvisor
