#include "vmm/control_path.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/host_error.h"

namespace armvisor::vmm {
namespace {

constexpr std::string_view k_suffix = ".sock";
constexpr std::size_t k_max_name = 32;

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

Error not_usable(const std::string& path, const std::string& found) {
  return Error{ErrorKind::HostResource, "control sockets: expected the directory " + path +
                                            " of this user, closed to others (mode 0700), found: " + found +
                                            "; remove it or set XDG_RUNTIME_DIR"};
}

}  // namespace

Result<ControlDirectory> open_control_directory() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  ControlDirectory d;
  d.path = runtime && *runtime ? fmt::format("{}/armvisor", runtime) : fmt::format("/tmp/armvisor-{}", ::geteuid());
  if (::mkdir(d.path.c_str(), 0700) != 0 && errno != EEXIST) return not_usable(d.path, std::strerror(errno));
  d.fd = Fd(::open(d.path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat s {};
  if ((!d.fd || ::fstat(d.fd.get(), &s) != 0) && is_host_limit(errno))
    return host_error("control sockets: expected to open " + d.path, errno, {});
  if (!d.fd) return not_usable(d.path, std::strerror(errno));
  if (s.st_uid != ::geteuid()) return not_usable(d.path, fmt::format("it belongs to user {}", s.st_uid));
  if (s.st_mode & 077) return not_usable(d.path, "others may enter it");
  return d;
}

Status check_machine_name(std::string_view name) {
  const auto allowed = [](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-' || c == '+'; };
  if (!name.empty() && name.size() <= k_max_name && letter_or_digit(name[0]) && std::ranges::all_of(name, allowed))
    return {};
  return Error{ErrorKind::BadArguments,
               "name of a machine: expected 1 to 32 letters, digits and . _ - + that begin with a letter or digit, "
               "found '" +
                   std::string(name) + "'; change it"};
}

Result<std::string> control_socket_path(const ControlDirectory& directory, std::string_view name) {
  AV_TRY(check_machine_name(name));
  const std::string path = fmt::format("{}/{}{}", directory.path, name, k_suffix);
  if (path.size() >= sizeof sockaddr_un::sun_path)
    return Error{
        ErrorKind::HostResource,
        fmt::format(
            "control socket: expected a path shorter than {} bytes, found {}; set XDG_RUNTIME_DIR to a shorter one",
            sizeof sockaddr_un::sun_path, path)};
  return path;
}

std::vector<std::string> machine_names(const ControlDirectory& directory) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path, none)) {
    const std::string file = entry.path().filename();
    if (file.ends_with(k_suffix)) names.push_back(file.substr(0, file.size() - k_suffix.size()));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace armvisor::vmm
