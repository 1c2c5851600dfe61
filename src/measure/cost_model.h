#pragma once
// The cost model (docs/cost-model.md): T = instructions x CPI + sum over kinds of count x cost. Pure: counts and costs
// in, times out.
#include <optional>
#include <string>
#include <vector>

#include "measure/calibration.h"
#include "measure/snapshot.h"

namespace armvisor::measure {

/// One kind of event of a load.
struct Events {
  std::string name;  ///< as Calibration::costs has it
  double count = 0;
};

/// All that the model looks at, and what it leaves out.
struct Load {
  std::vector<Events> events;
  double instructions = 0;
  double measured_ns = 0;  ///< of host CPU
};
/// Of the threads of all vCPUs. Fails when guest instructions were not counted.
Result<Load> load_of(const Snapshot& snapshot, const std::string& name);

struct Term {
  std::string name;
  double count = 0, ns_each = 0;
  double ns() const { return count * ns_each; }
};

struct Prediction {
  std::vector<Term> terms;       ///< the dearest first
  std::vector<Events> unpriced;  ///< that happened and have no cost
  double measured_ns = 0;
  double ns() const;
  double error() const { return ns() / measured_ns - 1; }  ///< of the prediction, as a share of what was measured
};
/// `instruction_ns`: instead of the calibrated cost of an instruction.
Prediction predict(const Load& load, const Calibration& costs, std::optional<double> instruction_ns = {});

/// The cost of an instruction with which the prediction of `load` is what was measured: its own CPI. 0 when its traps
/// alone are predicted to take longer.
double own_instruction_ns(const Load& load, const Calibration& costs);

/// The events that a mechanism would have turned into others, were it switched off (what_if.inc).
struct WhatIf {
  std::string_view name, option, help;
};
const std::vector<WhatIf>& what_ifs();
Result<Load> apply(const std::string& what_if, Load load);

}  // namespace armvisor::measure
