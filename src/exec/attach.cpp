#include "exec/attach.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/host_error.h"
#include "base/thread.h"
#include "devices/backends/terminal.h"
#include "exec/agent_path.h"
#include "exec/command_outcome.h"
#include "exec/run.h"
#include "vmm/control_client.h"
#include "vmm/control_path.h"
#include "vmm/signals.h"

namespace armvisor::exec {
namespace {

using Clock = std::chrono::steady_clock;
constexpr timeval k_greeting_patience{10, 0};
constexpr std::size_t k_most_greeting = std::size_t{8} << 20;

Error no_agent(const std::string& name, const std::string& found) {
  return {ErrorKind::BadArguments, "machine '" + name + "': expected one with an agent, " + found +
                                       "; start it with 'armvisor run --agent --name " + name +
                                       " ...' or 'armvisor exec --name " + name + " SYSTEM'"};
}

Result<Fd> connect_agent(const std::string& name) {
  AV_TRY_ASSIGN(const std::string path, agent_socket_path(name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return host_error("machine '" + name + "': expected a socket", errno, "end other programs");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  AV_TRY(vmm::ControlClient::connect(name));  // says so if no such machine runs
  return no_agent(name, "found one without");
}

bool receive(const Fd& fd, void* to, std::size_t size) {
  auto* at = static_cast<u8*>(to);
  while (size > 0) {
    const ssize_t n = ::recv(fd.get(), at, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

/// The first that the machine's process says.
Result<CommandDefaults> read_greeting(const Fd& fd, const std::string& name) {
  const Error none = no_agent(name, "found none that answers");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &k_greeting_patience, sizeof k_greeting_patience);
  av_frame head{};
  if (!receive(fd, &head, sizeof head) || head.type != AV_GREETING || head.length > k_most_greeting) return none;
  std::string text(head.length, 0);
  if (!receive(fd, text.data(), text.size())) return none;
  const auto j = nlohmann::json::parse(text, nullptr, false);
  const auto is_text = [](const auto& v) { return v.is_string(); };
  if (!j.is_object() || !is_text(j.value("user", nlohmann::json())) || !is_text(j.value("folder", nlohmann::json())) ||
      !j.contains("variables") || !j["variables"].is_array() || !std::ranges::all_of(j["variables"], is_text))
    return none;
  return CommandDefaults{.user = j["user"], .folder = j["folder"], .variables = j["variables"]};
}

void complete(CommandRequest& command, const CommandDefaults& defaults) {
  const auto name_of = [](const std::string& v) { return v.substr(0, v.find('=')); };
  const std::vector<std::string> own = command.variables;
  for (const std::string& v : defaults.variables)
    if (std::ranges::none_of(own, [&](const auto& o) { return name_of(o) == name_of(v); }))
      command.variables.push_back(v);
  if (command.user.empty()) command.user = defaults.user;
  if (command.folder.empty()) command.folder = defaults.folder;
  command.sets_time = false;  // the machine has its own
}

/// Why a command's end is not waited for any more.
enum class Left : u8 { No, Interrupted, TimedOut, NotUp };

/// Signals and times, on a thread of its own for as long as it lives.
class Watch {
 public:
  static Result<std::unique_ptr<Watch>> create(Session& session, const WakeEvent& done, const AttachRequest& request) {
    AV_TRY_ASSIGN(WakeEvent stop, WakeEvent::create("exec"));
    const sigset_t set = vmm::watched_signals(k_passed_signals);
    Fd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return host_error("signals: expected a signalfd", errno, "end other programs");
    std::unique_ptr<Watch> watch(new Watch(session, done, std::move(stop), std::move(signals)));
    watch->patience_ = std::chrono::milliseconds(request.agent_patience_ms);
    if (request.timeout_ms) watch->until_ = watch->began_ + std::chrono::milliseconds(request.timeout_ms);
    AV_TRY_ASSIGN(watch->thread_, start_thread(ThreadKind::Session, "signals", [w = watch.get()] { w->run(); }));
    return watch;
  }
  ~Watch() {
    stopping_ = true;
    stop_.wake();
    if (thread_.joinable()) thread_.join();
  }
  Left left() const { return left_; }

 private:
  Watch(Session& session, const WakeEvent& done, WakeEvent stop, Fd signals)
      : session_(session), done_(done), stop_(std::move(stop)), signals_(std::move(signals)) {}

  void run() {
    while (!stopping_) {
      std::array<pollfd, 2> fds = {{{signals_.get(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
      poll(fds.data(), fds.size(), milliseconds_left());
      signalfd_siginfo info;
      while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
        signalled(static_cast<int>(info.ssi_signo));
      const auto now = Clock::now();
      if (until_ && now >= *until_) leave(Left::TimedOut);
      if (!decided() && now >= began_ + patience_) leave(Left::NotUp);
    }
  }

  /// That the agent is there is not enough: AV_HELLO may have been said long ago, by a guest that stands still now.
  bool decided() { return decided_ || (decided_ = session_.is_decided()); }

  /// Until something has to be looked at, whatever comes.
  int milliseconds_left() {
    if (left_ != Left::No) return -1;
    std::optional<Clock::time_point> next = until_;
    if (!decided()) next = std::min(next.value_or(Clock::time_point::max()), began_ + patience_);
    if (!next) return -1;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*next - Clock::now()).count() + 1;
    return static_cast<int>(std::clamp<long>(ms, 0, 1'000'000));
  }

  void signalled(int signal) {
    if (signal == SIGTSTP) {
      devices::restore_terminal();
      vmm::stop_process();
    }
    if (signal == SIGTSTP || signal == SIGCONT) return session_.continued();
    if (!session_.signalled(signal)) leave(Left::Interrupted);
  }

  /// A second reason changes nothing, but that nobody waits for readers of output.
  void leave(Left why) {
    Left none = Left::No;
    left_.compare_exchange_strong(none, why);
    session_.give_up();
    done_.wake();
  }

  Session& session_;
  const WakeEvent& done_;
  const WakeEvent stop_;
  const Fd signals_;
  const Clock::time_point began_ = Clock::now();
  std::chrono::milliseconds patience_{};
  std::optional<Clock::time_point> until_;
  bool decided_ = false;
  std::atomic<Left> left_{Left::No};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

Outcome unfinished(const Session& session, Left why, const std::string& machine) {
  switch (why) {
    case Left::Interrupted:
      return {.ending = Ending::Interrupted,
              .value = static_cast<u32>(session.last_signal()),
              .message = "the command was ended by a signal"};
    case Left::TimedOut: return {.ending = Ending::TimedOut, .message = "the time given with --timeout is over"};
    case Left::NotUp:
      return {.ending = Ending::NotUp,
              .message = "machine '" + machine +
                         "': expected its agent to start the command within 60 s, found no answer; it still starts "
                         "or is paused, all that it serves at a time are in use, or its system has no agent "
                         "(docs/exec.md)"};
    case Left::No: break;
  }
  const bool was_up = session.started().has_value();
  return {.ending = was_up ? Ending::AgentLost : Ending::NotUp,
          .message = "machine '" + machine + "': " + session.channel().broken() +
                     (was_up ? ", before it was known how the command ended" : ", before the command was started")};
}

Outcome outcome(Session& session, Left why, const std::string& machine) {
  const bool delivered = session.deliver();
  switch (session.state()) {
    case Channel::State::Failed: return failed_command(session.channel().failure());
    case Channel::State::Exited: return ended_command(session, delivered);
    default: return unfinished(session, why, machine);
  }
}

}  // namespace

std::optional<std::string> running_machine(const std::string& system) {
  constexpr std::string_view k_machine = "machine:";
  if (system.starts_with(k_machine)) return system.substr(k_machine.size());
  std::error_code none;
  if (!vmm::check_machine_name(system) || std::filesystem::exists(system, none)) return std::nullopt;
  const auto directory = vmm::open_control_directory();
  if (!directory || std::ranges::count(vmm::machine_names(*directory), system) == 0) return std::nullopt;
  return system;
}

Result<Outcome> attach(AttachRequest request) {
  const auto began = Clock::now();
  AV_TRY_ASSIGN(Fd agent, connect_agent(request.machine));
  AV_TRY_ASSIGN(const CommandDefaults defaults, read_greeting(agent, request.machine));
  complete(request.command, defaults);
  AV_TRY_ASSIGN(const WakeEvent done, WakeEvent::create("exec"));
  AV_TRY_ASSIGN(const auto session, Session::connect(std::move(request.command), request.streams, std::move(agent)));
  AV_TRY_ASSIGN(const auto watch, Watch::create(*session, done, request));
  AV_TRY(session->start([&done] { done.wake(); }));
  pollfd fd{done.fd(), POLLIN, 0};
  while (poll(&fd, 1, -1) < 1) {
  }
  session->stop();
  Outcome o = outcome(*session, watch->left(), request.machine);
  set_times(o, *session, began);
  return o;
}

}  // namespace armvisor::exec
