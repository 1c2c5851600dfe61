#pragma once
// Starts virtiofsd, which serves a folder of the host to a guest: that of Debian 12 (in C, of QEMU), or its successor
// in Rust. It has nothing of ours but a socket, shuts itself in, and ends when the connection does.
#include "base/child_process.h"
#include "base/fd.h"
#include "devices/vhost_user/options.h"

namespace armvisor::devices::vhost_user {

struct Virtiofsd {
  std::string path;
  bool of_qemu = false;  ///< the one in C
};

/// Which there is.
Result<Virtiofsd> find_virtiofsd();

/// The ways to start it, the one that confines it most first. As another user than root the one in C is root of a user
/// namespace, where it has the user's rights to the host's files and no others.
Result<std::vector<std::vector<std::string>>> virtiofsd_lines(const Virtiofsd& program, const Options& options,
                                                              bool as_root);

struct Served {
  ChildProcess process;
  Fd socket;  ///< connected to it; whether it serves is to be asked
};
Result<Served> start_virtiofsd(const std::vector<std::string>& words);

}  // namespace armvisor::devices::vhost_user
