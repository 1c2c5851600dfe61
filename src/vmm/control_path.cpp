#include "vmm/control_path.h"

#include <fmt/core.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>

namespace armvisor::vmm {
namespace {

constexpr std::string_view k_suffix = ".sock";

}  // namespace

Result<ControlDirectory> open_control_directory() { return UserDirectory::open("control sockets"); }

Status check_machine_name(std::string_view name) { return check_plain_name("name of a machine", name); }

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
