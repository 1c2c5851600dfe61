#pragma once
// Locks on disk images, in the form that QEMU's block layer uses (its block/file-posix.c), so that armvisor and QEMU
// keep each other's machines from an image as they keep their own.
//
// Byte 100 + k of the file says "somebody does k", byte 200 + k "somebody minds others doing k". Who opens an image
// takes read locks on the bytes of what it does and minds, then looks whether anybody minds the one or does the other.
// Both sides take before they look, so of two at once one sees the other.
#include <string>

#include "base/result.h"

namespace armvisor::devices {

/// Locks `fd` for a reader that minds writers, or for the only writer. The lock belongs to the open file: it ends with
/// the last descriptor of it. An error when somebody else's use excludes this one; `what` is the file's name in
/// messages. A file system without locks is no error: a warning says that nothing guards the image there.
Status lock_image(int fd, const std::string& what, bool read_only);

}  // namespace armvisor::devices
