#pragma once
// A disk whose writes are kept apart, in a temporary file that ends with the process; the disk below is only read.
//
// The file has no name, and as many bytes as the disk, of which only those that were written take space: at most the
// disk's size, in the file system of $TMPDIR, or of /var/tmp. A bit for each block of 4 KiB (64 KiB on disks of more
// than 1 TiB) says whether the block is in the file; so the bits have 32 MiB at most. A block is there only when all of
// it was written, so whatever fails leaves it as it was.
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/disk.h"

namespace armvisor::devices {

class DiskOverlay final : public DiskBackend {
 public:
  static constexpr u64 k_most_bytes = u64{16} << 40;  ///< of a disk that can have one

  /// `below` may be read-only.
  static Result<std::unique_ptr<DiskOverlay>> create(std::unique_ptr<DiskBackend> below);

  u64 size() const override { return below_->size(); }
  bool read_only() const override { return false; }
  std::string_view path() const override { return below_->path(); }
  bool parallel() const override { return below_->parallel(); }
  void transfer(std::span<DiskTransfer> all) override;
  int read(std::span<iovec> to, u64 offset) override;
  int write(std::span<iovec> from, u64 offset) override;
  bool read_at_once(std::span<const iovec> to, u64 offset) override;
  int flush() override { return 0; }  ///< nothing of it is to outlive the machine
  int discard(u64 offset, u64 size) override;
  int write_zeroes(u64 offset, u64 size, bool unmap) override;
  void machine_ends() override { below_->machine_ends(); }

 private:
  DiskOverlay(std::unique_ptr<DiskBackend> below, Fd file, u64 block);
  bool has(u64 block) const { return bits_[block / 64] >> (block % 64) & 1; }
  void set(u64 block) { bits_[block / 64] |= u64{1} << (block % 64); }
  bool all_below(const DiskTransfer& t) const;
  u64 same_run(u64 offset, u64 bytes) const;
  int read_file(std::span<iovec> to, u64 offset);
  int write_file(std::span<iovec> from, u64 offset);
  int write_part(std::span<const iovec> from, u64 offset, u64 bytes);
  int zero_blocks(u64 offset, u64 size);
  int zero_part(u64 offset, u64 size);

  const std::unique_ptr<DiskBackend> below_;
  const Fd file_;
  const u64 block_;        ///< bytes of a block
  std::vector<u64> bits_;  ///< a bit for each
  std::vector<iovec> part_;
  std::vector<DiskTransfer> below_reads_;
  std::vector<u8> whole_;  ///< a block, while a part of it is changed
  bool can_punch_ = true;
};

}  // namespace armvisor::devices
