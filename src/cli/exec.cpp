// armvisor exec: one command in a 32-bit ARM system.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/log.h"
#include "base/log_once.h"
#include "base/output_file.h"
#include "cli/option_parser.h"
#include "cli/sandbox_option.h"
#include "devices/backends/terminal.h"
#include "exec/attach.h"
#include "exec/disk_layout.h"
#include "exec/run.h"
#include "vmm/control_path.h"
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
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/exec_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("exec", Arguments(arguments.begin(), dashes), o.help, bind));
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
  request.terminal = o.terminal;
  const auto is_term = [](const std::string& v) { return v.starts_with("TERM="); };
  if (o.terminal && std::ranges::none_of(request.variables, is_term)) AV_TRY(add_variable("TERM", request.variables));
  return request;
}

Status add_shares(const ExecOptions& o, exec::Request& r) {
  for (const std::string& text : o.shares) {
    AV_TRY_ASSIGN(auto share, exec::parse_share(text));
    r.shares.push_back(std::move(share));
  }
  if (!o.here) return {};
  std::error_code error;
  const std::string here = std::filesystem::current_path(error).string();
  if (error) return bad("--cwd: expected a present folder, found none: " + error.message() + "; go to one");
  r.shares.push_back({here, here, false});
  if (r.command.folder.empty()) r.command.folder = here;
  return {};
}

