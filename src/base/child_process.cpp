#include "base/child_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "base/host_error.h"
#include "base/sandbox/sandbox.h"

namespace armvisor {
namespace {

constexpr int k_socket_number = 3;  // sd_listen_fds(3): the first that is passed
constexpr std::size_t k_most_messages = 4096;

/// Everything that the new process needs, made before it exists: between fork and exec only what a signal handler may
/// call may be called.
struct Plan {
  std::vector<std::string> files;  ///< where the program may be
  std::vector<char*> words, environment;
  std::string listen_pid = "LISTEN_PID=";  ///< the id is written behind it
  std::size_t listen_pid_at = 0;
  int nothing, messages, socket, failed;
  const Landlock* landlock = nullptr;
  const CallList* calls = nullptr;
  bool more_privileges = false, detached = false;
  pid_t parent;
};

std::vector<std::string> places_of(const std::string& program) {
  if (program.find('/') != std::string::npos) return {program};
  const char* const set = std::getenv("PATH");
  std::string_view path = set ? set : "/usr/bin:/bin";
  std::vector<std::string> places;
  for (;;) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    places.push_back((colon ? std::string(path.substr(0, colon)) : std::string(".")) + "/" + program);
    if (colon == path.size()) return places;
    path.remove_prefix(colon + 1);
  }
}

/// An errno, if none of the files could be executed. ENOENT is the least of the reasons.
int execute(Plan& plan) {
  int error = ENOENT;
  for (const std::string& file : plan.files) {
    ::execve(file.c_str(), plan.words.data(), plan.environment.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  return error;
}

/// In the new process. Descriptors: 0 and 1 nothing, 2 messages, 3 the socket; the one that tells of a failure closes
/// when the program begins.
[[noreturn]] void become(Plan& plan) {
  if (plan.detached) {
    if (::chdir("/") != 0) ::_exit(127);
  } else {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != plan.parent) ::_exit(127);  // it ended before that was asked for
  }
  if (!plan.more_privileges) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(plan.nothing, 0);
  ::dup2(plan.nothing, 1);
  ::dup2(plan.messages, 2);
  if (plan.socket >= 0) {
    ::dup2(plan.socket, k_socket_number);
    const auto digits = std::to_chars(plan.listen_pid.data() + plan.listen_pid_at,
                                      plan.listen_pid.data() + plan.listen_pid.size(), static_cast<long>(::getpid()));
    *digits.ptr = '\0';
  }
  // Descriptors that others opened without close-on-exec; a kernel older than 5.9 keeps them.
  const unsigned first = plan.socket >= 0 ? k_socket_number + 1 : k_socket_number;
  const unsigned failed = static_cast<unsigned>(plan.failed);
  const unsigned rules =
      plan.landlock && plan.landlock->fd() >= 0 ? static_cast<unsigned>(plan.landlock->fd()) : failed;
  const auto [low, high] = std::minmax(failed, rules);
  if (first < low) ::close_range(first, low - 1, 0);
  if (low + 1 < high) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0u, 0);
  int error = plan.landlock ? plan.landlock->put_on() : 0;
  if (error == 0 && plan.calls) error = plan.calls->put_on();
  if (error == 0) error = execute(plan);
  [[maybe_unused]] const ssize_t n = ::write(plan.failed, &error, sizeof error);
  ::_exit(127);
}

/// As `fd`, with a number that become() does not overwrite.
Result<Fd> out_of_the_way(const Fd& fd) {
  Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, k_socket_number + 1));
  if (!high) return host_error("a program: expected a descriptor for it", errno, "end other programs");
  return high;
}

struct PipeEnds {
  Fd from, to;
};
Result<PipeEnds> make_pipe(int flags) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) != 0)
    return host_error("a program: expected a pipe for it", errno, "end other programs");
  Fd from(ends[0]), to(ends[1]);
  AV_TRY_ASSIGN(Fd high, out_of_the_way(to));
  return PipeEnds{std::move(from), std::move(high)};
}

void set_environment(Plan& plan, bool socket, std::string& listen_fds) {
  for (char** entry = environ; *entry; ++entry)
    if (std::strncmp(*entry, "LISTEN_", 7) != 0) plan.environment.push_back(*entry);
  if (socket) {
    plan.listen_pid_at = plan.listen_pid.size();
    plan.listen_pid.resize(plan.listen_pid_at + 24);
    plan.environment.push_back(plan.listen_pid.data());
    plan.environment.push_back(listen_fds.data());
  }
  plan.environment.push_back(nullptr);
}

/// A plan, and what it refers to.
struct Launch {
  Plan plan;
  Fd nothing, socket;
  PipeEnds failed;
  std::vector<std::string> copies;
  std::string listen_fds = "LISTEN_FDS=1";
  std::optional<Landlock> landlock;
  std::optional<CallList> calls;

