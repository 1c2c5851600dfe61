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

/// Who starts it.
struct Starter {
  bool root = false;
  bool groups = false;  ///< it has supplementary groups
  static Starter ours();
};

/// A way to start it.
struct Launch {
  std::vector<std::string> words{};
  ChildProcess::Privileges privileges = ChildProcess::Privileges::Ours;
  std::string_view advice{};  ///< when it does not work
};

/// The ways to start it, the one that confines it most first. As another user than root the one in C is root of a user
/// namespace, where it has the user's rights to the host's files and no others. It gives up supplementary groups, which
/// the kernel allows in a namespace only if a privileged program (newgidmap) has made its maps.
Result<std::vector<Launch>> virtiofsd_launches(const Virtiofsd& program, const Options& options, Starter starter);

struct Served {
  ChildProcess process;
  Fd socket;  ///< connected to it; whether it serves is to be asked
};
Result<Served> start_virtiofsd(const Launch& launch);

}  // namespace armvisor::devices::vhost_user
