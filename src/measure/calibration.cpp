#include "measure/calibration.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace armvisor::measure {
namespace {

using Json = nlohmann::json;
constexpr u32 k_format = 3;

}  // namespace

const Cost* Calibration::find(const std::string& name) const {
  const auto at = costs.find(name);
  return at == costs.end() ? nullptr : &at->second;
}

std::string calibration_json(const Calibration& c) {
  Json root = {{"format", k_format}, {"version", c.version}, {"host", c.host}, {"rounds", c.rounds}};
  root["fit"] = {{"loads", c.fit.loads}, {"median_error", c.fit.median_error}, {"largest_error", c.fit.largest_error}};
  Json& costs = root["costs"] = Json::object();
  for (const auto& [name, cost] : c.costs) costs[name] = {{"ns", cost.ns}, {"spread", cost.spread}};
  root["not_shown"] = c.not_shown;
  return root.dump(1) + "\n";
}

Result<Calibration> parse_calibration(const std::string& text, const std::string& name) {
  const auto bad = [&](const std::string& found) {
    return Error{ErrorKind::BadInput,
                 name + ": expected the costs that this version's 'armvisor calibrate' wrote, found " + found +
                     "; run 'armvisor calibrate' again"};
  };
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return bad("no JSON object");
  if (!root.contains("format") || root["format"] != k_format) return bad("another format");
  const auto is = [&](const char* key, auto test) { return root.contains(key) && (root[key].*test)(); };
  if (!is("version", &Json::is_string) || !is("host", &Json::is_string) || !is("rounds", &Json::is_number_unsigned) ||
      !is("costs", &Json::is_object) || !is("fit", &Json::is_object) || !is("not_shown", &Json::is_object))
    return bad("a part missing");
  Calibration c{root["version"], root["host"], root["rounds"], {}, {}, {}};
  const Json& fit = root["fit"];
  for (const char* key : {"loads", "median_error", "largest_error"})
    if (!fit.contains(key) || !fit[key].is_number()) return bad("a part missing");
  c.fit = {fit["loads"], fit["median_error"], fit["largest_error"]};
  for (const auto& [key, cost] : root["costs"].items()) {
    if (!cost.is_object() || !cost.contains("ns") || !cost["ns"].is_number() || !cost.contains("spread") ||
        !cost["spread"].is_number())
      return bad("no cost of " + key);
    c.costs[key] = {cost["ns"], cost["spread"]};
  }
  for (const auto& [key, why] : root["not_shown"].items()) {
    if (!why.is_string()) return bad("no reason for " + key);
    c.not_shown[key] = why;
  }
  return c;
}

Cost summarise(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto low = static_cast<std::size_t>(position);
    const std::size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (values[high] - values[low]) * (position - static_cast<double>(low));
  };
  return {at(0.5), (at(0.75) - at(0.25)) / 2};
}

}  // namespace armvisor::measure
