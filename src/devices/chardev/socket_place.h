#pragma once
// Where a stream socket is: its addresses, listening there, connecting to them.
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/chardev/chardev_options.h"

namespace armvisor::devices {

class SocketPlace {
 public:
  /// Names that a client needs are looked up here and now, and not again. `option` is for messages.
  static Result<SocketPlace> find(const std::string& option, const SocketOptions& options);

  /// A socket that listens, and takes the port that it got. A socket or an empty file of a Unix socket's name is
  /// replaced.
  Result<Fd> listen();
  /// Connects, or is told by `stop_fd` to give up.
  Result<Fd> connect(int stop_fd) const;
  /// Removes the name of a Unix socket.
  void remove() const;
  std::string text() const { return options_.text(); }

 private:
  Error failed(const char* what, int error) const;
  void take_port(const Fd& socket);

  std::string option_;
  SocketOptions options_;
  std::vector<HostAddress> addresses_;  ///< of a client
};

}  // namespace armvisor::devices
