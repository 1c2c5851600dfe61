#include "devices/backends/thread_network.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/host_error.h"
#include "base/thread.h"

namespace armvisor::devices {

Result<Fd> ThreadNetwork::make_event() {
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return host_error("network: expected an eventfd", errno, "end other programs");
  return event;
}

Status ThreadNetwork::start(NetworkClient& client) {
  client_ = &client;
  AV_TRY_ASSIGN(thread_, start_quiet_thread("network", [this] { run(); }));
  return {};
}

void ThreadNetwork::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
  client_ = nullptr;
}

void ThreadNetwork::wake() {
  const u64 one = 1;
  // A full counter (EAGAIN) wakes as well.
  [[maybe_unused]] const ssize_t n = ::write(event(), &one, sizeof one);
}

void ThreadNetwork::take_event() {
  u64 count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event(), &count, sizeof count);
}

}  // namespace armvisor::devices
