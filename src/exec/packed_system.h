#pragma once
// A system that is not a folder but an archive of one, or an image of containers: once it is turned into a file system
// (ext_image.h) in the user's cache, from where each start has it (cache_folder.h, "systems").
//
// Whoever made the archive may be anybody: nothing of it becomes a file of the host's, what is unpacked has a bound,
// and names lead nowhere outside.
#include <string>

#include "base/fd.h"
#include "exec/folder.h"
#include "exec/oci.h"

namespace armvisor::exec {

/// What the user names: [oci:|oci-archive:|docker-archive:|tar:|disk:]PATH, with :TAG behind images.
struct SystemName {
  enum class Kind : u8 {
    Folder,
    Archive,    ///< a tar of a system
    Images,     ///< a folder with an OCI layout
    ImagesTar,  ///< a tar of one, or what `docker save` writes
    Disk        ///< an image of a disk, raw or in one of QEMU's formats
  };
  Kind kind = Kind::Folder;
  std::string path{}, tag{};
  bool said = false;  ///< the kind is the user's word, not found out
};
Result<SystemName> find_system(const std::string& text);

struct PackedSystem {
  Fd image;            ///< ext4, then what else is kept
  ImageConfig config;  ///< of an image
  bool is_image = false;
};

struct PackedOptions {
  static constexpr u64 k_default = u64{8} << 30;
  u64 most = k_default;  ///< bytes of the file system
};

Result<PackedSystem> open_packed_system(const SystemName& name, const PackedOptions& options, Patience& patience);

}  // namespace armvisor::exec
