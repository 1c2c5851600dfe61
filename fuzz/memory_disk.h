#pragma once
// A disk in memory; who has it must never ask for what lies outside it.
#include <cstring>
#include <vector>

#include "devices/backends/disk.h"
#include "input.h"

namespace armvisor::fuzz {

class MemoryDisk final : public devices::DiskBackend {
 public:
  explicit MemoryDisk(bool read_only) : read_only_(read_only) {}
  u64 size() const override { return bytes_.size(); }
  bool read_only() const override { return read_only_; }
  std::string_view path() const override { return "memory"; }
  int read(std::span<iovec> to, u64 offset) override { return move(to, offset, false); }
  int write(std::span<iovec> from, u64 offset) override { return move(from, offset, true); }
  int flush() override { return 0; }
  int discard(u64 offset, u64 size) override { return check(offset, size); }
  int write_zeroes(u64 offset, u64 size, bool) override { return check(offset, size); }

 private:
  int check(u64 offset, u64 size) {
    if (offset > bytes_.size() || size > bytes_.size() - offset) fail("an access outside the disk");
    return 0;
  }
  int move(std::span<iovec> v, u64 offset, bool to_disk) {
    if (to_disk && read_only_) fail("a write to a read-only disk");
    for (const iovec& part : v) {
      check(offset, part.iov_len);
      if (to_disk)
        std::memcpy(&bytes_[offset], part.iov_base, part.iov_len);
      else
        std::memcpy(part.iov_base, bytes_.data() + offset, part.iov_len);
      offset += part.iov_len;
    }
    return 0;
  }
  std::vector<u8> bytes_ = std::vector<u8>(64 * 512);
  const bool read_only_;
};

}  // namespace armvisor::fuzz
