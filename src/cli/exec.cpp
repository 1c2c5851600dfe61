// armvisor exec: one command in a 32-bit ARM system.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "base/log_once.h"
#include "cli/option_parser.h"
#include "devices/backends/terminal.h"
#include "exec/run.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

struct ExecOptions {
#define OPTION_TABLE "cli/exec_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

/// What comes before "--" is for the program, what comes behind it is the command.
Result<ExecOptions> parse(const Arguments& arguments, Arguments& command) {
  const auto dashes = std::ranges::find(arguments, "--");
  if (dashes != arguments.end()) command.assign(dashes + 1, arguments.end());
  ExecOptions o;
  const auto bind = [&o](CLI::App& app) {
#define OPTION_TABLE "cli/exec_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("exec", Arguments(arguments.begin(), dashes), o.help, bind));
  if (!o.help && command.empty()) return bad("exec: expected '-- COMMAND' behind the system, found none; add it");
  return o;
}

/// NAME=VALUE; of NAME alone, what this process has.
Status add_variable(const std::string& text, std::vector<std::string>& variables) {
  if (text.empty() || text.front() == '=')
    return bad("--env: expected NAME or NAME=VALUE, found '" + text + "'; name a variable");
  if (text.find('=') != text.npos) {
    variables.push_back(text);
  } else if (const char* const value = std::getenv(text.c_str())) {
    variables.push_back(text + "=" + value);
  }
  return {};
}

Result<exec::CommandRequest> command_request(const ExecOptions& o, Arguments command) {
  exec::CommandRequest request{.command = std::move(command)};
  for (const std::string& text : o.variables) AV_TRY(add_variable(text, request.variables));
  request.user = o.user.value_or("");
  request.folder = o.folder.value_or("");
  return request;
}

Result<exec::Request> exec_request(const ExecOptions& o, Arguments command) {
  exec::Request r;
  AV_TRY_ASSIGN(r.command, command_request(o, std::move(command)));
  r.system = o.system;
  r.write = o.write;
  r.kernel = {o.kernel.value_or(""), o.modules.value_or("")};
  r.append = o.append.value_or("");
  r.engine = o.engine.value_or("auto");
  r.show_console = o.verbose;
  if (o.net && *o.net != "none" && *o.net != "user")
    return bad("--net: expected none or user, found '" + *o.net + "'; give one of these");
  r.user_network = o.net == "user";
  if (o.memory) {
    AV_TRY_ASSIGN(r.memory, parse_size("--memory", *o.memory));
  }
  if (o.cpus) {
    AV_TRY_ASSIGN(const u64 cpus, parse_number("--cpus", *o.cpus, 1, 8));
    r.cpus = static_cast<u32>(cpus);
  }
  if (o.timeout) {
    AV_TRY_ASSIGN(const u64 seconds, parse_number("--timeout", *o.timeout, 1, 1'000'000'000));
    r.timeout_ms = seconds * 1000;
  }
  return r;
}

void tell(const exec::Outcome& outcome) {
  std::string text;
  for (const std::string& line : outcome.console) text += line + "\n";
  if (!text.empty()) print_text(text);
  if (!outcome.message.empty()) say(outcome.message);
}

Result<int> exec_arguments(const Arguments& arguments) {
  Arguments command;
  AV_TRY_ASSIGN(const ExecOptions options, parse(arguments, command));
  if (options.help) {
    help({"exec"});
    return 0;
  }
  AV_TRY_ASSIGN(const exec::Request request, exec_request(options, std::move(command)));
  vmm::block_watched_signals(exec::k_passed_signals);
  signal(SIGPIPE, SIG_IGN);
  devices::guard_terminal();
  AV_TRY_ASSIGN(const exec::Outcome outcome, exec::run(request));
  log_repeats();
  tell(outcome);
  return outcome.status();
}

}  // namespace

/// A status of exec's own for all that goes wrong here: those of exit_status.inc are mostly a command's.
ExitStatus exec(const Arguments& arguments) {
  const auto status = exec_arguments(arguments);
  vmm::forget_watched_signals(exec::k_passed_signals);
  vmm::unblock_watched_signals(exec::k_passed_signals);
  if (status) return static_cast<ExitStatus>(*status);
  say(status.error().message);
  return static_cast<ExitStatus>(exec::Outcome{.ending = exec::Ending::Failed}.status());
}

}  // namespace armvisor::cli
