#pragma once
// Errors of the host's system calls, with what the user can do about them.
#include <string>
#include <string_view>

#include "base/result.h"

namespace armvisor {

/// Whether the errno says that the host or a limit of the process has no more, whatever was asked for.
bool is_host_limit(int error);

/// What to do about an errno: which limit to raise, where it is one, else `otherwise`.
std::string_view advice_on(int error, std::string_view otherwise);

/// ErrorKind::HostResource: "EXPECTED, the host says: ...; ADVICE". `expected` has the word in it.
Error host_error(const std::string& expected, int error, std::string_view otherwise);

/// Likewise for a file that the user named and that cannot be used: ErrorKind::BadInput unless a limit was met.
Error file_error(const std::string& expected, int error, std::string_view otherwise);

/// For a thread that cannot be started.
Error thread_error(const std::string& name, int error);

}  // namespace armvisor
