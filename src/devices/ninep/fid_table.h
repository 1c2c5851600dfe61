#pragma once
// What the guest's numbers (fids) stand for: a file by name, which may be open, or an extended attribute of one.
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "devices/ninep/node_tree.h"
#include "devices/ninep/open_folder.h"
#include "devices/ninep/shared_folder.h"

namespace armvisor::devices::ninep {

/// An extended attribute, or the list of their names, that is read or written in parts.
struct OpenXattr {
  std::string name;
  std::vector<u8> value;
  bool writes = false;
  u32 flags = 0;  ///< of setxattr(2)
  u64 size = 0;   ///< that is to be written
};

struct Fid {
  NodeRef node;
  u32 uid = 0;  ///< of who attached
  Fd file;      ///< a regular file that is open
  std::unique_ptr<OpenFolder> folder;
  std::unique_ptr<OpenXattr> xattr;

  bool is_open() const { return file || folder || xattr; }
  /// For what goes by the descriptor that was opened, if there is one.
  File as_file() const { return {node, folder ? &folder->fd() : &file}; }
};

class FidTable {
 public:
  explicit FidTable(std::size_t most) : most_(most) {}

  /// null: it stands for nothing.
  Fid* find(u32 number) {
    const auto at = fids_.find(number);
    return at == fids_.end() ? nullptr : &at->second;
  }
  /// A new one. null, with `error` set: the number is in use, or there are too many.
  Fid* add(u32 number, int& error) {
    error = fids_.contains(number) ? EINVAL : fids_.size() >= most_ ? EMFILE : 0;
    return error ? nullptr : &fids_[number];
  }
  void remove(u32 number) { fids_.erase(number); }
  void clear() { fids_.clear(); }
  std::size_t size() const { return fids_.size(); }

 private:
  const std::size_t most_;
  std::unordered_map<u32, Fid> fids_;
};

}  // namespace armvisor::devices::ninep
