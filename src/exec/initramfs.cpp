#include "exec/initramfs.h"

#include <fmt/core.h>

#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "exec/cpio.h"
#include "exec/protocol.h"

namespace armvisor::exec {
namespace {

constexpr const char *k_lower = "/system", *k_root = "/root";
constexpr u64 k_most_modules = u64{256} << 20;  ///< bytes, of all together

Error bad(std::string message) { return {ErrorKind::BadInput, std::move(message)}; }

/// /setup: steps of words, each ended by a zero, an empty word at the end of each step and of the list.
class SetupList {
 public:
  void add(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) {
      bytes_.insert(bytes_.end(), word.begin(), word.end());
      bytes_.push_back(0);
    }
    bytes_.push_back(0);
  }
  Result<std::vector<u8>> finish() {
    bytes_.push_back(0);
    if (bytes_.size() > AV_SETUP_MOST)
      return bad(
          fmt::format("exec: expected a list of at most {} bytes for the guest, found {}; share fewer folders, or "
                      "at shorter paths",
                      AV_SETUP_MOST, bytes_.size()));
    return std::move(bytes_);
  }

 private:
  std::vector<u8> bytes_;
};

/// Modules go into the archive, and a step that loads each goes into the list.
class Loader {
 public:
  Loader(const Kernel& kernel, CpioArchive& archive, SetupList& list)
      : kernel_(kernel), archive_(archive), list_(list) {}

  Status load_if_there(std::string_view name) {
    return kernel_.modules && kernel_.modules->list().has(name) ? load({name}) : Status();
  }

  Status load(std::initializer_list<std::string_view> names) {
    if (!kernel_.modules) return {};
    for (const std::string_view name : names)
      if (!kernel_.modules->list().add(name, order_))
        return bad("modules " + kernel_.modules->path() + ": expected the module " + std::string(name) +
                   " or that it is built in, found neither; give a kernel that has it");
    if (order_.size() > ModuleList::k_most) return too_many(fmt::format("{} modules", ModuleList::k_most));
    for (; loaded_ < order_.size(); ++loaded_) {
      AV_TRY_ASSIGN(const std::vector<u8> bytes, kernel_.modules->read(order_[loaded_]));
      if ((bytes_ += bytes.size()) > k_most_modules) return too_many(fmt::format("{} bytes", k_most_modules));
      const std::string file = "modules/" + module_name(order_[loaded_]) + ".ko";
      archive_.add_file(file, bytes);
      list_.add({"module", "/" + file});
    }
    return {};
  }

 private:
  Error too_many(const std::string& most) const {
    return bad("modules " + kernel_.modules->path() + ": expected at most " + most +
               " to be loaded, found more; check modules.dep, or give another kernel");
  }

  const Kernel& kernel_;
  CpioArchive& archive_;
  SetupList& list_;
  std::vector<std::string> order_;
  std::size_t loaded_ = 0;
  u64 bytes_ = 0;
};

/// What is mounted on the root of all is below the system for everybody.
Status check_path(const std::string& guest) {
  if (guest.size() >= AV_PATH_MOST)
    return bad(
        fmt::format("exec: expected a folder in the guest with a path of less than {} bytes, found {}; shorten it",
                    AV_PATH_MOST, guest.size()));
  std::string normal = std::filesystem::path(guest).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  if (normal == "/proc" || normal == "/sys" || normal == "/dev" || normal.starts_with("/proc/") ||
      normal.starts_with("/sys/"))
    return bad("exec: expected a shared folder where the guest's kernel has none of its own, found '" + guest +
               "'; give --share HOST:GUEST another path");
  if (normal == "/")
    return bad("exec: expected a shared folder at a path below / in the guest, found '" + guest +
               "', where the system is; give --share HOST:GUEST another path, or go to another folder");
  return {};
}

/// The system's folder as it is, or below what is written, becomes the root; then come the others.
Status add_mounts(const GuestSetup& setup, SetupList& list) {
  const char* const where = setup.write ? k_root : k_lower;
  const char* const access = setup.write ? "rw" : "ro";
  for (const GuestDisk& disk : setup.disks)
    list.add({"disk", disk.device, where, disk.type, access, setup.disks.size() > 1 ? "if-system" : "as-it-is"});
  if (!setup.disks.empty())
    list.add({"have-disk"});
  else
    list.add({"share", k_system_tag, where, access, setup.write ? "mmap" : "loose"});
  if (!setup.write) list.add({"overlay", k_lower, k_root});
  // Where links of the system mean what they mean there.
  list.add({"enter", k_root});
  for (const GuestShare& share : setup.shares) {
    AV_TRY(check_path(share.guest));
    list.add({"share", share.tag, share.guest, share.read_only ? "ro" : "rw", "mmap"});
  }
  return {};
}

/// ext4 asks for checksums by name, whether it has some or not, so modules.dep does not say it.
Status load_for_disk(const GuestDisk& disk, Loader& loader) {
  if (disk.type == "ext4") AV_TRY(loader.load_if_there("crc32c_generic"));
  return loader.load({"virtio_blk", disk.type});
}

}  // namespace

Result<std::vector<u8>> make_initramfs(const GuestSetup& setup, const Kernel& kernel) {
  CpioArchive archive;
  SetupList list;
  archive.add_folder("dev");
  archive.add_device("dev/console", 0600, 5, 1);
  archive.add_folder("modules");
  archive.add_file("init", agent_image(), 0755);
  Loader loader(kernel, archive, list);
  AV_TRY(loader.load({"virtio_mmio", "virtio_console"}));
  list.add({"channel"});
  for (const GuestDisk& disk : setup.disks) AV_TRY(load_for_disk(disk, loader));
  if (setup.has_folders()) AV_TRY(loader.load({"9pnet_virtio", "9p"}));
  if (!setup.write) AV_TRY(loader.load({"overlay"}));
  if (setup.user_network) AV_TRY(loader.load({"virtio_net"}));
  AV_TRY(add_mounts(setup, list));
  list.add({"hostname", "armvisor"});
  if (setup.sessions) list.add({"sessions"});
  list.add({"network", setup.user_network ? "user" : "none"});
  AV_TRY_ASSIGN(const std::vector<u8> steps, list.finish());
  archive.add_file("setup", steps);
  return archive.finish();
}

}  // namespace armvisor::exec
