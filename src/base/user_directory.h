#pragma once
// Where sockets are by which programs of one user find each other: $XDG_RUNTIME_DIR/armvisor, or /tmp/armvisor-UID
// if that is not set or no absolute path (XDG Base Directory Specification: such a path is to be ignored). Nobody else
// may enter the directory. And where what can be made again is kept.
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor {

struct UserDirectory {
  std::string path;
  Fd fd;

  /// Made if it is not there. An error when it is not a directory of this user's that is closed to others. `purpose`
  /// is for messages: "control sockets".
  static Result<UserDirectory> open(const std::string& purpose);
};

/// $XDG_CACHE_HOME, or ~/.cache if that is not set or no absolute path; it may not be there. Empty: HOME is none
/// either.
std::string user_cache_directory();

/// Fails unless `name` is 1 to 32 letters, digits and . _ - + and begins with a letter or digit. `what`: "name of ...".
Status check_plain_name(const std::string& what, std::string_view name);

/// Whether the other end of a Unix socket is this user's, or root's.
bool is_same_user(int socket);

}  // namespace armvisor
