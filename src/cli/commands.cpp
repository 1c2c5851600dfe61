#include "cli/commands.h"

#include <cstdio>

#include "engine/engine.h"

namespace armvisor::cli {

ExitStatus dispatch(const Arguments& arguments) {
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

ExitStatus version(const Arguments&) {
  std::string features, missing;
  for (const engine::HostFeature& f : engine::host_features())
    (f.usable ? features : missing) += " " + std::string(f.name);
  std::printf("armvisor %s\nhost features used:%s\nnot on this host:%s\n", version_text().c_str(),
              features.empty() ? " none" : features.c_str(), missing.empty() ? " none" : missing.c_str());
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
