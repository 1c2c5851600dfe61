#pragma once
// Requests for counters on the control socket: "stat text" and "stat json" tell all since the machine began to run;
// with " change" behind, what has changed since the same client asked last.
#include <functional>
#include <string>

#include "base/result.h"
#include "measure/report.h"

namespace armvisor::vmm {

/// What a machine has counted.
struct Stats {
  measure::Snapshot snapshot;
  std::vector<measure::MarkTotal> marks;
};

class StatsSession {
 public:
  explicit StatsSession(std::function<Stats()> read) : read_(std::move(read)) {}
  Result<std::string> operator()(const std::string& request);

 private:
  std::function<Stats()> read_;
  measure::Snapshot last_;
};

}  // namespace armvisor::vmm
