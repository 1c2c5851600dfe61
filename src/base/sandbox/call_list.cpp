#include "base/sandbox/call_list.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "base/host_error.h"

namespace armvisor {
namespace {

using Condition = CallList::Condition;
using enum ThreadKind;

constexpr ThreadKind EVERY = static_cast<ThreadKind>(~0u);

struct CallLine {
  const char* name;
  int number;  ///< libseccomp's, below 0 for a call that this host's headers do not know
  ThreadKind who;
  Condition condition;
};

struct Refusal {
  const char* name;
  int number, error;
  Condition condition = Condition::Always;
};

constexpr CallLine k_lines[] = {
#define CALL(call, who, why) {#call, SCMP_SYS(call), who, Condition::Always},
#define CALL_IF(call, who, condition, why) {#call, SCMP_SYS(call), who, Condition::condition},
#define REFUSE(call, error, why)
#define REFUSE_IF(call, error, condition, why)
#include "base/sandbox/calls.inc"
#undef REFUSE_IF
#undef REFUSE
#undef CALL_IF
#undef CALL
};

constexpr Refusal k_refusals[] = {
#define CALL(call, who, why)
#define CALL_IF(call, who, condition, why)
#define REFUSE(call, error, why) {#call, SCMP_SYS(call), error},
#define REFUSE_IF(call, error, condition, why) {#call, SCMP_SYS(call), error, Condition::condition},
#include "base/sandbox/calls.inc"
#undef REFUSE_IF
#undef REFUSE
#undef CALL_IF
#undef CALL
};

constexpr Refusal k_of_programs[] = {
#define REFUSED(call) {#call, SCMP_SYS(call), EPERM},
#include "base/sandbox/refused_calls.inc"
#undef REFUSED
};

/// Those of other tables that threads of ours have no use for at all, by name for messages.
constexpr Refusal k_others[] = {
    {"execve", SCMP_SYS(execve), 0},
    {"execveat", SCMP_SYS(execveat), 0},
    {"clone", SCMP_SYS(clone), 0},
    {"pkey_mprotect", SCMP_SYS(pkey_mprotect), 0},
    {"io_uring_setup", SCMP_SYS(io_uring_setup), 0},
    {"pidfd_open", SCMP_SYS(pidfd_open), 0},
};

using Arguments = std::vector<scmp_arg_cmp>;

constexpr scmp_arg_cmp is(unsigned argument, scmp_datum_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
constexpr scmp_arg_cmp is_masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

template <std::size_t N>
std::vector<Arguments> each_of(unsigned argument, const std::array<unsigned long, N>& values) {
  std::vector<Arguments> all;
  for (const unsigned long value : values) all.push_back({is(argument, value)});
  return all;
}

/// Commands of ioctl(2) are 32 bits wide, whatever is above them.
template <std::size_t N>
std::vector<Arguments> commands(const std::array<unsigned long, N>& values) {
  std::vector<Arguments> all;
  for (const unsigned long value : values) all.push_back({is_masked(1, 0xffffffffu, value)});
  return all;
}

/// Of which one has to hold.
std::vector<Arguments> arguments_of(Condition condition, std::span<const pid_t> children) {
  constexpr unsigned long k_thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  constexpr unsigned long k_new_namespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                             CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_VFORK | CLONE_PTRACE;
  switch (condition) {
    case Condition::Always: return {{}};
    case Condition::NotExecutable: return {{is_masked(2, PROT_EXEC, 0)}};
    case Condition::NewThread: return {{is_masked(0, k_thread | k_new_namespaces, k_thread)}};
    case Condition::OwnProcess: return {{is_masked(0, 0xffffffffu, static_cast<scmp_datum_t>(::getpid()))}};
    case Condition::Child: {
      std::vector<Arguments> all;
      for (const pid_t child : children)
        for (const pid_t target : {child, -child})  // it, and its process group
          all.push_back({is_masked(0, 0xffffffffu, static_cast<u32>(target))});
      return all;
    }
    case Condition::Asks: return {{is(2, 0)}};
    case Condition::ThreadName: return each_of<3>(0, {PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS});
    case Condition::Terminal:
      return commands<15>({TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, TIOCGPGRP, TIOCGSID, TIOCOUTQ,
                           FIONREAD, FIONBIO, TCSBRK, TCFLSH, TIOCGPTN, 0x5441 /* TIOCGPTPEER */});
    case Condition::BlockDevice:
      return commands<10>({BLKGETSIZE, BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKIOMIN, BLKIOOPT, BLKDISCARD, BLKZEROOUT,
                           BLKFLSBUF, BLKROGET});
    case Condition::FileFlags: return commands<2>({FS_IOC_GETFLAGS, FS_IOC_GETVERSION});
    case Condition::InternetFamily: return each_of<2>(0, {AF_INET, AF_INET6});
    case Condition::LocalFamily: return each_of<1>(0, {AF_UNIX});
    case Condition::NetlinkFamily: return each_of<1>(0, {AF_NETLINK});
  }
  return {};
}

Error failed(int error) {
  return host_error("sandbox: expected to make a list of system calls", error, "say --sandbox off");
}

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

Result<Context> make_context(u32 otherwise) {
  Context context(::seccomp_init(otherwise), ::seccomp_release);
  if (!context) return failed(ENOMEM);
  // no_new_privs is set by who puts it on. Memory that a guess of the CPU's could read is the process's own.
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0);
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: 32 bits' calls and new ones are cheap, too
  return context;
}

/// The list in the kernel's form, which libseccomp only writes to a file.
Result<std::vector<sock_filter>> export_list(const Context& context) {
  const Fd file(::memfd_create("armvisor-calls", MFD_CLOEXEC));
  if (!file) return failed(errno);
  if (const int error = ::seccomp_export_bpf(context.get(), file.get())) return failed(-error);
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  // A limit cuts it short, and libseccomp does not look.
  rlimit most{};
  if (::getrlimit(RLIMIT_FSIZE, &most) == 0 && static_cast<rlim_t>(size) >= most.rlim_cur) return failed(EFBIG);
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) return failed(EIO);
  return program;
}

Status allow(const Context& context, ThreadKind kind, std::span<const pid_t> children) {
  for (const CallLine& line : k_lines) {
    if (!(line.who & kind) || line.number < 0) continue;
    for (const Arguments& arguments : arguments_of(line.condition, children))
      if (const int error = ::seccomp_rule_add_array(context.get(), SCMP_ACT_ALLOW, line.number,
                                                     static_cast<unsigned>(arguments.size()), arguments.data()))
        return failed(-error);
  }
  return {};
}

bool is_allowed(int number, ThreadKind kind) {
  return std::ranges::any_of(k_lines, [&](const CallLine& l) { return l.number == number && (l.who & kind); });
}

bool is_allowed(int number, ThreadKind kind, Condition condition) {
  return std::ranges::any_of(k_lines, [&](const CallLine& l) {
    return l.number == number && (l.who & kind) && (l.condition == condition || l.condition == Condition::Always);
  });
}

/// With a condition, for whom a line allows the call with other arguments; without one, for whom none allows it.
bool is_refused(const Refusal& r, ThreadKind kind) {
  if (r.number < 0) return false;
  if (r.condition == Condition::Always) return !is_allowed(r.number, kind);
  return is_allowed(r.number, kind) && !is_allowed(r.number, kind, r.condition);
}

Status refuse(const Context& context, const Refusal& r) {
  for (const Arguments& arguments : arguments_of(r.condition, {}))
    if (const int error = ::seccomp_rule_add_array(context.get(), SCMP_ACT_ERRNO(static_cast<u32>(r.error)), r.number,
                                                   static_cast<unsigned>(arguments.size()), arguments.data()))
      return failed(-error);
  return {};
}

}  // namespace

