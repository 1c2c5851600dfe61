#pragma once
// Files of the host as a stream of tar, and such a stream as files: what "armvisor cp" passes to the guest and takes
// from it.
#include <string>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

/// Writes what is at `path` (without a slash at its end) to `fd` as "./NAME" and, of a folder, what is below it: in
/// GNU's format, which any tar reads. Owners are root. An error: the stream has no end. `follow`: symbolic links are
/// what they lead to; else they are links.
Status write_tar(const std::string& path, const std::string& name, bool follow, int fd);

struct TarBounds {
  u64 bytes = 0;  ///< of all files, and a name for each k_bytes_of_a_name of them
  static constexpr u64 k_bytes_of_a_name = 8192;
};

/// Makes files of what a guest sends: "FROM" or "FROM/..." becomes `to` in `folder`, and whatever else there is is an
/// error. Nothing is written outside of that, whatever names and links the stream has or are there: no symbolic link
/// is followed. Regular files, folders, symbolic links and FIFOs are made, with their modes, but for set-user-ID and
/// set-group-ID, and times; devices and sockets are an error. Changes the working folder: for a process of its own.
Status read_tar(int fd, const std::string& folder, const std::string& from, const std::string& to,
                const TarBounds& bounds);

}  // namespace armvisor::exec
