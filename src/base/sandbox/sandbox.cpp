#include "base/sandbox/sandbox.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/host_error.h"
#include "base/log.h"

namespace armvisor {
namespace {

// A process has one sandbox, as the kernel sees it, and a signal handler has nothing but globals to go by.
std::atomic<Sandbox*> g_current{nullptr};
std::atomic<void (*)(Sandbox::End)> g_end{nullptr};
thread_local ThreadKind t_kind{};

/// The first bit's: of the kind, since duties come behind.
std::string_view kind_text(ThreadKind kind) {
#define KIND(name, text, what) \
  if (kind & ThreadKind::name) return text;
#define DUTY(name, text, what) KIND(name, text, what)
#include "base/sandbox/thread_kinds.inc"
#undef DUTY
#undef KIND
  return "unnamed";
}

/// A line of a message, put together without memory of the heap's. (async-signal-safe)
class Text {
 public:
  void add(std::string_view part) {
    const std::size_t n = part.copy(bytes_.data() + size_, bytes_.size() - size_);
    size_ += n;
  }
  void add(long number) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    add(std::string_view(digits.data(), static_cast<std::size_t>(end.ptr - digits.data())));
  }
  void write() const { [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, bytes_.data(), size_); }

 private:
  std::array<char, 512> bytes_;
  std::size_t size_ = 0;
};

void end_process(Sandbox::End why) {
  if (const auto end = g_end.load()) end(why);
  ::_exit(1);
}

void forbidden_call(int, siginfo_t* info, void*) {
  const std::string_view name = call_name(info->si_syscall);
  Text text;
  text.add("armvisor: sandbox: expected of a thread of the kind '");
  text.add(kind_text(t_kind));
  text.add("' the system calls on its list, found ");
  text.add(name.empty() ? "number" : name);
  text.add(name.empty() ? " " : " (number ");
  text.add(static_cast<long>(info->si_syscall));
  text.add(name.empty() ? "" : ")");
  text.add("; the machine is ended. If the guest is trusted, report it, and say --sandbox off meanwhile\n");
  text.write();
  end_process(Sandbox::End::ForbiddenCall);
}

Status watch_forbidden_calls() {
  struct sigaction action {};
  action.sa_sigaction = forbidden_call;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  if (::sigaction(SIGSYS, &action, nullptr) == 0) return {};
  return host_error("sandbox: expected to watch forbidden system calls", errno, "say --sandbox off");
}

constexpr u32 bits(ThreadKind kind) { return static_cast<u32>(kind); }

}  // namespace

struct Sandbox::Outfit {
  CallList calls;
  Landlock files;
};

Result<Narrowing> Narrowing::of(ThreadKind kind) {
  Sandbox* const sandbox = Sandbox::current();
  if (!sandbox) return Narrowing();
  return sandbox->narrowing(kind);
}

void Narrowing::put_on() const {
  if (!calls_) return;
  t_kind = kind_;
  int error = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
  if (!error) error = files_->put_on();
  if (!error) error = calls_->put_on();
  if (!error) return;
  Text text;
  text.add("armvisor: sandbox: expected to narrow a thread of the kind '");
  text.add(kind_text(kind_));
  text.add("', the host says: error ");
  text.add(static_cast<long>(error));
  text.add("; say --sandbox off\n");
  text.write();
  end_process(Sandbox::End::NotNarrowed);
}

bool Sandbox::available() { return k_built_in && CallList::available(); }

Sandbox* Sandbox::current() { return g_current.load(); }

Sandbox::Sandbox(Options options, std::optional<Errands> errands)
    : options_(std::move(options)), errands_(std::move(errands)) {}

Status Sandbox::begin(Options options) {
  renew_messages();  // by a thread that is narrowed
  AV_TRY(watch_forbidden_calls());
  g_end = options.end;
  std::optional<Errands> errands;
  if (!options.errands.empty()) {
    AV_TRY_ASSIGN(Errands started, Errands::start(std::move(options.errands), options.errands_speak));
    errands.emplace(std::move(started));
  }
  g_current =
      new Sandbox(std::move(options), std::move(errands));  // for the life of the process, as the narrowing itself
  // Any thread may have something to say, or to write, when nothing can be made any more.
  AV_TRY(current()->narrowing(ThreadKind::Outlet));
  return {};
}

Result<std::unique_ptr<Sandbox::Outfit>> Sandbox::make_outfit(ThreadKind kind) const {
  AV_TRY_ASSIGN(CallList calls, CallList::create(kind, children_));
  Landlock::Options files;
  files.connects = kind & ThreadKind::Internet;
  for (const Rule& rule : options_.rules)
    if (rule.who & kind) files.rules.push_back(rule.file);
  AV_TRY_ASSIGN(Landlock landlock, Landlock::create(files));
  return std::unique_ptr<Outfit>(new Outfit{std::move(calls), std::move(landlock)});
}

Result<Narrowing> Sandbox::narrowing(ThreadKind kind) {
  const std::lock_guard guard(mutex_);
  std::unique_ptr<Outfit>& outfit = outfits_[kind];
  if (!outfit) {
    AV_TRY_ASSIGN(outfit, make_outfit(kind));
  }
  Narrowing narrowing;
  narrowing.kind_ = kind;
  narrowing.calls_ = &outfit->calls;
  narrowing.files_ = &outfit->files;
  return narrowing;
}

Status Sandbox::narrow_main(std::span<const ThreadKind> later) {
  for (const ThreadKind kind : later) AV_TRY(this->narrowing(kind));
  using enum ThreadKind;
  u32 all = bits(Main | Vcpu | Compiler | EventLoop | Line | Outlet | options_.duties);
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [kind, outfit] : outfits_) all |= bits(kind);
  }
  for (const Rule& rule : options_.rules) all |= bits(rule.who);
  AV_TRY_ASSIGN(const Narrowing narrowing, this->narrowing(static_cast<ThreadKind>(all)));
  narrowing.put_on();
  return {};
}

std::optional<Result<Fd>> Sandbox::ask(std::string_view errand, std::string_view argument, int file) {
  Sandbox* const sandbox = current();
  if (!sandbox || !sandbox->errands_ || !sandbox->errands_->has(errand)) return std::nullopt;
  return sandbox->errands_->ask(errand, argument, file);
}

void Sandbox::add_child(pid_t child) {
  const std::lock_guard guard(mutex_);
  children_.push_back(child);
}

}  // namespace armvisor
