#pragma once
// What the guest starts with, made in memory: the agent as /init, the modules that it loads, and /setup, which says
// what it does with them (guest/agent/setup.c).
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "exec/kernel.h"

namespace armvisor::exec {

/// A folder of the host's that the guest mounts.
struct GuestShare {
  std::string tag;
  std::string guest;  ///< an absolute path, of less than AV_PATH_MOST bytes, and not that of the root
  bool read_only = false;
};

/// A file system on a disk.
struct GuestDisk {
  std::string device;  ///< "/dev/vda"
  std::string type;    ///< "ext4"
};

struct GuestSetup {
  bool write = false;  ///< the system's folder is written to; else what is written is lost
  /// On which the system is: the first that has one. Empty: it is a folder, whose tag is k_system_tag.
  std::vector<GuestDisk> disks{};
  std::vector<GuestShare> shares{};  ///< beside it
  bool user_network = false;
  bool sessions = false;  ///< the agent serves more commands, by ports of their own
  bool has_folders() const { return disks.empty() || !shares.empty(); }
};
inline constexpr const char* k_system_tag = "system";

/// All modules that one may load, by the name that modprobe has for them.
inline constexpr const char* k_loaded_modules[] = {"virtio_mmio", "virtio_console", "9pnet_virtio",   "9p",   "overlay",
                                                   "virtio_net",  "virtio_blk",     "crc32c_generic", "ext4", "xfs",
                                                   "btrfs",       "squashfs",       "erofs",          "f2fs"};

/// The agent, an ELF file.
std::span<const u8> agent_image();

Result<std::vector<u8>> make_initramfs(const GuestSetup& setup, const Kernel& kernel);

}  // namespace armvisor::exec
