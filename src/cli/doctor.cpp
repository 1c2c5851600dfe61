// armvisor doctor: what this host lacks, what that costs, and what to do about it.
#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/host_checks.h"
#include "cli/option_parser.h"

namespace armvisor::cli {
namespace {

struct DoctorOptions {
#define OPTION_TABLE "cli/doctor_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

const char* state_of(const HostCheck& check, const Finding& finding) {
  return finding.fine ? "ok" : check.prevents ? "cannot" : "costs";
}

/// "ok      CPUs: 2 for this process"
std::string line_of(const HostCheck& check, const Finding& finding) {
  const std::string line = fmt::format("{:<7} {}: {}", state_of(check, finding), check.title, finding.found);
  if (finding.fine) return line + "\n";
  return fmt::format("{}; {} {}; {}\n", line, check.prevents ? "this host cannot" : "this costs you:", check.lack,
                     check.remedy);
}

nlohmann::ordered_json json_of(const HostCheck& check, const Finding& finding) {
  nlohmann::ordered_json row = {
      {"name", check.name}, {"title", check.title}, {"state", state_of(check, finding)}, {"found", finding.found}};
  if (!finding.fine) {
    row["lack"] = check.lack;
    row["remedy"] = check.remedy;
  }
  return row;
}

ExitStatus examine(bool json) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  bool can_run = false;
  for (const HostCheck& check : host_checks()) {
    const Finding finding = check.probe();
    can_run = finding.fine;  // the last one's
    if (json)
      rows.push_back(json_of(check, finding));
    else
      std::fputs(line_of(check, finding).c_str(), stdout);
  }
  if (json) {
    const nlohmann::ordered_json all = {{"can_run", can_run}, {"checks", rows}};
    std::printf("%s\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s\n", can_run ? "Machines can run on this host." : "No machine can run on this host.");
  }
  return can_run ? ExitStatus::PoweredOff : ExitStatus::HostResource;
}

Result<ExitStatus> run_arguments(const Arguments& arguments) {
  DoctorOptions o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/doctor_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("doctor", arguments, o.help, bind));
  return o.help ? help({"doctor"}) : examine(o.json);
}

}  // namespace

ExitStatus doctor(const Arguments& arguments) {
  const auto result = run_arguments(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