Result<CallList> CallList::create(ThreadKind kind, std::span<const pid_t> children) {
  AV_TRY_ASSIGN(const Context context, make_context(SCMP_ACT_TRAP));
  AV_TRY(allow(context, kind, children));
  for (const Refusal& refusal : k_refusals)
    if (is_refused(refusal, kind)) AV_TRY(refuse(context, refusal));
  AV_TRY_ASSIGN(auto program, export_list(context));
  return CallList(std::move(program));
}

Result<CallList> CallList::for_program() {
  AV_TRY_ASSIGN(const Context context, make_context(SCMP_ACT_ALLOW));
  for (const Refusal& refusal : k_of_programs)
    if (refusal.number >= 0) AV_TRY(refuse(context, refusal));
  // Threads, but no processes; clone3 has its flags where a list cannot look, and the C library then takes clone.
  if (const int e = ::seccomp_rule_add(context.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0)) return failed(-e);
  const scmp_arg_cmp no_thread = is_masked(0, CLONE_THREAD, 0);
  if (const int e = ::seccomp_rule_add_array(context.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread))
    return failed(-e);
  AV_TRY_ASSIGN(auto program, export_list(context));
  return CallList(std::move(program));
}

bool CallList::available() {
  const u32 action = SECCOMP_RET_TRAP;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int CallList::put_on() const {
  // The kernel does not change it, whatever the type says.
  const sock_fprog program = {static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
  constexpr unsigned k_flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, k_flags, &program) == 0 ? 0 : errno;
}

std::string_view call_name(long number) {
  for (const CallLine& line : k_lines)
    if (line.number == number) return line.name;
  for (const Refusal& one : k_others)
    if (one.number == number) return one.name;
  for (const Refusal& one : k_refusals)
    if (one.number == number) return one.name;
  for (const Refusal& one : k_of_programs)
    if (one.number == number) return one.name;
  return {};
}

}  // namespace armvisor
