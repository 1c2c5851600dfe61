#pragma once
// From microbenchmarks to costs. Each was made to have one kind of event above all others, but none has that kind
// alone.
#include <map>
#include <string>
#include <vector>

#include "measure/cost_model.h"

namespace armvisor::measure {

struct Microbenchmark {
  std::string term;  ///< the kind whose cost it shows
  Load load;
  double count() const;  ///< of `term` in `load`
  bool shows_term() const { return count() > load.instructions * k_least_share; }
  /// Of a microbenchmark's instructions, at least so many are what it shows; less has come about by the way.
  static constexpr double k_least_share = 1e-5;
};

/// Cost of each term in ns: those with which every microbenchmark took exactly the time that it took, found by going
/// through them until nothing changes any more. Instructions cost what they do in the microbenchmark "loop", those of
/// "instruction" what they do there. A term that its own microbenchmark does not show is left out.
std::map<std::string, double> solve(const std::vector<Microbenchmark>& benchmarks);

}  // namespace armvisor::measure
