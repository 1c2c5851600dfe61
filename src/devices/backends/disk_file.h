#pragma once
// A disk in a raw image file or on a block device of the host.
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/disk.h"

namespace armvisor::devices {

struct DiskFileOptions {
  bool keep_raw = false;      ///< writes that would make the file look like an image of another format fail (EPERM)
  bool ignore_flush = false;  ///< what is written need not outlive the host
};

class DiskFile final : public DiskBackend {
 public:
  /// Opens and locks `path`: exclusively for writing, shared for reading, so that no two machines write one image. A
  /// size that is no multiple of 512 is rounded up; the missing bytes read as zeros.
  static Result<std::unique_ptr<DiskFile>> open(const std::string& path, bool read_only, DiskFileOptions options = {});
  ~DiskFile() override;

  u64 size() const override { return size_; }
  bool read_only() const override { return read_only_; }
  std::string_view path() const override { return path_; }
  int read(std::span<iovec> to, u64 offset) override;
  int write(std::span<iovec> from, u64 offset) override;
  bool read_at_once(std::span<const iovec> to, u64 offset) override;
  int flush() override;
  int discard(u64 offset, u64 size) override;
  int write_zeroes(u64 offset, u64 size, bool unmap) override;

 private:
  DiskFile(Fd fd, std::string path, u64 file_size, bool read_only, DiskFileOptions options);
  int write_zero_bytes(u64 offset, u64 size);

  Fd fd_;
  const std::string path_;
  const u64 file_size_;  ///< as found; what lies between it and size_ may be missing from the file
  const u64 size_;
  const bool read_only_;
  const DiskFileOptions options_;
  bool unflushed_ = false;
  bool can_discard_ = true;
};

}  // namespace armvisor::devices
