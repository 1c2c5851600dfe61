#pragma once
// Lists of system calls, as the kernel takes them (seccomp). Built by libseccomp from calls.inc, where memory may be
// allocated; put on by the thread that they are for, where only what a signal handler may call is called.
#include <linux/filter.h>
#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sandbox/thread_kind.h"

namespace armvisor {

class CallList {
 public:
  /// What the arguments of a call have to be.
  enum class Condition {
    Always,
    NotExecutable,  ///< no memory that code runs from
    NewThread,      ///< a thread of this process
    OwnProcess,     ///< a signal to this process
    Child,          ///< a signal to a process that was started before, or to its group
    Asks,           ///< a limit is asked for, not set
    ThreadName,
    Terminal,
    BlockDevice,
    FileFlags,
    InternetFamily,  ///< IPv4 or IPv6
    LocalFamily,     ///< Unix sockets
    NetlinkFamily,   ///< what the C library asks for the host's interfaces
  };

  /// For a thread of this kind, and with these duties. A call that is not on it raises SIGSYS in the thread.
  static Result<CallList> create(ThreadKind kind, std::span<const pid_t> children = {});
  /// For a program of somebody else's, which is not known call by call: all but what is of no use to it and of some to
  /// who has taken it over, which fails with EPERM (refused_calls.inc).
  static Result<CallList> for_program();
  /// Whether this host has such lists at all.
  static bool available();

  /// For the calling thread and those that it starts, for good; no_new_privs has to be set. 0 or an errno.
  /// (async-signal-safe)
  int put_on() const;

 private:
  explicit CallList(std::vector<sock_filter> program) : program_(std::move(program)) {}
  std::vector<sock_filter> program_;
};

/// The name of a call for messages; empty: none that is in the tables. (async-signal-safe)
std::string_view call_name(long number);

}  // namespace armvisor