Status set_times(const ExecOptions& o, exec::Request& r) {
  constexpr std::string_view k_guest = "guest:";
  for (const std::string& text : o.timeouts) {
    const bool guest = text.starts_with(k_guest);
    AV_TRY_ASSIGN(const u64 seconds,
                  parse_number("--timeout", guest ? text.substr(k_guest.size()) : text, 1, 1'000'000'000));
    (guest ? r.guest_timeout_ms : r.timeout_ms) = seconds * 1000;
  }
  if (!o.stall) return {};
  AV_TRY_ASSIGN(const u64 seconds, parse_number("--stall", *o.stall, 1, 1'000'000));
  r.stall_s = static_cast<u32>(seconds);
  return {};
}

Result<exec::Request> exec_request(const ExecOptions& o, Arguments command) {
  exec::Request r;
  AV_TRY_ASSIGN(r.command, command_request(o, std::move(command)));
  AV_TRY(add_shares(o, r));
  r.system.name = o.system;
  r.entrypoint = o.entrypoint;
  r.system.write = o.write;
  r.kernel = {o.kernel.value_or(""), o.modules.value_or("")};
  if (o.sandbox) {
    AV_TRY_ASSIGN(r.sandbox, parse_sandbox(*o.sandbox));
  }
  if (o.report) r.report = o.report->substr(o.report->find(':') + 1);
  r.append = o.append.value_or("");
  r.engine = o.engine.value_or("auto");
  r.show_console = o.verbose;
  if (o.name) AV_TRY(vmm::check_machine_name(*o.name));
  r.name = o.name.value_or("");
  r.host_loopback = o.net == "user,loopback";
  r.user_network = o.net == "user" || r.host_loopback;
  if (o.net && !r.user_network && *o.net != "none")
    return bad("--net: expected none, user or user,loopback, found '" + *o.net + "'; give one of these");
  if (o.memory) {
    AV_TRY_ASSIGN(r.memory, parse_size("--memory", *o.memory));
  }
  if (o.unpacked) {
    AV_TRY_ASSIGN(r.system.unpacked, parse_size("--unpacked", *o.unpacked));
  }
  if (o.partition) {
    AV_TRY_ASSIGN(const u64 partition, parse_number("--partition", *o.partition, 0, exec::k_most_partitions));
    r.system.partition = static_cast<u32>(partition);
  }
  if (o.cpus) {
    AV_TRY_ASSIGN(const u64 cpus, parse_number("--cpus", *o.cpus, 1, 8));
    r.cpus = static_cast<u32>(cpus);
  }
  AV_TRY(set_times(o, r));
  return r;
}

void tell(const exec::Outcome& outcome) {
  std::string text;
  for (const std::string& line : outcome.console) text += line + "\n";
  if (!text.empty()) print_text(text);
  if (!outcome.message.empty()) say(outcome.message);
}

/// Whatever went wrong is an outcome, too.
exec::Outcome failed(const Error& error) { return {.ending = exec::Ending::Failed, .message = error.message}; }

/// Opened before anything runs, so that a report that cannot be written keeps nobody waiting; and emptied, so that the
/// report of another run is not taken for that of one that was killed.
Result<std::optional<OutputFile>> open_report(const ExecOptions& o) {
  constexpr std::string_view k_format = "json:";
  if (!o.report) return std::optional<OutputFile>();
  if (!o.report->starts_with(k_format))
    return bad("--report: expected json:FILE, found '" + *o.report + "'; change it");
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open("--report", o.report->substr(k_format.size())));
  AV_TRY(file.differs_from({o.kernel.value_or("")}));
  AV_TRY(file.empty());
  return std::optional<OutputFile>(std::move(file));
}

Status write_report(OutputFile& file, const exec::Outcome& outcome) {
  const std::string text = outcome.report();
  return file.replace({reinterpret_cast<const u8*>(text.data()), text.size()});
}

/// What a machine is made from is no matter of one that runs already.
Status check_attached(const ExecOptions& o) {
  const std::pair<const char*, bool> given[] = {
      {"--name", o.name.has_value()},     {"--write", o.write},
      {"--share", !o.shares.empty()},     {"--cwd", o.here},
      {"--kernel", o.kernel.has_value()}, {"--modules", o.modules.has_value()},
      {"--append", o.append.has_value()}, {"--entrypoint", o.entrypoint.has_value()},
      {"--memory", o.memory.has_value()}, {"--cpus", o.cpus.has_value()},
      {"--net", o.net.has_value()},       {"--engine", o.engine.has_value()},
      {"--stall", o.stall.has_value()},   {"--unpacked", o.unpacked.has_value()},
      {"--verbose", o.verbose},           {"--partition", o.partition.has_value()}};
  for (const auto& [option, is] : given)
    if (is)
      return bad(std::string(option) + ": expected a system that is to be started, found the running machine '" +
                 o.system + "'; leave the option out, or give it where the machine is started");
  return {};
}

Result<exec::AttachRequest> attach_request(const ExecOptions& o, const std::string& machine, Arguments command) {
  AV_TRY(check_attached(o));
  exec::AttachRequest r;
  r.machine = machine;
  AV_TRY_ASSIGN(r.command, command_request(o, std::move(command)));
  if (r.command.command.empty())
    return bad("exec: expected '-- COMMAND' behind the machine's name, found none; add it, or use 'armvisor shell'");
  exec::Request times;
  AV_TRY(set_times(o, times));
  if (times.guest_timeout_ms)
    return bad("--timeout: expected SECONDS, since the guest's time is that of its machine, found guest:; change it");
  r.timeout_ms = times.timeout_ms;
  return r;
}

Result<exec::Outcome> run_request(const ExecOptions& options, Arguments command) {
  const auto watch = [] {
    vmm::block_watched_signals(exec::k_passed_signals);
    signal(SIGPIPE, SIG_IGN);
    devices::guard_terminal();
  };
  if (const auto machine = exec::running_machine(options.system)) {
    AV_TRY_ASSIGN(exec::AttachRequest request, attach_request(options, *machine, std::move(command)));
    watch();
    return exec::attach(std::move(request));
  }
  AV_TRY_ASSIGN(const exec::Request request, exec_request(options, std::move(command)));
  watch();
  return exec::run(request);
}

/// From now on signals do what they do to any program.
void unwatch_signals() {
  vmm::forget_watched_signals(exec::k_passed_signals);
  vmm::unblock_watched_signals(exec::k_passed_signals);
}

/// The login shell of the command's user, as the agent knows it.
Status ask_for_shell(ExecOptions& o, Arguments& command) {
  if (!command.empty())
    return bad("shell: expected nothing behind the system, found '--'; use 'armvisor exec' for a command");
  command = {"/bin/sh", "-c", "exec \"${SHELL:-/bin/sh}\" -l"};
  o.terminal = true;
  if (!exec::running_machine(o.system) && !o.entrypoint) o.entrypoint = "";
  return {};
}

exec::Outcome run_arguments(const Arguments& arguments, bool shell) {
  Arguments command;
  auto options = parse(arguments, command);
  if (!options) return failed(options.error());
  if (shell && !options->help)
    if (const Status asked = ask_for_shell(*options, command); !asked) return failed(asked.error());
  if (options->help) {
    help({shell ? "shell" : "exec"});
    return {.ending = exec::Ending::Exited};
  }
  auto report = open_report(*options);
  if (!report) return failed(report.error());
  const auto run = run_request(*options, std::move(command));
  unwatch_signals();  // the reader of a report that is a FIFO may never come
  const exec::Outcome outcome = run ? *run : failed(run.error());
  if (!*report) return outcome;
  const Status written = write_report(**report, outcome);
  return written ? outcome : failed(written.error());
}

}  // namespace

namespace {

/// A status of exec's own for all that goes wrong here: those of exit_status.inc are mostly a command's.
ExitStatus run_and_tell(const Arguments& arguments, bool shell) {
  const exec::Outcome outcome = run_arguments(arguments, shell);
  log_repeats();
  tell(outcome);
  return static_cast<ExitStatus>(outcome.status());
}

}  // namespace

ExitStatus exec(const Arguments& arguments) { return run_and_tell(arguments, false); }
ExitStatus shell(const Arguments& arguments) { return run_and_tell(arguments, true); }

}  // namespace armvisor::cli
