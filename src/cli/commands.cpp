#include "cli/commands.h"

#include <cstdio>

namespace armvisor::cli {

ExitStatus dispatch(const Arguments& arguments) {
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
  std::printf("armvisor %s\n", version_text().c_str());
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
