#pragma once
// Where a switch between the machines of one user is: a socket in the user's directory. A process of its own carries
// frames (switch_hub.h): whoever finds none there starts it, and it ends when nobody is connected any more. Who looks
// for it and who ends it hold a lock on the directory meanwhile, so nobody connects to one that is about to end.
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/user_directory.h"

namespace armvisor::devices {

class SwitchPlace {
 public:
  /// An error for a name that is none, or a directory that others may enter.
  static Result<SwitchPlace> find(const std::string& name);

  /// A connection to the switch, which is started if there is none. No descriptor: another process holds the lock, or
  /// the switch has no room; to be tried again. Does not wait.
  Result<Fd> join();
  /// For the switch itself, which listens on the socket that is there: that is what leave() removes.
  void own_socket() { own_ = socket_there(); }
  /// Removes the switch's own socket, but no other's that took its place, unless `anybody` came meanwhile; waits for
  /// the lock. True: the switch may end.
  bool leave(const std::function<bool()>& anybody);

  const std::string& path() const { return path_; }

  /// The program that is the switch, as words that stand before the switch's name; it gets the listening socket as
  /// systemd's services do. For tests.
  static std::vector<std::string> program;

 private:
  SwitchPlace(UserDirectory directory, std::string name);
  Result<Fd> start();
  /// A connection; none: nobody listens there, or (errno EAGAIN) nobody accepts now.
  Fd connect() const;

  /// Which file a socket is. While it is bound, no other has its number.
  struct File {
    dev_t device;
    ino_t number;
    bool operator==(const File&) const = default;
  };
  std::optional<File> socket_there() const;
  void remove_own();

  UserDirectory directory_;
  std::string name_, path_;
  std::optional<File> own_;
};

}  // namespace armvisor::devices
