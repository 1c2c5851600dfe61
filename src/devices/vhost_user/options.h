#pragma once
// A device whose work a program on the host does (vhost-user), as options say it.
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices::vhost_user {

enum class Kind : u8 {
  FileSystem,  ///< virtio-fs, by virtiofsd and others
  Disk,        ///< virtio-blk, by qemu-storage-daemon and others
};

/// How virtiofsd shuts itself in.
enum class Sandbox : u8 {
  Namespace,  ///< in namespaces of its own, where there is the folder and nothing else
  Chroot,     ///< with the folder as its root
  None,       ///< by filters of system calls alone; virtiofsd before 1.0 has no such mode
};
std::string_view name(Sandbox sandbox);
std::optional<Sandbox> find_sandbox(std::string_view name);

struct Options {
  Kind kind = Kind::FileSystem;
  /// The Unix socket of a program that runs. Empty: virtiofsd is started, for the folder.
  std::string socket{};
  std::string folder{};
  std::optional<Sandbox> sandbox{};  ///< nothing: the first that the host allows
  bool read_only = false;            ///< of what is started
  std::string tag{};                 ///< of a file system
  u16 queue_size = 1024;             ///< of its queues, a power of two
  int patience_ms = 10000;           ///< what a conversation with it may take: to connect, begin or end

  /// For messages.
  std::string text() const { return socket.empty() ? "virtiofsd for " + folder : "the program at " + socket; }
};

inline constexpr std::size_t k_longest_tag = 36;
Status check_tag(std::string_view tag);

}  // namespace armvisor::devices::vhost_user
