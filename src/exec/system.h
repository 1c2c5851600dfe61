#pragma once
// The system that a command runs in, whatever it comes as: how the guest gets at it, and where its files are seen from
// here, which is only needed until its kernel is found.
#include <optional>
#include <string>
#include <vector>

#include "exec/folder.h"
#include "exec/initramfs.h"
#include "exec/packed_system.h"
#include "machine/device_spec.h"

namespace armvisor::exec {

struct SystemOptions {
  std::string name;  ///< as find_system() has it
  bool write = false;
  u64 unpacked = PackedOptions::k_default;
  std::optional<u32> partition;  ///< of a disk; 0: the whole disk
};

struct System {
  std::string path;                       ///< for messages; of a folder, which is shared
  std::optional<Folder> files;            ///< nothing: they cannot be seen from here
  std::optional<machine::DiskSpec> disk;  ///< nothing: it is a folder
  std::vector<GuestDisk> file_systems{};  ///< on the disk, one of which is the system
  ImageConfig config{};                   ///< of an image
  bool is_image = false;
  Fd kept{};  ///< the disk's file, where it has no name
};

Result<System> open_system(const SystemOptions& options, Patience& patience);

}  // namespace armvisor::exec
