#include "exec/system.h"

#include <algorithm>

#include "devices/backends/disk_source.h"
#include "exec/disk_layout.h"
#include "exec/ext_folder.h"

namespace armvisor::exec {
namespace {

std::string device_of(u32 partition) {
  return partition ? "/dev/vda" + std::to_string(partition) : std::string("/dev/vda");
}

Result<System> open_folder(const SystemName& name) {
  AV_TRY_ASSIGN(Folder folder, Folder::open(name.path, "system"));
  return System{.path = name.path, .files = std::move(folder), .disk = std::nullopt};
}

Result<System> open_packed(const SystemName& name, const SystemOptions& options, Patience& patience) {
  if (options.write)
    return Error{ErrorKind::BadArguments, "--write: expected a folder or a disk, which can be written to, found " +
                                              name.path + "; unpack it, or leave the option out"};
  AV_TRY_ASSIGN(PackedSystem packed, open_packed_system(name, {.most = options.unpacked}, patience));
  AV_TRY_ASSIGN(Folder files, open_ext_folder(packed.image.get(), name.path));
  machine::DiskSpec disk;
  disk.path = "/proc/self/fd/" + std::to_string(packed.image.get());
  disk.read_only = true;
  disk.format = "raw";
  return System{.path = name.path,
                .files = std::move(files),
                .disk = std::move(disk),
                .file_systems = {{"/dev/vda", "ext4"}},
                .config = std::move(packed.config),
                .is_image = packed.is_image,
                .kept = std::move(packed.image)};
}

/// Of the partition that was named, or of all that may be a system's.
Result<std::vector<FileSystemPlace>> choose(std::vector<FileSystemPlace> places, const SystemOptions& options,
                                            const std::string& path) {
  if (options.partition)
    std::erase_if(places, [&](const FileSystemPlace& p) { return p.partition != *options.partition; });
  if (!places.empty()) return places;
  const std::string where = options.partition ? " in partition " + std::to_string(*options.partition) : "";
  return Error{ErrorKind::BadInput, path + ": expected a file system of Linux" + where +
                                        " (ext2 to ext4, XFS, Btrfs, F2FS, squashfs or EROFS), found none; name the "
                                        "right disk, or another --partition"};
}

Result<System> open_disk(const SystemName& name, const SystemOptions& options) {
  System system{.path = name.path, .files = std::nullopt, .disk = machine::DiskSpec()};
  system.disk->path = name.path;
  system.disk->format = "auto";
  devices::DiskSource look = *system.disk;
  look.read_only = true;
  // Without --write the guest has the disk below a temporary file: what it mounts read-only it may still have to mend
  // first, from a journal.
  system.disk->snapshot = !options.write;
  AV_TRY_ASSIGN(std::shared_ptr<devices::DiskBackend> disk, devices::open_disk(look, nullptr));
  const ReadDisk read = [&disk](u64 offset, std::span<u8> bytes) {
    iovec to = {bytes.data(), bytes.size()};
    return disk->read({&to, 1}, offset) == 0;
  };
  AV_TRY_ASSIGN(const auto places, choose(find_file_systems(read, disk->size()), options, name.path));
  for (const FileSystemPlace& p : places) {
    system.file_systems.push_back({device_of(p.partition), p.type});
    if (system.files || p.type != "ext4") continue;
    auto files = open_ext_folder(disk, p.offset, name.path);
    if (files && is_system(*files)) system.files = *std::move(files);
  }
  return system;
}

}  // namespace

Result<System> open_system(const SystemOptions& options, Patience& patience) {
  AV_TRY_ASSIGN(const SystemName name, find_system(options.name));
  switch (name.kind) {
    case SystemName::Kind::Folder: return open_folder(name);
    case SystemName::Kind::Disk: return open_disk(name, options);
    default: return open_packed(name, options, patience);
  }
}

}  // namespace armvisor::exec
