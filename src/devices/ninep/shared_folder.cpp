#include "devices/ninep/shared_folder.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>

#include "base/log_once.h"

namespace armvisor::devices::ninep {
namespace {

constexpr std::size_t k_longest_target = 4096;
constexpr u32 k_permissions = 07777;
constexpr unsigned k_inode_bits = 48;  ///< of those that can be told apart by file system
constexpr std::size_t k_most_devices = 4096;
constexpr rlim_t k_wanted_descriptors = 65536;
constexpr std::size_t k_full_shares = 4;  ///< so many have 3/16 of all descriptors each; more have 3/4 together

/// What takes a half-made file away again unless all went well.
class Undo {
 public:
  Undo(int folder, const std::string& name, int flags) : folder_(folder), name_(name), flags_(flags) {}
  ~Undo() {
    if (!done_) unlinkat(folder_, name_.c_str(), flags_);
  }
  void done() { done_ = true; }

 private:
  const int folder_;
  const std::string& name_;
  const int flags_;
  bool done_ = false;
};

}  // namespace

ShareLimits ShareLimits::of_process(std::size_t shares) {
  ShareLimits limits;
  struct rlimit descriptors {};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return limits;
  if (descriptors.rlim_cur < k_wanted_descriptors) {
    struct rlimit more = descriptors;
    more.rlim_cur = std::min(descriptors.rlim_max, k_wanted_descriptors);
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) descriptors = more;
  }
  const std::size_t all =
      std::min(descriptors.rlim_cur, k_wanted_descriptors) * k_full_shares / std::max(shares, k_full_shares);
  limits.open = std::max<std::size_t>(all / 8, 8);
  limits.named = std::max<std::size_t>(all / 32, 8);
  return limits;
}

Result<std::shared_ptr<SharedFolder>> SharedFolder::create(ShareOptions options, ShareLimits limits) {
  AV_TRY_ASSIGN(auto tree, NodeTree::create(options.path, {.most_open = limits.named, .most_nodes = 2 * limits.fids}));
  return std::shared_ptr<SharedFolder>(new SharedFolder(std::move(options), limits, std::move(tree)));
}

// --- names

int SharedFolder::walk(const NodeRef& folder, std::string_view name, NodeRef& found) {
  if (name.empty() || name == "." || name.find('/') != std::string_view::npos || name.find('\0') != name.npos)
    return ENOENT;
  if (name.size() > k_longest_name) return ENAMETOOLONG;
  if (options_.model == SecurityModel::MappedFile && is_metadata_name(name)) return EINVAL;
  return tree_->walk(folder, name, found);
}

int SharedFolder::check_new_name(std::string_view name) const {
  if (name.empty() || name.find('/') != std::string_view::npos || name.find('\0') != name.npos) return ENOENT;
  if (name == "." || name == "..") return EEXIST;
  if (name.size() > k_longest_name) return ENAMETOOLONG;
  return options_.model == SecurityModel::MappedFile && is_metadata_name(name) ? EINVAL : 0;
}

