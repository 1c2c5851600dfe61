#pragma once
// A folder that is open for reading. Its entries are numbered as they come, and these are the offsets that the guest
// sees: small ones, where the host's may have 63 bits, which a program with offsets of 32 bits cannot take. An offset
// goes on meaning what it meant, whatever is made and removed meanwhile, until the folder is read from its beginning
// again.
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/types.h"

namespace armvisor::devices::ninep {

/// What folders of a device remember together.
struct EntryBudget {
  std::size_t left;  ///< entries
};

class OpenFolder {
 public:
  struct Entry {
    u64 inode;
    u64 offset;  ///< behind it
    u8 type;     ///< DT_REG and the like
    std::string_view name;
  };

  OpenFolder(Fd folder, EntryBudget& budget) : folder_(std::move(folder)), budget_(budget) {}
  ~OpenFolder() { forget(); }
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;

  const Fd& fd() const { return folder_; }

  /// Calls take(entry) for entries from `offset` on, until it returns false: then that entry is the next one again. An
  /// error of errno; EINVAL for an offset that no entry had, or that is not remembered any more.
  template <class Take>
  int read(u64 offset, std::vector<u8>& buffer, Take take) {
    if (const int error = seek(offset)) return error;
    for (;;) {
      std::size_t bytes = 0;
      if (const int error = fill(buffer, bytes)) return error;
      if (bytes == 0) return 0;
      for (std::size_t at = 0; at < bytes;) {
        u64 next = 0;
        std::size_t size = 0;
        Entry entry = parse(&buffer[at], next, size);
        entry.offset = entry_ + 1;
        if (!take(entry)) return seek_host(place_);
        passed(next);
        at += size;
      }
    }
  }

 private:
  int seek(u64 offset);
  int seek_host(u64 place);
  int fill(std::vector<u8>& buffer, std::size_t& bytes);
  static Entry parse(const u8* at, u64& next, std::size_t& size);
  void passed(u64 next);
  void forget();

  const Fd folder_;
  EntryBudget& budget_;
  u64 entry_ = 0, place_ = 0;  ///< the next one, by our number and by the host's
  std::vector<u64> places_;    ///< behind entry 0, 1...: those that are remembered
};

}  // namespace armvisor::devices::ninep
