#pragma once
// The other end of a control socket.
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor::vmm {

class ControlClient {
 public:
  /// The running machine of this user that is called `name`.
  static Result<ControlClient> connect(const std::string& name);
  /// One line without its end; waits for the answer for some seconds.
  Result<std::string> ask(const std::string& request);

 private:
  ControlClient(std::string name, Fd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  bool receive(std::string& out, std::size_t size);
  Error gone() const;

  std::string name_;
  Fd fd_;
};

}  // namespace armvisor::vmm
