#pragma once
// What a guest may do to a folder of the host: the operations of 9P on nodes (node_tree.h), with owner, permissions and
// kind of files as the security model has them. One thread uses it. Errors are those of errno, 0 for none, which are
// those of the guest's Linux as well.
#include <sys/stat.h>
#include <sys/statfs.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "devices/ninep/attributes.h"
#include "devices/ninep/node_tree.h"
#include "devices/ninep/share_options.h"
#include "devices/ninep/wire.h"

namespace armvisor::devices::ninep {

/// A file that is named, and may be open as well: what it can do goes by the descriptor that was opened, so that it
/// does not need its name any more.
struct File {
  NodeRef node;
  const Fd* opened = nullptr;  ///< null or invalid: it is not open
};

/// Whose a new file is to be, and with which permissions.
struct NewFile {
  u32 uid = 0, gid = 0, mode = 0;
};

/// What the guest may hold of a share.
struct ShareLimits {
  std::size_t fids = 131072;
  std::size_t open = 1024;         ///< fids that are open
  std::size_t xattrs = 64;         ///< of those, fids of extended attributes, of 64 KiB each
  std::size_t entries = 4u << 20;  ///< of folders that are open, whose places are remembered
  u32 message = 1u << 20;          ///< bytes of a message, at most; the guest may ask for less
  std::size_t named = 256;         ///< descriptors of files that are not open (NodeTree)

  /// Of one of so many shares (1 at least), which together have parts of the descriptors that this process may have, so
  /// that some are left for all else; that limit is raised as far as it may be.
  static ShareLimits of_process(std::size_t shares = 1);
};

class SharedFolder {
 public:
  static Result<std::shared_ptr<SharedFolder>> create(ShareOptions options,
                                                      ShareLimits limits = ShareLimits::of_process());

  const ShareOptions& options() const { return options_; }
  const ShareLimits& limits() const { return limits_; }
  NodeTree& tree() { return *tree_; }
  NodeRef root() { return tree_->root(); }
  NodeRef parent(const NodeRef& node) { return tree_->parent(node); }

  /// One name; an error unless it may be the guest's.
  int walk(const NodeRef& folder, std::string_view name, NodeRef& found);
  int stat(const File& file, struct stat& s);
  int qid(const struct stat& s, Qid& qid);
  /// With no more than an entry of a folder says.
  int qid_of(u64 device, u64 inode, u8 type, Qid& qid);
  int open(Node& node, int flags, Fd& opened);
  int create(const NodeRef& folder, std::string_view name, int flags, const NewFile& as, Fd& opened, NodeRef& node);
  int make_folder(const NodeRef& folder, std::string_view name, const NewFile& as, NodeRef& node);
  int make_symlink(const NodeRef& folder, std::string_view name, std::string_view target, const NewFile& as,
                   NodeRef& node);
  /// `as.mode` has the kind of the node.
  int make_special(const NodeRef& folder, std::string_view name, const NewFile& as, u32 major, u32 minor,
                   NodeRef& node);
  int link(const NodeRef& file, const NodeRef& folder, std::string_view name);
  int rename(const NodeRef& folder, std::string_view name, const NodeRef& new_folder, std::string_view new_name);
  int unlink(const NodeRef& folder, std::string_view name, bool is_folder);
  /// Whether the node's name still is that of the file, so that it can be removed or renamed by it.
  int check_name(const NodeRef& node);
  int read_link(Node& node, std::string& target);

  int set_mode(const File& file, u32 mode);
  int set_owner(const File& file, std::optional<u32> uid, std::optional<u32> gid);
  int set_size(const File& file, u64 size);
  int set_times(const File& file, const struct timespec (&times)[2]);
  int stat_file_system(Node& node, struct statfs& s);

  int read_xattr(const File& file, std::string_view name, std::vector<u8>& value);
  int list_xattrs(const File& file, std::vector<u8>& names);
  int write_xattr(const File& file, std::string_view name, const std::vector<u8>& value, int flags);
  int remove_xattr(const File& file, std::string_view name);

 private:
  SharedFolder(ShareOptions options, ShareLimits limits, std::unique_ptr<NodeTree> tree)
      : options_(std::move(options)), limits_(limits), tree_(std::move(tree)) {}
  int check_new_name(std::string_view name) const;
  int descriptor(const File& file);
  bool owns_as_root() const;
  u32 host_uid(u32 uid) const;
  u32 host_gid(u32 gid) const;
  Attributes attributes_of(const Node& node, int descriptor);
  int write_attributes(const NodeRef& node, int descriptor, const Attributes& attributes);
  int write_record(const NodeRef& node, const Attributes& attributes);
  std::shared_ptr<Attributes> said_of(int folder, const std::string& name);
  int finish_new(const NodeRef& folder, const std::string& name, int descriptor, const NewFile& as, u32 kind,
                 std::optional<u64> rdev, NodeRef& node);
  int give_away(int descriptor, const NewFile& as, u32 kind);
  int make_file(int folder, const std::string& name, int flags, u32 mode, Fd& opened);
  std::optional<std::string> xattr_name(std::string_view name) const;

  const ShareOptions options_;
  const ShareLimits limits_;
  std::unique_ptr<NodeTree> tree_;
  AttributeRecords records_{*tree_};
  /// Other file systems than the folder's own, and parts of them by the upper 16 bits of their inodes, numbered from 1.
  std::map<std::pair<u64, u64>, u64> devices_;
};

/// The most bytes of a name, and of an extended attribute.
inline constexpr std::size_t k_longest_name = 255, k_longest_xattr = 65536;

}  // namespace armvisor::devices::ninep
