#pragma once
// Files of an ext4 file system, read by libext2fs: in a file of ours (ext_image.h), or on a disk of the user's.
#include <memory>

#include "devices/backends/disk.h"
#include "exec/folder.h"

namespace armvisor::exec {

/// Its root. The file is only needed while this is called; `path` is for messages.
Result<Folder> open_ext_folder(int file, const std::string& path);
/// Likewise, of one that begins at an offset of a disk, which is only read.
Result<Folder> open_ext_folder(std::shared_ptr<devices::DiskBackend> disk, u64 offset, const std::string& path);

}  // namespace armvisor::exec
