#pragma once
// The ids of a command line. Each kind of thing has names of its own, of QEMU's grammar, and each name is there once.
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/types.h"

namespace armvisor::qemu {

enum class IdKind : u8 {
  Block,  ///< of -drive, and node names of -blockdev
  Chardev,
  Device,
  Folder,  ///< of -fsdev and -virtfs
  Monitor,
  Network,  ///< of -netdev, -nic and -net
  Object,
};

/// A letter, then letters, digits, '-', '.' and '_'.
bool is_id(std::string_view text);

class Ids {
 public:
  /// Makes `id` that of one thing. False: it is another's.
  bool claim(IdKind kind, std::string_view id) { return taken_.emplace(kind, id).second; }
  bool has(IdKind kind, std::string_view id) const { return taken_.contains({kind, std::string(id)}); }

 private:
  std::set<std::pair<IdKind, std::string>> taken_;
};

}  // namespace armvisor::qemu
