#pragma once
// How a folder of the host is shared with a guest, in the words of QEMU's -fsdev.
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices::ninep {

/// Where owner, permissions and kind of a file are, as the guest sees them.
enum class SecurityModel : u8 {
  None,         ///< the host's own; an owner that may not be given to a new file is not given, in silence
  Passthrough,  ///< the host's own
  MappedXattr,  ///< in extended attributes of the host's file, "user.virtfs.uid" and the like
  MappedFile,   ///< in files of the folder ".virtfs_metadata" beside it
};

/// What becomes of files on other file systems than the folder itself, whose inode numbers may be those of others.
enum class OtherDevices : u8 {
  Warn,    ///< they keep their numbers, and it is said once
  Remap,   ///< they have other numbers
  Forbid,  ///< they cannot be looked up
};

struct ShareOptions {
  std::string path{};  ///< of the folder
  std::string tag{};   ///< by which the guest mounts it
  SecurityModel model = SecurityModel::None;
  bool read_only = false;
  OtherDevices others = OtherDevices::Remap;
  bool write_out = false;  ///< what is written is on its way to the host's disk at once
  u32 file_mode = 0600;    ///< permissions on the host of new files, where the guest's are elsewhere
  u32 folder_mode = 0700;  ///< likewise of new folders
  /// The user and the group that this process runs as are the guest's root: what is theirs on the host is shown as
  /// root's, and what the guest gives to root becomes theirs. Not where the guest's owners are kept apart.
  bool own_is_root = false;
};

inline constexpr std::size_t k_longest_tag = 31;

/// Of "--share": HOST[:TAG][,ro]. Without a tag it is "share".
Result<ShareOptions> parse_share_option(std::string_view text);

/// A tag has 1 to k_longest_tag bytes.
Status check_tag(std::string_view tag);

/// Whether the guest's owner and permissions are kept apart from the host's.
constexpr bool is_mapped(SecurityModel m) { return m == SecurityModel::MappedXattr || m == SecurityModel::MappedFile; }
std::string_view name(SecurityModel model);

}  // namespace armvisor::devices::ninep
