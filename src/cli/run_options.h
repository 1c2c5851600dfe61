#pragma once
// Options of "armvisor run", as given (options.inc) and as meant.
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/commands.h"
#include "vmm/vm.h"

namespace armvisor::cli {

struct RunOptions {
#define TEXT(member, names, value, help) std::optional<std::string> member;
#define LIST(member, names, value, help) std::vector<std::string> member;
#define FLAG(member, names, help) bool member = false;
#define FORM(member, names, value, help) std::string member;  // "true" without a value
#include "cli/options.inc"
#undef TEXT
#undef LIST
#undef FLAG
#undef FORM
  bool help = false;  ///< --help was given: nothing else was looked at
};

Result<RunOptions> parse_run_options(const Arguments& arguments);

/// 512M, 1G, 1048576K, or a number of bytes.
Result<u64> parse_size(const std::string& option, const std::string& text);

struct RunRequest {
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
