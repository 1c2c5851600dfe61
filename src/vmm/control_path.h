#pragma once
// Where the control sockets of a user's machines are.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/user_directory.h"

namespace armvisor::vmm {

using ControlDirectory = UserDirectory;

/// As UserDirectory::open().
Result<ControlDirectory> open_control_directory();

/// Fails unless `name` is 1 to 32 letters, digits and . _ - + and begins with a letter or digit.
Status check_machine_name(std::string_view name);

/// Of a socket of a machine, whose file's name ends with `suffix`; `what` is for messages. An error when the path
/// is longer than a socket's address can be.
Result<std::string> machine_socket_path(const ControlDirectory& directory, std::string_view name,
                                        std::string_view suffix, std::string_view what);
Result<std::string> control_socket_path(const ControlDirectory& directory, std::string_view name);

/// Names with a socket there, sorted.
std::vector<std::string> machine_names(const ControlDirectory& directory);
/// Those of them on whose socket somebody listens: it outlives a machine that was killed. Waits for nobody.
std::vector<std::string> running_machines(const ControlDirectory& directory);

}  // namespace armvisor::vmm
