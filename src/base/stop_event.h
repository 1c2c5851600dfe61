#pragma once
// Something that happens once, and that a thread can wait for beside other descriptors.
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "base/host_error.h"
#include "base/types.h"

namespace armvisor {

class StopEvent {
 public:
  static Result<std::unique_ptr<StopEvent>> create() {
    Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) return host_error("expected an eventfd", errno, "end other programs");
    return std::unique_ptr<StopEvent>(new StopEvent(std::move(fd)));
  }
  /// (any thread)
  void set() {
    set_.store(true);
    const u64 one = 1;
    // Fails only when the counter is full, and then the descriptor is readable anyway.
    [[maybe_unused]] const ssize_t n = ::write(fd_.get(), &one, sizeof one);
  }
  /// (any thread)
  bool is_set() const { return set_.load(); }
  /// Readable from set() on; not to be read.
  int fd() const { return fd_.get(); }

 private:
  explicit StopEvent(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::atomic<bool> set_{false};
};

}  // namespace armvisor
