#include "cli/commands.h"

#include <signal.h>

#include <cstdio>
#include <exception>
#include <new>

#include "cli/last_resort.h"
#include "engine/engine.h"

namespace armvisor::cli {

namespace {

ExitStatus dispatch_command(const Arguments& arguments) {
  if (const Status hidden = engine::check_hidden_features(); !hidden) return report(hidden.error());
  if (arguments.empty()) {
    help({});
    return ExitStatus::BadArguments;
  }
  const std::string& name = arguments.front();
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "--help" || name == "-h") return help(rest);
  if (name == "--version") return version(rest);
#define COMMAND(function, command, arguments, help) \
  if (name == command) return function(rest);
#include "cli/commands.inc"
#undef COMMAND
  return report({ErrorKind::BadArguments, "expected a command, found '" + name + "'; 'armvisor help' lists them"});
}

}  // namespace

ExitStatus dispatch(const Arguments& arguments) {
  guard_against_exceptions();
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow further is an error of the write
  try {
    return dispatch_command(arguments);
  } catch (const std::bad_alloc&) {
    return report({ErrorKind::HostResource, k_out_of_memory});
  } catch (const std::exception& e) {
    return report({ErrorKind::Internal, std::string("internal error: ") + e.what()});
  }
}

ExitStatus version(const Arguments&) {
  std::string features, missing;
  for (const engine::HostFeature& f : engine::host_features())
    (f.usable ? features : missing) += " " + std::string(f.name);
  std::printf("armvisor %s\nhost features used:%s\nnot on this host:%s\n", version_text().c_str(),
              features.empty() ? " none" : features.c_str(), missing.empty() ? " none" : missing.c_str());
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
