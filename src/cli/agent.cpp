// armvisor agent: the agent itself, for systems that have to have it installed.
#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "exec/initramfs.h"

namespace armvisor::cli {
namespace {

Status write_agent(const Arguments& arguments) {
  if (!arguments.empty())
    return Error{ErrorKind::BadArguments, "agent: expected nothing behind it, found '" + arguments.front() +
                                              "'; redirect standard output to a file"};
  if (isatty(STDOUT_FILENO))
    return Error{ErrorKind::BadArguments,
                 "agent: expected standard output to be a file, found a terminal; redirect it"};
  const auto bytes = exec::agent_image();
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    return Error{ErrorKind::HostResource, "agent: expected to write it, the host refused; check standard output"};
  return {};
}

}  // namespace

ExitStatus agent(const Arguments& arguments) {
  const Status written = write_agent(arguments);
  return written ? ExitStatus::PoweredOff : report(written.error());
}

}  // namespace armvisor::cli
