// armvisor model: predicts the time of what was counted from the costs of this host, and compares.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/calibration_path.h"
#include "cli/counted_loads.h"
#include "cli/option_parser.h"
#include "measure/cost_model.h"

namespace armvisor::cli {
namespace {

using measure::Load;
using measure::Prediction;

struct Request {
#define OPTION_TABLE "cli/model_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

struct Row {
  std::string name;
  Prediction prediction;
  double instruction_ns = 0;
  std::optional<Prediction> what_if;
};

Result<Request> parse(const Arguments& arguments) {
  Request o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/model_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("model", arguments, o.help, bind));
  return o;
}

/// The cost of an instruction of this load in the reference run.
Result<double> reference_ns(const std::vector<NamedLoad>& reference, const NamedLoad& wanted,
                            const measure::Calibration& costs) {
  for (const NamedLoad& r : reference)
    if (r.name == wanted.name || reference.size() == 1) return measure::own_instruction_ns(r.load, costs);
  return Error{ErrorKind::BadInput,
               "--reference: expected a mark " + wanted.name + ", found none of that name; run the same loads"};
}

Result<std::vector<Row>> predict_all(const Request& r, const measure::Calibration& costs) {
  std::vector<NamedLoad> reference;
  if (r.reference) {
    AV_TRY_ASSIGN(reference, read_loads(*r.reference));
  }
  std::vector<Row> rows;
  for (const std::string& file : r.files) {
    AV_TRY_ASSIGN(const auto loads, read_loads(file));
    for (const NamedLoad& l : loads) {
      std::optional<double> own;
      if (!reference.empty()) {
        AV_TRY_ASSIGN(own, reference_ns(reference, l, costs));
      }
      Row row{l.name, measure::predict(l.load, costs, own), 0, {}};
      const measure::Cost* const usual = costs.find("instruction");
      row.instruction_ns = own ? *own : usual ? usual->ns : 0;
      if (r.what_if) {
        AV_TRY_ASSIGN(const Load changed, measure::apply(*r.what_if, l.load));
        row.what_if = measure::predict(changed, costs, own);
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

double median_error(const std::vector<Row>& rows) {
  std::vector<double> errors;
  for (const Row& row : rows) errors.push_back(std::abs(row.prediction.error()));
  return measure::summarise(errors).ns;
}

double largest_error(const std::vector<Row>& rows) {
  double largest = 0;
  for (const Row& row : rows) largest = std::max(largest, std::abs(row.prediction.error()));
  return largest;
}

/// What the change alone makes, on top of what was measured.
double what_if_ns(const Row& row) { return row.prediction.measured_ns + row.what_if->ns() - row.prediction.ns(); }

void print_terms(const Prediction& p) {
  std::printf("\n%-28s %15s %12s %12s %7s\n", "event", "count", "ns each", "ms", "share");
  for (const measure::Term& t : p.terms)
    std::printf("%-28s %15.0f %12.2f %12.3f %6.1f%%\n", t.name.c_str(), t.count, t.ns_each, t.ns() / 1e6,
                100 * t.ns() / p.ns());
}

void print_text(const Request& r, const std::vector<Row>& rows, const measure::Calibration& costs) {
  std::printf("%-20s %12s %12s %8s %10s %8s%s\n", "load", "measured ms", "predicted", "error", "ns/insn", "traps",
              r.what_if ? ("   " + *r.what_if + " ms").c_str() : "");
  for (const Row& row : rows) {
    const Prediction& p = row.prediction;
    double instructions = 0;
    for (const measure::Term& t : p.terms)
      if (t.name == "instruction") instructions = t.ns();
    std::printf("%-20s %12.2f %12.2f %+7.1f%% %10.3f %7.1f%%", row.name.c_str(), p.measured_ns / 1e6, p.ns() / 1e6,
                100 * p.error(), row.instruction_ns, 100 * (1 - instructions / p.ns()));
    if (row.what_if) std::printf("   %.2f", what_if_ns(row) / 1e6);
    std::printf("\n");
  }
  if (rows.size() > 1)
    std::printf("error of %zu loads: median %.1f%%, largest %.1f%%\n", rows.size(), 100 * median_error(rows),
                100 * largest_error(rows));
  else
    print_terms(rows.front().prediction);
  std::map<std::string, double> unpriced;
  for (const Row& row : rows)
    for (const measure::Events& e : row.prediction.unpriced) unpriced[e.name] += e.count;
  for (const auto& [name, count] : unpriced) {
    const auto why = costs.not_shown.find(name);
    std::printf("without a price: %s, %.0f times%s\n", name.c_str(), count,
                why == costs.not_shown.end() ? "" : ("; " + why->second).c_str());
  }
}

void print_json(const std::vector<Row>& rows, const measure::Calibration& costs) {
  using Json = nlohmann::json;
  Json out = {{"median_error", median_error(rows)},
              {"largest_error", largest_error(rows)},
              {"not_shown", costs.not_shown},
              {"loads", Json::array()}};
  for (const Row& row : rows) {
    const Prediction& p = row.prediction;
    Json load = {{"name", row.name},          {"measured_ns", p.measured_ns},         {"predicted_ns", p.ns()},
                 {"error", p.error()},        {"instruction_ns", row.instruction_ns}, {"terms", Json::array()},
                 {"unpriced", Json::object()}};
    for (const measure::Term& t : p.terms)
      load["terms"].push_back({{"name", t.name}, {"count", t.count}, {"ns_each", t.ns_each}, {"ns", t.ns()}});
    for (const measure::Events& e : p.unpriced) load["unpriced"][e.name] = e.count;
    if (row.what_if) load["what_if_ns"] = what_if_ns(row);
    out["loads"].push_back(std::move(load));
  }
  std::printf("%s\n", out.dump(1).c_str());
}

Result<ExitStatus> show(const Arguments& arguments) {
  AV_TRY_ASSIGN(Request r, parse(arguments));
  if (r.help) return help({"model"});
  if (!r.costs) {
    AV_TRY_ASSIGN(r.costs, calibration_path());
  }
  AV_TRY_ASSIGN(const measure::Calibration costs, load_calibration(*r.costs));
  AV_TRY_ASSIGN(const std::vector<Row> rows, predict_all(r, costs));
  if (r.json)
    print_json(rows, costs);
  else
    print_text(r, rows, costs);
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus model(const Arguments& arguments) {
  const auto result = show(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
