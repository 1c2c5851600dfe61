#include "measure/solve.h"

#include <algorithm>
#include <cmath>

namespace armvisor::measure {
namespace {

constexpr u32 k_max_rounds = 200;
constexpr double k_settled_ns = 1e-4;

bool of_instructions(const std::string& term) { return term == "loop" || term == "instruction"; }

}  // namespace

double Microbenchmark::count() const {
  double count = of_instructions(term) ? load.instructions : 0;
  for (const Events& e : load.events)
    if (e.name == term) count += e.count;
  return count;
}

std::map<std::string, double> solve(const std::vector<Microbenchmark>& benchmarks) {
  std::map<std::string, double> costs;
  for (const Microbenchmark& b : benchmarks)
    if (b.shows_term()) costs[b.term] = 0;
  for (u32 round = 0; round < k_max_rounds; ++round) {
    double change = 0;
    for (const Microbenchmark& b : benchmarks) {
      if (!b.shows_term()) continue;
      double left = b.load.measured_ns;
      if (!of_instructions(b.term) && costs.contains("loop")) left -= b.load.instructions * costs["loop"];
      for (const Events& e : b.load.events)
        if (e.name != b.term && costs.contains(e.name)) left -= e.count * costs[e.name];
      const double cost = std::max(0.0, left / b.count());
      change = std::max(change, std::abs(cost - costs[b.term]));
      costs[b.term] = cost;
    }
    if (change < k_settled_ns) break;
  }
  return costs;
}

}  // namespace armvisor::measure
