#include "devices/vhost_user/options.h"

#include <fmt/core.h>

namespace armvisor::devices::vhost_user {
namespace {

constexpr Sandbox k_sandboxes[] = {Sandbox::Namespace, Sandbox::Chroot, Sandbox::None};

}  // namespace

std::string_view name(Sandbox sandbox) {
  switch (sandbox) {
    case Sandbox::Namespace: return "namespace";
    case Sandbox::Chroot: return "chroot";
    case Sandbox::None: return "none";
  }
  return "";
}

std::optional<Sandbox> find_sandbox(std::string_view text) {
  for (const Sandbox s : k_sandboxes)
    if (name(s) == text) return s;
  return std::nullopt;
}

Status check_tag(std::string_view tag) {
  if (!tag.empty() && tag.size() <= k_longest_tag) return {};
  return Error{ErrorKind::BadArguments,
               fmt::format("expected a tag of 1 to {} characters, found '{}'; change it", k_longest_tag, tag)};
}

}  // namespace armvisor::devices::vhost_user