  /// All but where messages go.
  Status prepare(const std::vector<std::string>& words, const Fd& given) {
    AV_TRY_ASSIGN(failed, make_pipe(0));
    Fd null_device(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_device) return host_error("a program: expected to open /dev/null", errno, "check the host");
    AV_TRY_ASSIGN(nothing, out_of_the_way(null_device));
    if (given) {
      AV_TRY_ASSIGN(socket, out_of_the_way(given));
    }
    plan.files = places_of(words.at(0));
    copies = words;
    for (std::string& word : copies) plan.words.push_back(word.data());
    plan.words.push_back(nullptr);
    set_environment(plan, static_cast<bool>(socket), listen_fds);
    plan.nothing = nothing.get();
    plan.socket = socket.get();
    plan.failed = failed.to.get();
    plan.parent = ::getpid();
    return {};
  }
  /// As far as the host has what that takes.
  Status confine(const std::vector<FileRule>& files) {
    AV_TRY_ASSIGN(Landlock rules, Landlock::create({.rules = files, .reads_anything = true, .executes = true}));
    plan.landlock = &landlock.emplace(std::move(rules));
    if (!CallList::available()) return {};
    AV_TRY_ASSIGN(CallList list, CallList::for_program());
    plan.calls = &calls.emplace(std::move(list));
    return {};
  }
  /// Why the program could not be executed; 0: it runs. Once, in the process that starts it.
  int failure() {
    failed.to.reset();
    int error = 0;
    ssize_t n;
    do n = ::read(failed.from.get(), &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == 0 ? 0 : error;
  }
};

/// In a new process: one of its own becomes the program, so that it is nobody's child.
[[noreturn]] void detach(Plan& plan) {
  ::setsid();
  const pid_t id = ::fork();
  if (id == 0) become(plan);
  const int error = errno;
  if (id < 0 && ::write(plan.failed, &error, sizeof error) < 0) ::_exit(1);
  ::_exit(0);
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& words, Fd socket, const std::string& purpose,
                                         const std::string& package, Privileges privileges,
                                         const Confinement* confinement) {
  AV_TRY_ASSIGN(PipeEnds messages, make_pipe(O_NONBLOCK));
  Launch launch;
  AV_TRY(launch.prepare(words, socket));
  launch.plan.messages = messages.to.get();
  launch.plan.more_privileges = privileges == Privileges::OfItsFile;
  if (confinement) AV_TRY(launch.confine(confinement->files));
  const pid_t id = ::fork();
  if (id < 0) return host_error("a program: expected to start " + words[0], errno, "end other programs");
  if (id == 0) become(launch.plan);
  ChildProcess child(id, std::move(messages.from));
  const int error = launch.failure();
  if (error == 0) {
    if (Sandbox* const sandbox = Sandbox::current()) sandbox->add_child(id);
    return child;
  }
  child.end(1000);
  const std::string expected = "expected the program " + words[0] + ", " + purpose;
  if (error == ENOENT)
    return Error{ErrorKind::HostResource,
                 expected + ", found none in $PATH; install it (Debian's package " + package + ")"};
  return host_error(expected, error, "check its permissions");
}

Status start_detached(const std::vector<std::string>& words, Fd socket, const std::string& purpose) {
  Launch launch;
  AV_TRY(launch.prepare(words, socket));
  launch.plan.messages = launch.plan.nothing;
  launch.plan.detached = true;
  const pid_t id = ::fork();
  if (id < 0) return host_error("a program: expected to start " + words[0], errno, "end other programs");
  if (id == 0) detach(launch.plan);
  int status = 0;
  while (::waitpid(id, &status, 0) < 0 && errno == EINTR) {
  }
  const int error = launch.failure();
  if (error == 0) return {};
  return host_error("expected to start the program " + words[0] + ", " + purpose, error, "check its permissions");
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : id_(std::exchange(other.id_, -1)), messages_(std::move(other.messages_)), status_(other.status_) {}

ChildProcess::~ChildProcess() {
  if (id_ > 0) end(0);
}

std::string ChildProcess::take_messages() {
  std::string text;
  std::array<char, 1024> part;
  for (;;) {
    const ssize_t n = ::read(messages_.get(), part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(n));
    if (text.size() > k_most_messages) text.erase(0, text.size() - k_most_messages);
  }
}

std::optional<int> ChildProcess::ended() {
  int status;
  if (!status_ && ::waitpid(id_, &status, WNOHANG) == id_) status_ = status;
  return status_;
}

int ChildProcess::end(unsigned patience_ms) {
  constexpr unsigned k_look_ms = 5;
  for (unsigned waited = 0; !ended() && waited < patience_ms; waited += k_look_ms) ::usleep(k_look_ms * 1000);
  if (!status_) {
    ::kill(-id_, SIGKILL);  // with those that it started
    ::kill(id_, SIGKILL);   // should it have left its group
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    status_ = status;
  }
  return *status_;
}

std::string describe_status(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

/// The socket needs a name for as long as it takes to connect to it, in a folder that is the user's alone.
Result<ServedSocket> ServedSocket::create() {
  const auto failed = [](int error) {
    return host_error("a program: expected a socket in /tmp for it", error, "check that /tmp can be written");
  };
  ServedSocket s;
  s.listening = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  s.connected = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!s.listening || !s.connected) return failed(errno);
  char folder[] = "/tmp/armvisor-XXXXXX";
  if (!::mkdtemp(folder)) return failed(errno);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = std::string(folder) + "/socket";
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* const at = reinterpret_cast<const sockaddr*>(&address);
  int error = 0;
  if (::bind(s.listening.get(), at, sizeof address) != 0 || ::listen(s.listening.get(), 1) != 0 ||
      ::connect(s.connected.get(), at, sizeof address) != 0)
    error = errno;
  ::unlink(name.c_str());
  ::rmdir(folder);
  if (error) return failed(error);
  return s;
}

}  // namespace armvisor
