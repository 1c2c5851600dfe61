#pragma once
// The part of the cost model that microbenchmarks cannot give, fitted to loads: what an instruction of real programs
// takes, and what code takes that did not run lately.
#include <optional>
#include <vector>

#include "measure/cost_model.h"

namespace armvisor::measure {

struct Fit {
  double instruction_ns = 0;
  double cold_ns = 0;          ///< for each search of the code cache, on top of the search
  std::vector<double> errors;  ///< of each load's prediction by a fit to all the others
};

/// Least sum of relative errors, each counted up to 100%, so that a load unlike the others does not pull the rest with
/// it. Nothing for fewer than four loads.
std::optional<Fit> fit(const std::vector<Load>& loads, const Calibration& costs);

/// `costs` with what was found, and what is to be known of it.
Calibration with_fit(Calibration costs, const Fit& found);

}  // namespace armvisor::measure
