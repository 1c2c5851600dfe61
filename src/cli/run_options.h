#pragma once
// Options of "armvisor run", as given (options.inc) and as meant.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/option_parser.h"
#include "exec/agent_server.h"
#include "vmm/vm.h"

namespace armvisor::cli {

struct RunOptions {
#define OPTION_TABLE "cli/options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Result<RunOptions> parse_run_options(const Arguments& arguments);

struct RunRequest {
  std::shared_ptr<exec::AgentServer> agent;  ///< of the machine's; before `vm`, which uses it
  vmm::VmConfig vm;
  LogLevel log = LogLevel::Warn;
  std::string dump_dtb;  ///< empty: run
  struct StatsOutput {
    bool json = false;
    std::string file;  ///< empty: standard error
  };
  std::optional<StatsOutput> stats;
};

/// What the options mean; their texts are checked here.
Result<RunRequest> run_request(const RunOptions& options);

}  // namespace armvisor::cli
