// Extended attributes of shared files: the guest's own are those of users and POSIX ACLs.
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>

#include "devices/ninep/shared_folder.h"

namespace armvisor::devices::ninep {
namespace {

constexpr std::string_view k_users = "user.", k_ours = "user.virtfs.";
constexpr std::string_view k_acls[] = {"system.posix_acl_access", "system.posix_acl_default"};

bool is_acl(std::string_view name) { return name == k_acls[0] || name == k_acls[1]; }

}  // namespace

/// The host's name of an attribute; nothing for one that the guest may not have. With permissions in attributes, ACLs
/// are in some too: they mean nothing to the host then. With permissions in files there are none: those of the host
/// change its permissions.
std::optional<std::string> SharedFolder::xattr_name(std::string_view name) const {
  if (name.size() > k_longest_name || name.find('\0') != name.npos) return std::nullopt;
  const bool mapped = options_.model == SecurityModel::MappedXattr;
  if (is_acl(name) && options_.model == SecurityModel::MappedFile) return std::nullopt;
  if (is_acl(name)) return mapped ? std::string(k_ours) + std::string(name) : std::string(name);
  if (!name.starts_with(k_users) || (mapped && name.starts_with(k_ours))) return std::nullopt;
  return std::string(name);
}

int SharedFolder::read_xattr(const File& file, std::string_view name, std::vector<u8>& value) {
  if (options_.model == SecurityModel::None) return EOPNOTSUPP;
  const auto own = xattr_name(name);
  if (!own) return name.starts_with(k_users) ? ENODATA : EOPNOTSUPP;
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  value.resize(k_longest_xattr);
  const ssize_t bytes = getxattr(tree_->path_of(fd).c_str(), own->c_str(), value.data(), value.size());
  if (bytes < 0) return errno;
  value.resize(static_cast<std::size_t>(bytes));
  return 0;
}

int SharedFolder::list_xattrs(const File& file, std::vector<u8>& names) {
  if (options_.model == SecurityModel::None) return EOPNOTSUPP;
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  std::vector<char> all(k_longest_xattr);
  const ssize_t bytes = listxattr(tree_->path_of(fd).c_str(), all.data(), all.size());
  if (bytes < 0) return errno;
  names.clear();
  const bool mapped = options_.model == SecurityModel::MappedXattr;
  for (const char* at = all.data(); at < all.data() + bytes; at += std::strlen(at) + 1) {
    std::string_view name = at;
    if (mapped && name.starts_with(k_ours)) name.remove_prefix(k_ours.size());
    const bool hidden = mapped && std::string_view(at).starts_with(k_ours) && !is_acl(name);
    if (hidden || !xattr_name(name) || (mapped && is_acl(at))) continue;
    names.insert(names.end(), name.begin(), name.end());
    names.push_back(0);
  }
  return 0;
}

int SharedFolder::write_xattr(const File& file, std::string_view name, const std::vector<u8>& value, int flags) {
  if (options_.model == SecurityModel::None) return EOPNOTSUPP;
  const auto own = xattr_name(name);
  if (!own) return name.starts_with(k_users) ? EACCES : EOPNOTSUPP;
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  return setxattr(tree_->path_of(fd).c_str(), own->c_str(), value.data(), value.size(), flags) == 0 ? 0 : errno;
}

int SharedFolder::remove_xattr(const File& file, std::string_view name) {
  if (options_.model == SecurityModel::None) return EOPNOTSUPP;
  const auto own = xattr_name(name);
  if (!own) return name.starts_with(k_users) ? EACCES : EOPNOTSUPP;
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  return removexattr(tree_->path_of(fd).c_str(), own->c_str()) == 0 ? 0 : errno;
}

}  // namespace armvisor::devices::ninep
