// armvisor calibrate: what each kind of event costs on this host, kept for armvisor model.
#include <unistd.h>

#include <cstdio>

#include "base/log.h"
#include "base/output_file.h"
#include "cli/calibration_path.h"
#include "cli/counted_loads.h"
#include "cli/option_parser.h"
#include "measure/fit.h"
#include "vmm/calibrator.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

struct Request {
#define OPTION_TABLE "cli/calibrate_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Result<Request> parse(const Arguments& arguments) {
  Request o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/calibrate_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("calibrate", arguments, o.help, bind));
  return o;
}

Result<std::vector<measure::Load>> read_all_loads(const Arguments& files) {
  std::vector<measure::Load> loads;
  for (const std::string& file : files) {
    AV_TRY_ASSIGN(auto named, read_loads(file));
    for (NamedLoad& l : named) loads.push_back(std::move(l.load));
  }
  return loads;
}

Result<measure::Calibration> fit_to(const std::vector<measure::Load>& loads, const measure::Calibration& costs) {
  const auto found = measure::fit(loads, costs);
  if (!found)
    return Error{ErrorKind::BadInput, "--fit: expected at least four loads, found " + std::to_string(loads.size()) +
                                          "; mark more (docs/hypercalls.md) or give more files"};
  return measure::with_fit(costs, *found);
}

void print(const measure::Calibration& c) {
  std::printf("%s\n%-28s %12s %12s\n", c.host.c_str(), "event", "ns", "spread");
  for (const auto& [name, cost] : c.costs) std::printf("%-28s %12.2f %12.2f\n", name.c_str(), cost.ns, cost.spread);
  for (const auto& [name, why] : c.not_shown) std::printf("%-28s not on this host: %s\n", name.c_str(), why.c_str());
  if (c.fit.loads)
    std::printf(
        "instruction and code.cold are fitted to %u loads; each predicted by the others: error %.1f%% in the "
        "median, %.1f%% at most\n",
        c.fit.loads, 100 * c.fit.median_error, 100 * c.fit.largest_error);
}

Result<ExitStatus> measure_host(const Arguments& arguments) {
  AV_TRY_ASSIGN(Request r, parse(arguments));
  if (r.help) return help({"calibrate"});
  AV_TRY_ASSIGN(const u64 rounds, parse_number("calibrate: --rounds", r.rounds.value_or("7"), 1, 100));
  if (!r.output) {
    AV_TRY_ASSIGN(r.output, calibration_path());
  }
  AV_TRY_ASSIGN(const auto loads, read_all_loads(r.fit));  // while signals still end the program
  AV_TRY(OutputFile::check("--output", *r.output));
  vmm::block_watched_signals();  // the machines read them from a descriptor
  vmm::CalibrationPlan plan{.rounds = static_cast<u32>(rounds), .version = version_text(), .progress = {}};
  if (::isatty(STDERR_FILENO))
    plan.progress = [](u32 done, u32 of) {
      print_text("\r" + std::to_string(done) + " of " + std::to_string(of) + (done == of ? "\n" : ""));
    };
  auto measured = vmm::calibrate(plan);
  vmm::unblock_watched_signals();
  AV_TRY_ASSIGN(measure::Calibration calibration, std::move(measured));
  if (!r.fit.empty()) {
    AV_TRY_ASSIGN(calibration, fit_to(loads, calibration));
  }
  AV_TRY(save_calibration(*r.output, calibration));
  if (r.json)
    std::fputs(measure::calibration_json(calibration).c_str(), stdout);
  else
    print(calibration);
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus calibrate(const Arguments& arguments) {
  const auto result = measure_host(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
