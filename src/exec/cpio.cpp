#include "exec/cpio.h"

#include <fmt/core.h>
#include <sys/stat.h>

namespace armvisor::exec {

void CpioArchive::pad() {
  while (bytes_.size() % 4) bytes_.push_back(0);
}

void CpioArchive::add(std::string_view name, const Entry& e, std::span<const u8> bytes) {
  // magic ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize chksum
  const std::string head =
      fmt::format("070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}", inode_++,
                  e.mode, 0, 0, 1, 0, bytes.size(), 0, 0, e.major, e.minor, name.size() + 1, 0);
  bytes_.insert(bytes_.end(), head.begin(), head.end());
  bytes_.insert(bytes_.end(), name.begin(), name.end());
  bytes_.push_back(0);
  pad();
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  pad();
}

void CpioArchive::add_folder(std::string_view name, u32 permissions) { add(name, {.mode = S_IFDIR | permissions}, {}); }

void CpioArchive::add_file(std::string_view name, std::span<const u8> bytes, u32 permissions) {
  add(name, {.mode = S_IFREG | permissions}, bytes);
}

void CpioArchive::add_device(std::string_view name, u32 permissions, u32 major, u32 minor) {
  add(name, {.mode = S_IFCHR | permissions, .major = major, .minor = minor}, {});
}

std::vector<u8> CpioArchive::finish() {
  add("TRAILER!!!", {}, {});
  return std::move(bytes_);
}

}  // namespace armvisor::exec
