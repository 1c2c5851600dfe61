#pragma once
// Files of an ext4 file system in a file of ours (ext_image.h), read by libext2fs.
#include "exec/folder.h"

namespace armvisor::exec {

/// Its root. The file is only needed while this is called; `path` is for messages.
Result<Folder> open_ext_folder(int file, const std::string& path);

}  // namespace armvisor::exec
