#include "cli/background.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/host_error.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

/// What the parent does: waits for the child to be ready, or to end.
[[noreturn]] void wait_for_child(int from_child, pid_t child) {
  char byte = 1;
  ssize_t n = 0;
  do n = ::read(from_child, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n == 1) _exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

Error background_error() { return host_error("-daemonize: expected a second process", errno, "end other programs"); }

}  // namespace

Result<Background> Background::enter() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return background_error();
  Fd from_child(ends[0]), to_parent(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return background_error();
  if (child > 0) {
    to_parent = Fd();
    vmm::unblock_watched_signals();
    wait_for_child(from_child.get(), child);
  }
  ::setsid();
  return Background(std::move(to_parent));
}

Status Background::ready(const std::string& log_file) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Fd log;
  if (!log_file.empty()) log = Fd(::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!null || (!log && !log_file.empty()))
    return host_error("-D " + log_file + ": expected to open it", errno, "name another file");
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(null.get(), STDOUT_FILENO);
  ::dup2(log ? log.get() : null.get(), STDERR_FILENO);
  const char byte = 0;
  [[maybe_unused]] const ssize_t n = ::write(parent_.get(), &byte, 1);
  parent_ = Fd();
  return {};
}

Result<PidFile> PidFile::create(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd)
    return host_error("-pidfile " + path + ": expected to write it", errno, "check the path and its permissions");
  struct flock whole {};
  whole.l_type = F_WRLCK;
  if (::fcntl(fd.get(), F_SETLK, &whole) != 0)
    return host_error("-pidfile " + path + ": expected to lock it", errno, "another machine has it; name another");
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return host_error("-pidfile " + path + ": expected to write it", errno, "check the path and its permissions");
  return PidFile(std::move(fd), path);
}

PidFile::~PidFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace armvisor::cli
