#pragma once
// Where the control sockets of a user's machines are: $XDG_RUNTIME_DIR/armvisor, or /tmp/armvisor-UID. Nobody else may
// enter the directory.
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor::vmm {

struct ControlDirectory {
  std::string path;
  Fd fd;
};

/// Made if it is not there. An error when it is not a directory of this user's that is closed to others.
Result<ControlDirectory> open_control_directory();

/// Fails unless `name` is 1 to 32 letters, digits and . _ - + and begins with a letter or digit.
Status check_machine_name(std::string_view name);

/// An error when the path is longer than a socket's address can be.
Result<std::string> control_socket_path(const ControlDirectory& directory, std::string_view name);

/// Names with a socket there, sorted.
std::vector<std::string> machine_names(const ControlDirectory& directory);

}  // namespace armvisor::vmm
