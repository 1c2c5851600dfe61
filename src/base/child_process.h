#pragma once
// A program that serves this process: started with nothing of ours but what it is given, and ended with us.
//
// It is in a process group of its own, so that keys of the terminal do not reach it; its input and output are
// /dev/null; it has no descriptor but these, its messages, and the socket that it is given; it can get no more
// privileges (no_new_privs) unless that is what it is for; and it gets SIGTERM should the thread that started it end
// first, so that thread must live as long as the process is wanted.
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sandbox/landlock.h"

namespace armvisor {

class ChildProcess {
 public:
  enum class Privileges {
    Ours,       ///< and no more
    OfItsFile,  ///< those too that its file gives it (setuid)
  };
  /// What a program that reads what may be anybody's is held to: it can reach no network and start nothing, and change
  /// files as the rules say; it may read what the user may. (base/sandbox/refused_calls.inc, landlock.h)
  struct Confinement {
    std::vector<FileRule> files{};
  };
  /// `words`: the program, looked for in $PATH, and its arguments. `socket`, if any, is a listening socket, which the
  /// program finds as systemd's services do (sd_listen_fds(3): descriptor 3, $LISTEN_FDS, $LISTEN_PID). An error when
  /// the program cannot be started; `purpose` ("which opens ...") and `package` are for its message.
  static Result<ChildProcess> start(const std::vector<std::string>& words, Fd socket, const std::string& purpose,
                                    const std::string& package, Privileges privileges = Privileges::Ours,
                                    const Confinement* confinement = nullptr);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// end(0), if that was not done.
  ~ChildProcess();

  pid_t id() const { return id_; }
  /// What it has said on standard error since the last call: the last 4096 bytes of it, nothing if it said nothing.
  std::string take_messages();
  /// Waits for up to `patience_ms` until the process ends by itself, then kills it, with all of its group. Its status
  /// as of waitpid(2); a second call returns the same.
  int end(unsigned patience_ms);
  /// Its status, if it has ended.
  std::optional<int> ended();

 private:
  ChildProcess(pid_t id, Fd messages) : id_(id), messages_(std::move(messages)) {}

  pid_t id_;
  Fd messages_;  ///< neither end waits: what nobody has room for is lost
  std::optional<int> status_;
};

/// A pair of sockets: one end listens and the other is connected to it already; nobody else can connect.
struct ServedSocket {
  Fd listening, connected;
  static Result<ServedSocket> create();
};

/// Starts a program that goes on when this process ends: in a session of its own, in the root folder, with /dev/null
/// for input, output and messages, and no descriptor of ours but `socket`, as ChildProcess::start() has it. Its first
/// word is a path.
Status start_detached(const std::vector<std::string>& words, Fd socket, const std::string& purpose);

/// "ended with status 1", "was ended by signal 9 (Killed)".
std::string describe_status(int status);

}  // namespace armvisor
