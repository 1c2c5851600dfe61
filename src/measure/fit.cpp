#include "measure/fit.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace armvisor::measure {
namespace {

/// A load in units of its own time: left = instructions * instruction_ns + cold * cold_ns, if the model were exact.
struct Point {
  double instructions, cold, left;
  double residual(std::pair<double, double> ns) const { return instructions * ns.first + cold * ns.second - left; }
};

Point point_of(const Load& load, const Calibration& costs) {
  double cold = 0;
  for (const Events& e : load.events)
    if (e.name == "code.lookups") cold = e.count;
  const double t = load.measured_ns;
  return {load.instructions / t, cold / t, 1 - predict(load, costs, 0).ns() / t};
}

/// Least squares with weights; neither cost is negative.
std::pair<double, double> least_squares(const std::vector<Point>& points, const std::vector<double>& weights) {
  double ii = 0, ic = 0, cc = 0, il = 0, cl = 0;
  for (std::size_t k = 0; k < points.size(); ++k) {
    const auto& [i, c, l] = points[k];
    ii += weights[k] * i * i;
    ic += weights[k] * i * c;
    cc += weights[k] * c * c;
    il += weights[k] * i * l;
    cl += weights[k] * c * l;
  }
  const double alone_i = ii > 0 ? std::max(0.0, il / ii) : 0, alone_c = cc > 0 ? std::max(0.0, cl / cc) : 0;
  const double determinant = ii * cc - ic * ic;
  if (determinant <= 1e-12 * ii * cc) return {alone_i, 0};
  const double i = (il * cc - cl * ic) / determinant, c = (cl * ii - il * ic) / determinant;
  if (c < 0) return {alone_i, 0};
  if (i < 0) return {0, alone_c};
  return {i, c};
}

/// Errors add up, but one of more than the load's own time counts no more than that.
constexpr double k_most = 1;

double badness(const std::vector<Point>& points, std::pair<double, double> ns) {
  double sum = 0;
  for (const Point& p : points) sum += std::min(k_most, std::abs(p.residual(ns)));
  return sum;
}

/// Goes downhill from a fit with these weights, by least squares whose weights follow the errors.
std::pair<double, double> descend(const std::vector<Point>& points, std::vector<double> weights) {
  constexpr u32 k_rounds = 50;
  constexpr double k_least = 1e-3;  // errors below this count alike
  std::pair<double, double> best = least_squares(points, weights);
  for (u32 round = 0; round < k_rounds; ++round) {
    const auto ns = least_squares(points, weights);
    if (badness(points, ns) < badness(points, best)) best = ns;
    for (std::size_t k = 0; k < points.size(); ++k) {
      const double error = std::abs(points[k].residual(ns));
      weights[k] = error > k_most ? 0 : 1 / std::max(k_least, error);
    }
  }
  return best;
}

/// From all points, and from all but one: a single load unlike the others can hide what they have in common.
std::pair<double, double> least_errors(const std::vector<Point>& points) {
  std::vector<double> weights(points.size(), 1.0);
  std::pair<double, double> best = descend(points, weights);
  for (double& weight : weights) {
    weight = 0;
    const auto ns = descend(points, weights);
    if (badness(points, ns) < badness(points, best)) best = ns;
    weight = 1;
  }
  return best;
}

}  // namespace

std::optional<Fit> fit(const std::vector<Load>& loads, const Calibration& costs) {
  if (loads.size() < 4) return {};
  Calibration traps = costs;  // an earlier fit is not part of them
  traps.costs.erase("code.cold");
  std::vector<Point> points;
  for (const Load& load : loads) points.push_back(point_of(load, traps));
  Fit out;
  std::tie(out.instruction_ns, out.cold_ns) = least_errors(points);
  for (std::size_t k = 0; k < points.size(); ++k) {
    std::vector<Point> others = points;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(k));
    out.errors.push_back(points[k].residual(least_errors(others)));
  }
  return out;
}

Calibration with_fit(Calibration costs, const Fit& found) {
  std::vector<double> sizes;
  for (const double error : found.errors) sizes.push_back(std::abs(error));
  costs.costs["instruction"] = {found.instruction_ns, 0};
  costs.costs["code.cold"] = {found.cold_ns, 0};
  costs.fit = {static_cast<u32>(sizes.size()), summarise(sizes).ns, *std::ranges::max_element(sizes)};
  return costs;
}

}  // namespace armvisor::measure
