#pragma once
// The guest's serial console: what the kernel says there last is kept, for when the machine ends too early.
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/outlet.h"
#include "devices/chardev/chardev.h"

namespace armvisor::exec {

/// (any thread)
class ConsoleLog {
 public:
  static constexpr std::size_t k_most_lines = 200, k_longest_line = 1024;

  /// `copy`: a descriptor that gets all of it as it comes, as far as its reader keeps up; < 0: none.
  static Result<std::unique_ptr<ConsoleLog>> create(int copy);
  /// What the machine has at its end of it; the log outlives it.
  std::unique_ptr<devices::Chardev> line();

  void add(std::span<const u8> bytes);
  /// The last lines; from the one on that a panic or what led to it begins with, if there is such a one.
  std::vector<std::string> last_lines() const;
  bool panicked() const;  ///< the kernel said so
  bool stalled() const;   ///< likewise, and that it was for a stall

 private:
  ConsoleLog() = default;
  bool says_panic_of(std::span<const std::string_view> texts) const;
  mutable std::mutex mutex_;
  std::deque<std::string> lines_{std::string()};
  std::unique_ptr<Outlet> copy_;
};

}  // namespace armvisor::exec
