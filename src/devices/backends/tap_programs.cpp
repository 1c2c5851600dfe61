#include "devices/backends/tap_programs.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/child_process.h"
#include "base/host_error.h"

namespace armvisor::devices {
namespace {

constexpr int k_helper_socket = 3;  // as ChildProcess hands it over

Error stopped(const std::string& program) {
  return {ErrorKind::HostResource, "tap: the machine was ended while " + program + " ran"};
}

/// Waits for `fd` to be readable. False: `stop` was set, or the time is over.
bool wait_readable(int fd, const StopEvent* stop, int patience_ms) {
  pollfd fds[2] = {{fd, POLLIN, 0}, {stop ? stop->fd() : -1, POLLIN, 0}};
  while (::poll(fds, 2, patience_ms) < 0 && errno == EINTR) {
  }
  return fds[0].revents != 0;
}

Result<pid_t> spawn_script(const std::string& script, const std::string& interface) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string path = script, name = interface;
  char* const arguments[] = {path.data(), name.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawn(&child, script.c_str(), nullptr, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  if (error) return host_error("tap: expected to run " + script, error, "say script=no if there is none to run");
  return child;
}

/// The descriptor that comes with one byte; none: the other end was closed without.
Fd receive_descriptor(const Fd& socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  const cmsghdr* const header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

std::vector<std::string> helper_words(const std::string& helper, const std::string& bridge) {
  const std::string fd = fmt::format("--fd={}", k_helper_socket), br = "--br=" + bridge;
  if (helper.find_first_of(" \t") != std::string::npos) {
    const bool named = helper.find("--br=") != std::string::npos;
    return {"/bin/sh", "-c", helper + " --use-vnet " + fd + (named ? "" : " " + br)};
  }
  return {helper.find('/') == std::string::npos ? "./" + helper : helper, "--use-vnet", fd, br};
}

}  // namespace

Status run_tap_script(const std::string& script, const std::string& interface, const StopEvent* stop, int patience_ms) {
  if (script.empty()) return {};
  AV_TRY_ASSIGN(const pid_t child, spawn_script(script, interface));
  // A kernel without such descriptors (before 5.3) has us wait for as long as it takes.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const bool in_time = !process || wait_readable(process.get(), stop, patience_ms);
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time && stop && stop->is_set()) return stopped(script);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{ErrorKind::HostResource,
               fmt::format("tap: expected {} {} to end with status 0, found that it {}; see what it says, or say "
                           "script=no",
                           script, interface, describe_status(status))};
}

Result<Fd> run_bridge_helper(const std::string& helper, const std::string& bridge, const StopEvent* stop) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return host_error("bridge: expected a pair of sockets", errno, "end other programs");
  const Fd own(ends[0]);
  AV_TRY_ASSIGN(ChildProcess process,
                ChildProcess::start(helper_words(helper, bridge), Fd(ends[1]), "which puts a tap interface on a bridge",
                                    "qemu-system-common", ChildProcess::Privileges::OfItsFile));
  if (!wait_readable(own.get(), stop, -1)) return stopped(helper);
  Fd tap = receive_descriptor(own);
  constexpr int k_look_ms = 5;
  while (!process.ended())
    if (stop && wait_readable(stop->fd(), nullptr, k_look_ms)) return stopped(helper);
  const int status = *process.ended();
  if (tap && status == 0) return tap;
  std::string said = process.take_messages();
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return Error{ErrorKind::HostResource,
               fmt::format("bridge: expected {} to open an interface on {}, found that it {}{}{}; make the bridge, and "
                           "see /etc/qemu/bridge.conf",
                           helper, bridge, describe_status(status), tap ? "" : " without sending one",
                           said.empty() ? "" : " and said: " + said)};
}

}  // namespace armvisor::devices
