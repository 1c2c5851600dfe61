#pragma once
// "armvisor cp": files into a running machine and out of it, as streams of tar that commands there read and write.
#include <string>

#include "base/result.h"
#include "exec/outcome.h"

namespace armvisor::exec {

/// One side of a copy.
struct CopyPlace {
  std::string machine;  ///< its name; empty: the host
  std::string path;     ///< of a machine absolute; "-" of the host: a stream of tar on standard input or output
};
/// NAME:PATH, or a path of the host: one that has a slash before its first colon, or no colon.
Result<CopyPlace> parse_copy_place(const std::string& text);

struct CopyRequest {
  CopyPlace source, destination;  ///< one of them is a machine's
  bool follow = false;            ///< symbolic links are what they lead to
  std::string user;               ///< who reads and writes in the guest; empty: root, or the image's
  u64 timeout_ms = 0;             ///< 0: none
  u64 most = u64{8} << 30;        ///< bytes that a guest may send
};

/// As docker cp has it: what is copied gets the destination's name, or goes into it if that is a folder; "FOLDER/." is
/// what a folder has in it. To be called as attach(), in a process with one thread. An error: nothing was copied.
Result<Outcome> copy(const CopyRequest& request);

}  // namespace armvisor::exec
