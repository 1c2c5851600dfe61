#pragma once
// Owner, permissions and kind of files that the guest sees, where they are kept apart from the host's: in the formats
// of QEMU, so that a folder which was used with it goes on being what it was.
//
// mapped-xattr: extended attributes user.virtfs.uid, .gid and .mode (32 bits, little-endian) and .rdev (64 bits).
// mapped-file: a line "virtfs.uid=N" for each in .virtfs_metadata/NAME of the folder that the file is in; of the shared
// folder itself in .virtfs_metadata_root. Errors are those of errno, 0 for none.
#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/types.h"

namespace armvisor::devices::ninep {

class NodeTree;

/// What there is to be said; what is not set stays as it is.
struct Attributes {
  std::optional<u32> uid{}, gid{};
  std::optional<u32> mode{};  ///< with its kind
  std::optional<u64> rdev{};

  void apply_to(struct stat& s) const;
  void merge(const Attributes& newer);
};

/// Names of the host that hold records.
inline constexpr std::string_view k_metadata_folder = ".virtfs_metadata", k_metadata_of_root = ".virtfs_metadata_root";
/// Names that are not the guest's to use with mapped-file.
inline bool is_metadata_name(std::string_view name) { return name == k_metadata_folder || name == k_metadata_of_root; }

/// `path`: of calls without a descriptor (NodeTree::path_of).
Attributes read_attribute_xattrs(const std::string& path);
int write_attribute_xattrs(const std::string& path, const Attributes& attributes);

/// Records of mapped-file, of the file `name` in `folder`; of the folder itself if `name` is empty.
class AttributeRecords {
 public:
  explicit AttributeRecords(NodeTree& tree) : tree_(tree) {}
  Attributes read(int folder, const std::string& name);
  /// Changes what the record says.
  int write(int folder, const std::string& name, const Attributes& attributes);
  void remove(int folder, const std::string& name);
  /// Gives the record to another name, or to a second one.
  int rename(int folder, const std::string& name, int new_folder, const std::string& new_name);
  int link(int folder, const std::string& name, int new_folder, const std::string& new_name);
  /// Before a folder is removed: it is empty for the guest.
  static void remove_folder(int folder);

 private:
  int open_folder(int folder, bool make, Fd& found);
  NodeTree& tree_;
};

}  // namespace armvisor::devices::ninep
