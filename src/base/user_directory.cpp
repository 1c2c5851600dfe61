#include "base/user_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/host_error.h"

namespace armvisor {
namespace {

constexpr std::size_t k_max_name = 32;

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

Result<UserDirectory> UserDirectory::open(const std::string& purpose) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  UserDirectory d;
  d.path =
      runtime && *runtime == '/' ? fmt::format("{}/armvisor", runtime) : fmt::format("/tmp/armvisor-{}", ::geteuid());
  const auto not_usable = [&](const std::string& found) {
    return Error{ErrorKind::HostResource, purpose + ": expected the directory " + d.path +
                                              " of this user, closed to others (mode 0700), found: " + found +
                                              "; remove it or set XDG_RUNTIME_DIR"};
  };
  if (::mkdir(d.path.c_str(), 0700) != 0 && errno != EEXIST) return not_usable(std::strerror(errno));
  d.fd = Fd(::open(d.path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat s {};
  if ((!d.fd || ::fstat(d.fd.get(), &s) != 0) && is_host_limit(errno))
    return host_error(purpose + ": expected to open " + d.path, errno, {});
  if (!d.fd) return not_usable(std::strerror(errno));
  if (s.st_uid != ::geteuid()) return not_usable(fmt::format("it belongs to user {}", s.st_uid));
  if (s.st_mode & 077) return not_usable("others may enter it");
  return d;
}

std::string user_cache_directory() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache == '/') return cache;
  return home && *home == '/' ? std::string(home) + "/.cache" : std::string();
}

Status check_plain_name(const std::string& what, std::string_view name) {
  const auto allowed = [](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-' || c == '+'; };
  if (!name.empty() && name.size() <= k_max_name && letter_or_digit(name[0]) && std::ranges::all_of(name, allowed))
    return {};
  return Error{ErrorKind::BadArguments,
               what + ": expected 1 to 32 letters, digits and . _ - + that begin with a letter or digit, found '" +
                   std::string(name) + "'; change it"};
}

bool is_same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace armvisor
