#pragma once
// What a thread waits for beside other descriptors, again and again: others wake it.
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/fd.h"
#include "base/host_error.h"
#include "base/types.h"

namespace armvisor {

class WakeEvent {
 public:
  /// `who` is for the message: "network".
  static Result<WakeEvent> create(const std::string& who) {
    Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) return host_error(who + ": expected an eventfd", errno, "end other programs");
    return WakeEvent(std::move(fd));
  }
  /// (any thread)
  void wake() const {
    const u64 one = 1;
    // Fails only when the counter is full, and then the descriptor is readable anyway.
    [[maybe_unused]] const ssize_t n = ::write(fd_.get(), &one, sizeof one);
  }
  /// What it was woken for is looked at from here on.
  void take() const {
    u64 count = 0;
    [[maybe_unused]] const ssize_t n = ::read(fd_.get(), &count, sizeof count);
  }
  /// Readable after wake(), until take().
  int fd() const { return fd_.get(); }

 private:
  explicit WakeEvent(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace armvisor