int SharedFolder::check_name(const NodeRef& node) {
  if (!node->parent()) return EBUSY;
  if (!node->has_name()) return ENOENT;
  const int folder = tree_->descriptor(const_cast<Node&>(*node->parent()));
  if (folder < 0) return -folder;
  struct stat s {};
  if (fstatat(folder, node->name().c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  return file_id(s) == node->id() ? 0 : ESTALE;
}

// --- what is said of a file

int SharedFolder::descriptor(const File& file) {
  return file.opened && *file.opened ? file.opened->get() : tree_->descriptor(*file.node);
}

Attributes SharedFolder::attributes_of(const Node& node, int descriptor) {
  if (options_.model == SecurityModel::MappedXattr) return read_attribute_xattrs(tree_->path_of(descriptor));
  if (options_.model != SecurityModel::MappedFile) return {};
  if (!node.has_name()) return node.said() ? *node.said() : Attributes();
  const Node& folder = node.parent() ? *node.parent() : node;
  const int at = tree_->descriptor(const_cast<Node&>(folder));
  return at < 0 ? Attributes() : records_.read(at, node.name());
}

int SharedFolder::write_attributes(const NodeRef& node, int descriptor, const Attributes& attributes) {
  if (options_.model == SecurityModel::MappedXattr)
    return write_attribute_xattrs(tree_->path_of(descriptor), attributes);
  return write_record(node, attributes);
}

/// A record goes by a name: one that was the file's and is another's by now must not get it.
int SharedFolder::write_record(const NodeRef& node, const Attributes& attributes) {
  if (!node->has_name()) {
    if (node->said()) node->said()->merge(attributes);
    return 0;
  }
  if (node->parent())
    if (const int unnamed = check_name(node)) return unnamed;
  const int at = tree_->descriptor(*parent(node).get());
  return at < 0 ? -at : records_.write(at, node->name(), attributes);
}

/// What those who have a file keep of its record when it loses that name; null: there are no records.
std::shared_ptr<Attributes> SharedFolder::said_of(int folder, const std::string& name) {
  if (options_.model != SecurityModel::MappedFile) return nullptr;
  return std::make_shared<Attributes>(records_.read(folder, name));
}

int SharedFolder::stat(const File& file, struct stat& s) {
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  if (fstat(fd, &s) != 0) return errno;
  if (is_mapped(options_.model)) attributes_of(*file.node, fd).apply_to(s);
  if (owns_as_root()) {
    if (s.st_uid == geteuid()) s.st_uid = 0;
    if (s.st_gid == getegid()) s.st_gid = 0;
  }
  return 0;
}

bool SharedFolder::owns_as_root() const { return options_.own_is_root && !is_mapped(options_.model); }
u32 SharedFolder::host_uid(u32 uid) const { return owns_as_root() && uid == 0 ? geteuid() : uid; }
u32 SharedFolder::host_gid(u32 gid) const { return owns_as_root() && gid == 0 ? getegid() : gid; }

int SharedFolder::qid(const struct stat& s, Qid& qid) {
  const u8 type = S_ISDIR(s.st_mode) ? Qid::Folder : S_ISLNK(s.st_mode) ? Qid::Symlink : Qid::File;
  const u32 version = static_cast<u32>(s.st_mtime) ^ static_cast<u32>(s.st_size << 8);
  if (const int error = qid_of(s.st_dev, s.st_ino, type, qid)) return error;
  qid.version = version;
  return 0;
}

int SharedFolder::qid_of(u64 device, u64 inode, u8 type, Qid& qid) {
  qid = {.type = type, .version = 0, .path = inode};
  const u64 own = tree_->root()->id().device, upper = inode >> k_inode_bits;
  if (device == own && (!upper || options_.others != OtherDevices::Remap)) return 0;
  switch (options_.others) {
    case OtherDevices::Forbid: return ENODEV;
    case OtherDevices::Warn:
      AV_LOG_ONCE(Warn,
                  "%s: expected one file system, found others, whose files the guest may take for each other; "
                  "share them apart, or say multidevs=remap",
                  options_.path.c_str());
      return 0;
    case OtherDevices::Remap: break;
  }
  const std::pair part(device, upper);
  auto known = devices_.find(part);
  if (known == devices_.end()) {
    if (devices_.size() >= k_most_devices) return ENFILE;
    known = devices_.emplace(part, devices_.size() + 1).first;
  }
  qid.path = known->second << k_inode_bits | (inode & ((u64{1} << k_inode_bits) - 1));
  return 0;
}

int SharedFolder::stat_file_system(Node& node, struct statfs& s) {
  const int fd = tree_->descriptor(node);
  if (fd < 0) return -fd;
  return fstatfs(fd, &s) == 0 ? 0 : errno;
}

int SharedFolder::read_link(Node& node, std::string& target) {
  target.resize(k_longest_target);
  const bool in_file = is_mapped(options_.model) && node.is_regular();
  ssize_t bytes = -1;
  if (in_file) {
    Fd file;
    if (const int error = tree_->open(node, O_RDONLY, file)) return error;
    bytes = pread(file.get(), target.data(), target.size(), 0);
  } else {
    const int fd = tree_->descriptor(node);
    if (fd < 0) return -fd;
    bytes = readlinkat(fd, "", target.data(), target.size());
    if (bytes < 0 && errno == ENOENT) return EINVAL;  // what an empty path means for other kinds of files
  }
  if (bytes < 0) return errno;
  target.resize(static_cast<std::size_t>(bytes));
  return 0;
}

// --- new files

int SharedFolder::open(Node& node, int flags, Fd& opened) { return tree_->open(node, flags, opened); }

int SharedFolder::make_file(int folder, const std::string& name, int flags, u32 mode, Fd& opened) {
  opened = Fd(openat(folder, name.c_str(), flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode));
  return opened ? 0 : errno;
}

/// Owner and permissions on the host. The owner first: to change it takes away bits of the others.
int SharedFolder::give_away(int descriptor, const NewFile& as, u32 kind) {
  const std::string path = tree_->path_of(descriptor);
  const bool must = options_.model == SecurityModel::Passthrough;
  const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
  if (fchownat(descriptor, "", host_uid(as.uid), host_gid(as.gid), flags) != 0 && must) return errno;
  if (kind == S_IFLNK) return 0;  // which has no permissions
  return chmod(path.c_str(), as.mode & k_permissions) == 0 || !must ? 0 : errno;
}

/// After a file was made: finds it, and says whose it is. `descriptor`: of the file, if it is open; else -1.
int SharedFolder::finish_new(const NodeRef& folder, const std::string& name, int descriptor, const NewFile& as,
                             u32 kind, std::optional<u64> rdev, NodeRef& node) {
  if (const int error = tree_->walk(folder, name, node)) return error;
  if (descriptor < 0) descriptor = tree_->descriptor(*node);
  if (descriptor < 0) return -descriptor;
  if (!is_mapped(options_.model)) return give_away(descriptor, as, kind);
  return write_attributes(node, descriptor, {as.uid, as.gid, (as.mode & k_permissions) | kind, rdev});
}

int SharedFolder::create(const NodeRef& folder, std::string_view name, int flags, const NewFile& as, Fd& opened,
                         NodeRef& node) {
  if (const int error = check_new_name(name)) return error;
  const int fd = tree_->descriptor(*folder);
  if (fd < 0) return -fd;
  const std::string text(name);
  const u32 mode = is_mapped(options_.model) ? options_.file_mode : as.mode & 0777;
  const int error = make_file(fd, text, flags & ~(O_EXCL | O_TRUNC), mode, opened);
  if (error == EEXIST && !(flags & O_EXCL)) {
    if (const int missing = walk(folder, name, node)) return missing;
    return open(*node, flags, opened);
  }
  if (error) return error;
  Undo undo(fd, text, 0);
  if (const int failed = finish_new(folder, text, opened.get(), as, S_IFREG, std::nullopt, node)) return failed;
  undo.done();
  return 0;
}

int SharedFolder::make_folder(const NodeRef& folder, std::string_view name, const NewFile& as, NodeRef& node) {
  if (const int error = check_new_name(name)) return error;
  const int fd = tree_->descriptor(*folder);
  if (fd < 0) return -fd;
  const std::string text(name);
  if (mkdirat(fd, text.c_str(), is_mapped(options_.model) ? options_.folder_mode : as.mode & 0777) != 0) return errno;
  Undo undo(fd, text, AT_REMOVEDIR);
  if (const int error = finish_new(folder, text, -1, as, S_IFDIR, std::nullopt, node)) return error;
  undo.done();
  return 0;
}

/// Where permissions are mapped, a file has the target as its content.
int SharedFolder::make_symlink(const NodeRef& folder, std::string_view name, std::string_view target, const NewFile& as,
                               NodeRef& node) {
  if (const int error = check_new_name(name)) return error;
  if (target.empty() || target.find('\0') != target.npos) return ENOENT;
  if (target.size() >= k_longest_target) return ENAMETOOLONG;
  const int fd = tree_->descriptor(*folder);
  if (fd < 0) return -fd;
  const std::string text(name);
  Fd file;
  if (is_mapped(options_.model)) {
    if (const int error = make_file(fd, text, O_RDWR, options_.file_mode, file)) return error;
  } else if (symlinkat(std::string(target).c_str(), fd, text.c_str()) != 0) {
    return errno;
  }
  Undo undo(fd, text, 0);
  if (file && ::write(file.get(), target.data(), target.size()) != static_cast<ssize_t>(target.size())) return ENOSPC;
  const NewFile link{as.uid, as.gid, 0777};
  if (const int error = finish_new(folder, text, -1, link, S_IFLNK, std::nullopt, node)) return error;
  undo.done();
  return 0;
}

/// Devices, FIFOs and sockets are made on the host only where the guest's permissions are the host's; devices, which
/// lead out of the folder, only where that was asked for in so many words.
int SharedFolder::make_special(const NodeRef& folder, std::string_view name, const NewFile& as, u32 major, u32 minor,
                               NodeRef& node) {
  if (const int error = check_new_name(name)) return error;
  const u32 kind = as.mode & S_IFMT;
  const bool is_device = kind == S_IFCHR || kind == S_IFBLK;
  if (!is_device && kind != S_IFIFO && kind != S_IFSOCK && kind != S_IFREG) return EINVAL;
  if (is_device && options_.model == SecurityModel::None) return EPERM;
  const int fd = tree_->descriptor(*folder);
  if (fd < 0) return -fd;
  const std::string text(name);
  const bool mapped = is_mapped(options_.model);
  const u64 rdev = is_device ? makedev(major, minor) : 0;
  if (mknodat(fd, text.c_str(), mapped ? options_.file_mode | S_IFREG : (as.mode & 0777) | kind, mapped ? 0 : rdev) !=
      0)
    return errno;
  Undo undo(fd, text, 0);
  if (const int error = finish_new(folder, text, -1, as, kind, rdev, node)) return error;
  undo.done();
  return 0;
}

// --- names that change

int SharedFolder::link(const NodeRef& file, const NodeRef& folder, std::string_view name) {
  if (const int error = check_new_name(name)) return error;
  const int from = tree_->descriptor(*file), to = tree_->descriptor(*folder);
  if (from < 0 || to < 0) return from < 0 ? -from : -to;
  const std::string text(name);
  if (linkat(AT_FDCWD, tree_->path_of(from).c_str(), to, text.c_str(), AT_SYMLINK_FOLLOW) != 0) return errno;
  if (options_.model != SecurityModel::MappedFile || !file->parent()) return 0;
  Undo undo(to, text, 0);
  const int parent = tree_->descriptor(const_cast<Node&>(*file->parent()));
  const int error = parent < 0         ? -parent
                    : file->has_name() ? records_.link(parent, file->name(), to, text)
                                       : records_.write(to, text, attributes_of(*file, from));
  if (!error) undo.done();
  return error;
}

int SharedFolder::rename(const NodeRef& folder, std::string_view name, const NodeRef& new_folder,
                         std::string_view new_name) {
  for (const std::string_view n : {name, new_name}) {
    const int error = check_new_name(n);
    if (error) return error == EEXIST ? EISDIR : error;
  }
  const int from = tree_->descriptor(*folder), to = tree_->descriptor(*new_folder);
  if (from < 0 || to < 0) return from < 0 ? -from : -to;
  const std::string old_text(name), new_text(new_name);
  struct stat s {
  }, replaced{};
  if (fstatat(from, old_text.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  const bool replaces = fstatat(to, new_text.c_str(), &replaced, AT_SYMLINK_NOFOLLOW) == 0;
  const auto said = replaces ? said_of(to, new_text) : nullptr;
  if (replaces) tree_->prepare_to_lose(new_folder->id(), new_name, file_id(replaced));
  if (renameat(from, old_text.c_str(), to, new_text.c_str()) != 0) return errno;
  if (replaces && file_id(replaced) == file_id(s)) return 0;  // of two names of a file neither changes
  if (replaces) tree_->lost(new_folder->id(), new_name, file_id(replaced), said);
  tree_->moved(folder->id(), name, file_id(s), *new_folder, new_name);
  if (options_.model != SecurityModel::MappedFile) return 0;
  return records_.rename(from, old_text, to, new_text);
}

int SharedFolder::unlink(const NodeRef& folder, std::string_view name, bool is_folder) {
  const int bad = check_new_name(name);
  if (bad) return bad != EEXIST ? bad : name == "." ? EINVAL : ENOTEMPTY;
  const int fd = tree_->descriptor(*folder);
  if (fd < 0) return -fd;
  const std::string text(name);
  struct stat s {};
  if (fstatat(fd, text.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  tree_->prepare_to_lose(folder->id(), name, file_id(s));
  const auto said = said_of(fd, text);
  const bool has_record = options_.model == SecurityModel::MappedFile;
  Fd own;
  if (has_record && is_folder && tree_->open_in(fd, text.c_str(), O_RDONLY | O_DIRECTORY, own) == 0)
    AttributeRecords::remove_folder(own.get());
  if (unlinkat(fd, text.c_str(), is_folder ? AT_REMOVEDIR : 0) != 0) return errno;
  tree_->lost(folder->id(), name, file_id(s), said);
  if (has_record) records_.remove(fd, text);
  return 0;
}

// --- changes of what is said of a file

int SharedFolder::set_mode(const File& file, u32 mode) {
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  if (!is_mapped(options_.model)) return chmod(tree_->path_of(fd).c_str(), mode & k_permissions) == 0 ? 0 : errno;
  struct stat s {};
  if (const int error = stat(file, s)) return error;
  return write_attributes(file.node, fd, {.mode = (mode & k_permissions) | (s.st_mode & S_IFMT)});
}

int SharedFolder::set_owner(const File& file, std::optional<u32> uid, std::optional<u32> gid) {
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  if (is_mapped(options_.model) && (uid || gid)) return write_attributes(file.node, fd, {.uid = uid, .gid = gid});
  const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
  return fchownat(fd, "", host_uid(uid.value_or(~0u)), host_gid(gid.value_or(~0u)), flags) == 0 ? 0 : errno;
}

int SharedFolder::set_size(const File& file, u64 size) {
  if (!file.node->is_regular()) return file.node->is_folder() ? EISDIR : EINVAL;
  if (size >> 63) return EFBIG;
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  const off_t bytes = static_cast<off_t>(size);
  const int access = file.opened && *file.opened ? fcntl(fd, F_GETFL) & O_ACCMODE : O_RDONLY;
  if (access != O_RDONLY) return ftruncate(fd, bytes) == 0 ? 0 : errno;
  return truncate(tree_->path_of(fd).c_str(), bytes) == 0 ? 0 : errno;
}

int SharedFolder::set_times(const File& file, const struct timespec (&times)[2]) {
  const int fd = descriptor(file);
  if (fd < 0) return -fd;
  return utimensat(AT_FDCWD, tree_->path_of(fd).c_str(), times, 0) == 0 ? 0 : errno;
}

}  // namespace armvisor::devices::ninep
