#include "exec/run.h"

#include <fmt/core.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "devices/backends/terminal.h"
#include "exec/agent_ports.h"
#include "exec/command_outcome.h"
#include "exec/console_log.h"
#include "exec/preparation.h"
#include "exec/session.h"
#include "vmm/sandbox_rules.h"
#include "vmm/vm.h"

namespace armvisor::exec {
namespace {

using devices::ChardevOptions;

/// A panic or an oops ends the machine at once (by a reset), so that it cannot go on as if nothing had happened; what
/// is left out is what a machine that lives for a second does not need.
constexpr std::string_view k_command_line =
    "console=ttyAMA0 panic=-1 oops=panic cryptomgr.notests rcupdate.rcu_expedited=1";
constexpr std::string_view k_silent = " quiet loglevel=3", k_from_the_start = " earlycon=pl011,0x09000000";

bool names_same_variable(const std::string& a, const std::string& b) {
  return a.substr(0, a.find('=')) == b.substr(0, b.find('='));
}

/// What an image says stands where the user said nothing, as for docker run.
Result<CommandRequest> complete_command(const Request& request, const System& system) {
  CommandRequest command = request.command;
  const ImageConfig& config = system.config;
  std::vector<std::string> words = config.entrypoint;
  if (request.entrypoint) words.assign(request.entrypoint->empty() ? 0 : 1, *request.entrypoint);
  if (command.command.empty() && !request.entrypoint) command.command = config.command;
  command.command.insert(command.command.begin(), words.begin(), words.end());
  if (command.command.empty())
    return Error{ErrorKind::BadArguments,
                 "exec: expected '-- COMMAND' behind the system, which has none of its own, found none; add it"};
  for (const std::string& variable : config.variables)
    if (std::ranges::none_of(request.command.variables,
                             [&](const auto& v) { return names_same_variable(v, variable); }))
      command.variables.push_back(variable);
  if (command.user.empty()) command.user = config.user;
  if (command.folder.empty() && system.is_image) command.folder = config.folder.empty() ? "/" : config.folder;
  return command;
}

CommandDefaults command_defaults(const Request& request, const System& system) {
  const ImageConfig& config = system.config;
  CommandDefaults d{.user = config.user, .folder = config.folder, .variables = config.variables};
  if (system.is_image && d.folder.empty()) d.folder = "/";
  if (!request.command.user.empty()) d.user = request.command.user;
  return d;
}

/// What the kernel itself notices of a stall is a panic, after it has said what it knows of it: a CPU that runs one
/// task or interrupt for so long (watchdog_thresh is half of that), one that RCU waits for, a task that waits for a
/// device.
std::string stall_parameters(u32 seconds) {
  return fmt::format(
      " watchdog_thresh={} softlockup_panic=1 rcupdate.rcu_cpu_stall_timeout={} sysctl.kernel.panic_on_rcu_stall=1"
      " sysctl.kernel.hung_task_timeout_secs={} sysctl.kernel.hung_task_panic=1 loglevel=4",
      std::clamp(seconds / 2, 1u, 60u), std::clamp(seconds, 3u, 300u), seconds);
}

std::string command_line(const Request& request) {
  std::string line(k_command_line);
  line += request.show_console ? k_from_the_start : k_silent;
  if (request.stall_s) line += stall_parameters(request.stall_s);
  return request.append.empty() ? line : line + " " + request.append;
}

ChardevOptions own_chardev(const std::string& label, std::function<std::unique_ptr<devices::Chardev>()> make) {
  ChardevOptions o;
  o.kind = ChardevOptions::Kind::Own;
  o.make = std::move(make);
  o.keys.when = devices::ConsoleKeys::When::Never;
  o.label = label;
  return o;
}

std::string share_tag(std::size_t n) { return "share" + std::to_string(n); }

void add_share(vmm::VmConfig& vm, std::string path, std::string tag, bool read_only) {
  machine::ShareSpec share;
  share.path = std::move(path);
  share.tag = std::move(tag);
  share.read_only = read_only;
  share.own_is_root = true;
  vm.devices.emplace_back(std::move(share));
}

void add_devices(const Request& request, const System& system, AgentServer& agent, vmm::VmConfig& vm) {
  machine::ConsoleSpec console;
  console.multiport = true;
  console.ports.push_back({.chardev = 1, .console = false, .name = AV_PORT_NAME, .number = 1});
  if (!request.name.empty()) add_agent_ports(agent, vm, console, 2);
  vm.devices.emplace_back(std::move(console));
  if (system.disk)
    vm.devices.emplace_back(*system.disk);
  else
    add_share(vm, system.path, k_system_tag, !request.system.write);
  for (std::size_t n = 0; n < request.shares.size(); ++n)
    add_share(vm, request.shares[n].host, share_tag(n), request.shares[n].read_only);
  if (!request.user_network) return;
  machine::NetworkSpec network;
  network.network.host_loopback = request.host_loopback;
  vm.devices.emplace_back(std::move(network));
}

/// What is left of a time limit, 0 being none.
u64 rest_of(u64 limit_ms, std::chrono::steady_clock::time_point began) {
  using std::chrono::milliseconds;
  const auto gone = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
  const u64 gone_ms = static_cast<u64>(gone.count());
  return limit_ms == 0 ? 0 : std::max(limit_ms, gone_ms + 1) - gone_ms;
}

GuestSetup guest_setup(const Request& request) {
  GuestSetup setup{.write = request.system.write, .user_network = request.user_network};
  setup.sessions = !request.name.empty();
  for (std::size_t n = 0; n < request.shares.size(); ++n)
    setup.shares.push_back({share_tag(n), request.shares[n].guest, request.shares[n].read_only});
  return setup;
}

/// Of a machine that ended while nothing was known of the command's end.
Outcome lost(const Session& session, const ConsoleLog& console, vmm::EndReason reason) {
  using State = Channel::State;
  const State state = session.state();
  const auto with_console = [&console](Ending ending, std::string message) {
    return Outcome{.ending = ending, .message = std::move(message), .console = console.last_lines()};
  };
  if (reason == vmm::EndReason::TimedOut)
    return with_console(Ending::TimedOut, "the time given with --timeout is over");
  if (reason == vmm::EndReason::GuestTimedOut)
    return with_console(Ending::TimedOut, "the guest's time given with --timeout guest: is over");
  if (reason == vmm::EndReason::Stalled)
    return with_console(Ending::Stalled, "no CPU of the guest made progress for the time given with --stall");
  if (reason == vmm::EndReason::Interrupted)
    return {.ending = Ending::Interrupted,
            .value = static_cast<u32>(session.last_signal()),
            .message = "the guest was ended by a signal"};
  if (console.stalled()) return with_console(Ending::Stalled, "the guest's kernel says that it stalled");
  if (console.panicked() || reason == vmm::EndReason::Crashed || reason == vmm::EndReason::Panicked)
    return with_console(Ending::Panicked, "the guest's kernel panicked");
  if (state == State::Booting) return with_console(Ending::NotUp, "the guest ended before it was set up");
  if (state == State::Broken)
    return with_console(Ending::AgentLost,
                        "the agent in the guest says what it must not: " + session.channel().broken());
  return with_console(Ending::AgentLost, "the guest ended before it said how the command ended");
}

Outcome outcome(Session& session, const ConsoleLog& console, vmm::EndReason reason) {
  const bool delivered = session.deliver();
  switch (session.state()) {
    case Channel::State::Failed: return failed_command(session.channel().failure());
    case Channel::State::Exited: break;
    default: return lost(session, console, reason);
  }
  return ended_command(session, delivered);
}

}  // namespace

const std::vector<int> k_passed_signals = {SIGQUIT, SIGUSR1, SIGUSR2};

Result<ShareRequest> parse_share(std::string_view text) {
  ShareRequest share;
  const std::string whole(text);
  if (text.ends_with(",ro")) {
    share.read_only = true;
    text.remove_suffix(3);
  }
  const std::size_t colon = text.rfind(':');
  const std::string host(text.substr(0, colon));
  char real[PATH_MAX];
  if (host.empty() || !realpath(host.c_str(), real))
    return Error{ErrorKind::BadArguments,
                 "--share: expected HOST[:GUEST][,ro] with a folder HOST, found '" + whole + "'; check the path"};
  share.host = real;
  share.guest = colon == text.npos ? real : std::string(text.substr(colon + 1));
  if (!share.guest.starts_with('/') || share.guest.find('\0') != share.guest.npos)
    return Error{ErrorKind::BadArguments,
                 "--share: expected an absolute path in the guest, found '" + whole + "'; begin it with a /"};
  return share;
}

namespace {

Result<Outcome> run_prepared(const Request& request, Preparation& prepared, Patience::Clock::time_point began) {
  AV_TRY_ASSIGN(CommandRequest command, complete_command(request, prepared.system));
  if (!prepared.fetched_from.empty() && request.show_console)
    say("kernel: that of " + prepared.fetched_from + ", which was fetched");
  AV_TRY_ASSIGN(const auto agent, AgentServer::create(command_defaults(request, prepared.system)));
  std::unique_ptr<ConsoleLog> console;
  std::unique_ptr<Session> session;
  vmm::VmConfig config;
  config.boot.initrd_bytes = std::move(prepared.initramfs);
  config.boot.kernel = prepared.kernel.argument(config.boot.board->ram.base.value);
  config.boot.append = command_line(request);
  config.boot.ram_size = request.memory;
  config.boot.vcpus = request.cpus;
  config.engine = request.engine;
  config.timeout_ms = rest_of(request.timeout_ms, began);
  config.guest_timeout_ms = request.guest_timeout_ms;
  config.stall_s = request.stall_s;
  config.reboot = false;
  config.chardevs.push_back(own_chardev("console", [&console] { return console->line(); }));
  config.chardevs.push_back(own_chardev("agent", [&session] { return session->line(); }));
  config.console = 0;
  config.name = request.name;
  add_devices(request, prepared.system, *agent, config);
  config.more_signals = k_passed_signals;
  config.signalled = [&session](int signal) { return session->signalled(signal); };
  config.give_up = [&session] { session->give_up(); };
  config.force_end = [&session] {
    devices::restore_terminal();
    const int signal = session->last_signal();
    _exit(128 + (signal ? signal : SIGTERM));
  };
  config.sandbox.mode = request.sandbox;
  config.sandbox.outputs = {request.report};
  config.sandbox.end = [](Sandbox::End why) {
    devices::restore_terminal_now();
    _exit(Outcome{.ending = why == Sandbox::End::ForbiddenCall ? Ending::Confined : Ending::Failed}.status());
  };
  AV_TRY(vmm::begin_sandbox(config));
  AV_TRY_ASSIGN(console, ConsoleLog::create(request.show_console ? STDERR_FILENO : -1));
  AV_TRY_ASSIGN(session, Session::create(std::move(command), {}));
  vmm::Vm* machine = nullptr;
  config.on_start = [&]() -> Status {
    if (!request.name.empty()) AV_TRY(agent->start(request.name));
    return session->start([&machine] { machine->finish(); });
  };
  AV_TRY_ASSIGN(const auto vm, vmm::Vm::create(std::move(config)));
  machine = vm.get();
  AV_TRY_ASSIGN(const vmm::EndReason reason, vm->run());
  session->stop();
  Outcome o = outcome(*session, *console, reason);
  set_times(o, *session, began);
  return o;
}

/// Of a preparation that was ended.
Outcome ended_early(const Patience& patience) {
  if (patience.signal())
    return {.ending = Ending::Interrupted,
            .value = static_cast<u32>(patience.signal()),
            .message = "the guest was ended by a signal before it started"};
  return {.ending = Ending::TimedOut, .message = "the time given with --timeout is over"};
}

}  // namespace

Result<Outcome> run(const Request& request) {
  const auto began = Patience::Clock::now();
  std::optional<Patience::Clock::time_point> until;
  if (request.timeout_ms) until = began + std::chrono::milliseconds(request.timeout_ms);
  Patience patience({SIGINT, SIGTERM, SIGHUP, SIGQUIT}, until);
  const auto check = [&request](const System& system) -> Status {
    AV_TRY(complete_command(request, system));
    return {};
  };
  Result<Preparation> prepared = prepare(request.system, request.kernel, guest_setup(request), patience, check);
  if (patience.signal() || patience.timed_out()) return ended_early(patience);
  if (!prepared) return prepared.error();
  return run_prepared(request, *prepared, began);
}

}  // namespace armvisor::exec
