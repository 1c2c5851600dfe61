#pragma once
// An ext4 file system made in a file by libext2fs: inodes first, in any order, each with what is in it; at the end the
// folders that name them. It has neither a journal nor checksums: it is only read.
//
// Bytes of an archive that is somebody else's end in it, never its structure: this is the only writer.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

struct Attributes {
  u32 mode = 0;  ///< type and permissions
  u32 uid = 0, gid = 0;
  s64 mtime = 0;             ///< seconds
  u32 major = 0, minor = 0;  ///< of a device
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

class ExtImage {
 public:
  static constexpr u32 k_block = 4096, k_root = 2;
  static constexpr u64 k_bytes_for_inode = 8192;  ///< of the whole, for each inode that there is
  static constexpr u64 k_least = u64{16} << 20, k_most = u64{4} << 40;

  /// In an empty file of `bytes`, a multiple of k_block. `what` is for messages.
  static Result<ExtImage> create(int file, u64 bytes, std::string what);
  ExtImage(ExtImage&&) noexcept;
  ~ExtImage();

  /// A new inode, with its number.
  Result<u32> add(const Attributes& attributes);
  /// Of an inode that is there; its type stays.
  Status change(u32 inode, const Attributes& attributes);
  Status set_link(u32 inode, std::string_view target);
  Status set_xattr(u32 inode, const std::string& name, std::span<const u8> value);

  /// The bytes of a file, one file at a time: begin, write at rising offsets, end.
  Status begin_file(u32 inode, u64 size, bool sparse);
  Status write(u64 offset, std::span<const u8> bytes);
  Status end_file(u64 size);
  Result<u64> file_size(u32 inode) const;
  /// Nothing names it any more: what it has is free.
  Status remove(u32 inode, bool folder);

  struct Name {
    std::string_view name;
    u32 inode = 0;
    u32 mode = 0;
  };
  /// What a folder holds.
  Status write_folder(u32 inode, u32 parent, std::span<const Name> names);
  Status set_links(u32 inode, u32 count);
  /// When all is written.
  Status finish();
  u32 inodes() const;  ///< how many there may be

 private:
  struct State;
  explicit ExtImage(std::unique_ptr<State> state);
  Error failed(long error) const;
  std::unique_ptr<State> s_;
};

}  // namespace armvisor::exec
