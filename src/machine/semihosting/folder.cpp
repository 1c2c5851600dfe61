#include "machine/semihosting/folder.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace armvisor::machine::semihosting {
namespace {

/// The descriptor, or -1 and errno.
int open_beneath(int folder, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<u64>(flags | O_CLOEXEC);
  if (flags & O_CREAT) how.mode = 0644;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed meanwhile, so that the kernel cannot tell; a guest may do that itself for ever.
  constexpr int k_tries = 16;
  int fd = -1;
  for (int n = 0; n < k_tries && fd < 0; ++n) {
    fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
    if (fd < 0 && errno != EAGAIN && errno != EINTR) break;
  }
  return fd;
}

/// Of the host's kernel: what looks like regular files there may do something when it is read.
bool is_kernels(int fd) {
  // Linux's headers for programs leave these out.
  constexpr u64 k_configfs = 0x62656570, k_fusectl = 0x65735543, k_pstore = 0x6165676c, k_resctrl = 0x07655821;
  constexpr std::array<u64, 16> k_kernels = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,         DEBUGFS_MAGIC,    TRACEFS_MAGIC,
                                             CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC,
                                             SMACK_MAGIC,        EFIVARFS_MAGIC,      BPF_FS_MAGIC,     BINFMTFS_MAGIC,
                                             k_configfs,         k_fusectl,           k_pstore,         k_resctrl};
  struct statfs fs {};
  return ::fstatfs(fd, &fs) != 0 || std::ranges::find(k_kernels, static_cast<u64>(fs.f_type)) != k_kernels.end();
}

/// 0: `fd` is a regular file, which `st` tells of; or an errno value.
int look_at(int fd, struct stat& st) {
  if (::fstat(fd, &st) != 0) return errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  return !S_ISREG(st.st_mode) || is_kernels(fd) ? EACCES : 0;
}

int inside_only(int error) { return error == EXDEV ? EACCES : error; }

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), &::free);
  return here ? std::string(here.get()) + "/" + path : std::string();
}

std::string without_end(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<Folder> Folder::open(const std::string& option, const std::string& path) {
  Folder folder{Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
  if (!folder.fd_)
    return Error{ErrorKind::BadArguments, option + ": expected a folder, found " + path + ", of which the host says: " +
                                              std::strerror(errno) + "; name one that is there"};
  if (!Fd(open_beneath(folder.fd_.get(), ".", O_PATH)))
    return Error{ErrorKind::HostResource,
                 option + ": expected a kernel that keeps paths inside a folder (openat2, Linux 5.6), found: " +
                     std::strerror(errno) + "; give the guest no folder"};
  if (std::string name = without_end(absolute(path)); !name.empty()) folder.names_.push_back(std::move(name));
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  if (real) folder.names_.emplace_back(real.get());
  return folder;
}

std::string Folder::inside(std::string_view path) const {
  if (!path.starts_with('/')) return std::string(path);
  for (const std::string& name : names_) {
    if (!path.starts_with(name)) continue;
    std::string_view rest = path.substr(name.size());
    if (name != "/" && !rest.empty() && rest.front() != '/') continue;
    while (rest.starts_with('/')) rest.remove_prefix(1);
    return rest.empty() ? "." : std::string(rest);
  }
  return {};
}

int Folder::open_file(const std::string& path, int flags, Fd& file) const {
  if (path.empty()) return ENOENT;
  const std::string name = inside(path);
  if (name.empty()) return EACCES;
  // A device or a FIFO would notice being opened, so what it is is seen before.
  struct stat seen {
  }, st{};
  const Fd there(open_beneath(fd_.get(), name.c_str(), O_PATH));
  if (!there && (errno != ENOENT || !(flags & O_CREAT))) return inside_only(errno);
  if (there)
    if (const int error = look_at(there.get(), seen)) return error;
  Fd opened(open_beneath(fd_.get(), name.c_str(), (flags & ~O_TRUNC) | O_NONBLOCK | O_NOCTTY));
  if (!opened) return inside_only(errno);
  if (const int error = look_at(opened.get(), st)) return error;
  if (there && (st.st_dev != seen.st_dev || st.st_ino != seen.st_ino)) return ESTALE;
  if ((flags & O_TRUNC) && ::ftruncate(opened.get(), 0) != 0) return errno;
  file = std::move(opened);
  return 0;
}

int Folder::open_parent(std::string& path, Fd& parent) const {
  if (path.empty()) return ENOENT;
  std::string name = without_end(inside(path));
  if (name.empty()) return EACCES;
  const std::size_t slash = name.rfind('/');
  path = slash == std::string::npos ? name : name.substr(slash + 1);
  if (path == "." || path == "..") return EINVAL;
  const std::string before = slash == std::string::npos ? "." : name.substr(0, slash);
  parent = Fd(open_beneath(fd_.get(), before.empty() ? "/" : before.c_str(), O_PATH | O_DIRECTORY));
  return parent ? 0 : inside_only(errno);
}

int Folder::remove(const std::string& path) const {
  std::string name = path;
  Fd parent;
  if (const int error = open_parent(name, parent)) return error;
  if (::unlinkat(parent.get(), name.c_str(), 0) == 0) return 0;
  if (errno != EISDIR) return errno;
  return ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
}

int Folder::rename(const std::string& from, const std::string& to) const {
  std::string old_name = from, new_name = to;
  Fd old_parent, new_parent;
  if (const int error = open_parent(old_name, old_parent)) return error;
  if (const int error = open_parent(new_name, new_parent)) return error;
  return ::renameat(old_parent.get(), old_name.c_str(), new_parent.get(), new_name.c_str()) == 0 ? 0 : errno;
}

}  // namespace armvisor::machine::semihosting
