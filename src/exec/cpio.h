#pragma once
// An archive as the kernel takes it for its initramfs (Linux Documentation/driver-api/early-userspace/
// buffer-format.rst, "newc"), made in memory.
#include <span>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace armvisor::exec {

class CpioArchive {
 public:
  /// A name is relative, without a slash in front; folders come before what is in them. Owner is root.
  void add_folder(std::string_view name, u32 permissions = 0755);
  void add_file(std::string_view name, std::span<const u8> bytes, u32 permissions = 0644);
  void add_device(std::string_view name, u32 permissions, u32 major, u32 minor);  ///< a character device
  /// Once.
  std::vector<u8> finish();

 private:
  struct Entry {
    u32 mode = 0, major = 0, minor = 0;
  };
  void add(std::string_view name, const Entry& entry, std::span<const u8> bytes);
  void pad();
  std::vector<u8> bytes_;
  u32 inode_ = 1;
};

}  // namespace armvisor::exec
