#pragma once
// What file systems a disk has, and where: one from its beginning, or in partitions (GPT: UEFI 2.10, 5.3; MBR with
// logical partitions behind one another). Numbers of partitions are those that Linux gives them.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

struct FileSystemPlace {
  u32 partition = 0;      ///< 0: the whole disk
  u64 offset = 0;         ///< bytes
  std::string type{};     ///< as Linux names its module: "ext4"
  bool for_root = false;  ///< the partition is one for the root of a 32-bit ARM system (Discoverable Partitions)
};

/// Fills the bytes from the disk, or says that it cannot.
using ReadDisk = std::function<bool(u64 offset, std::span<u8> bytes)>;

constexpr u32 k_most_partitions = 128;

/// File systems that can be a system's, the likeliest first.
std::vector<FileSystemPlace> find_file_systems(const ReadDisk& read, u64 size);
/// Whether a file begins as a disk does, and not as an archive; of a raw one.
bool looks_like_disk(const ReadDisk& read, u64 size);

}  // namespace armvisor::exec
