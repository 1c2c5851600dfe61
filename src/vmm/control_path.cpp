#include "vmm/control_path.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace armvisor::vmm {
namespace {

constexpr std::string_view k_suffix = ".sock";

bool is_listened_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

}  // namespace

Result<ControlDirectory> open_control_directory() { return UserDirectory::open("control sockets"); }

Status check_machine_name(std::string_view name) { return check_plain_name("name of a machine", name); }

Result<std::string> machine_socket_path(const ControlDirectory& directory, std::string_view name,
                                        std::string_view suffix, std::string_view what) {
  AV_TRY(check_machine_name(name));
  const std::string path = fmt::format("{}/{}{}", directory.path, name, suffix);
  if (path.size() >= sizeof sockaddr_un::sun_path)
    return Error{
        ErrorKind::HostResource,
        fmt::format("{}: expected a path shorter than {} bytes, found {}; set XDG_RUNTIME_DIR to a shorter one", what,
                    sizeof sockaddr_un::sun_path, path)};
  return path;
}

Result<std::string> control_socket_path(const ControlDirectory& directory, std::string_view name) {
  return machine_socket_path(directory, name, k_suffix, "control socket");
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

std::vector<std::string> running_machines(const ControlDirectory& directory) {
  std::vector<std::string> names = machine_names(directory);
  std::erase_if(names, [&](const std::string& name) {
    const auto path = control_socket_path(directory, name);
    return !path || !is_listened_to(*path);
  });
  return names;
}

}  // namespace armvisor::vmm
