#pragma once
// What ends a preparation that takes long, while the signals that would are blocked: one of them, or the time limit.
#include <chrono>
#include <optional>
#include <vector>

#include "base/result.h"

namespace armvisor::exec {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  /// `signals` are blocked, and left where they are.
  Patience(std::vector<int> signals, std::optional<Clock::time_point> until)
      : signals_(std::move(signals)), until_(until) {}
  /// Without an end.
  Patience() = default;

  /// An error when it is over; then one of the following says why.
  Status check();
  int signal() const { return signal_; }
  bool timed_out() const { return timed_out_; }

 private:
  std::vector<int> signals_;
  std::optional<Clock::time_point> until_;
  int signal_ = 0;
  bool timed_out_ = false;
};

}  // namespace armvisor::exec
