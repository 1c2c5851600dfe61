#pragma once
// Where a disk's bytes are. Results are errno values, 0 for success. Called by one thread at a time, but for
// machine_ends.
#include <sys/uio.h>

#include <span>
#include <string_view>

#include "base/types.h"

namespace armvisor::devices {

/// A transfer between the disk and buffers, which may be changed.
struct DiskTransfer {
  bool write = false;
  std::span<iovec> data;
  u64 offset = 0;
  int error = 0;  ///< set when it is done
};

class DiskBackend {
 public:
  virtual ~DiskBackend() = default;
  virtual u64 size() const = 0;  ///< bytes; a multiple of 512
  virtual bool read_only() const = 0;
  virtual std::string_view path() const = 0;  ///< for messages
  /// Transfer everything or fail. The vectors may be changed.
  virtual int read(std::span<iovec> to, u64 offset) = 0;
  virtual int write(std::span<iovec> from, u64 offset) = 0;
  /// Whether transfers that are given together take less time than one after another.
  virtual bool parallel() const { return false; }
  /// Does all of them, in any order.
  virtual void transfer(std::span<DiskTransfer> all) {
    for (DiskTransfer& t : all) t.error = t.write ? write(t.data, t.offset) : read(t.data, t.offset);
  }
  /// Reads everything if that needs no waiting; otherwise false, and what is in `to` is of no use.
  virtual bool read_at_once(std::span<const iovec> to, u64 offset) {
    (void)to;
    (void)offset;
    return false;
  }
  virtual int flush() = 0;  ///< what was written is on stable storage
  /// The range may lose its contents.
  virtual int discard(u64 offset, u64 size) = 0;
  /// The range reads as zeros; `unmap`: and need not be allocated.
  virtual int write_zeroes(u64 offset, u64 size, bool unmap) = 0;
  /// (any thread) The machine is about to end: nobody is waited for without end from now on.
  virtual void machine_ends() {}
};

}  // namespace armvisor::devices
