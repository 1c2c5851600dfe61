#pragma once
// What engines and devices see of guest RAM: contiguous ranges of guest physical addresses backed by host memory, and
// the frame table with a byte of marks per 4 KiB frame.
#include <atomic>
#include <memory>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor {

/// Marks in the frame table. Set and cleared atomically; read racily by writers, see WriteWatch.
enum FrameMark : u8 {
  k_frame_code = 1,   ///< some engine holds blocks decoded from this frame
  k_frame_table = 2,  ///< a shadow entry was derived from a guest translation table in it
};

/// Told when a frame with k_frame_code or k_frame_table is written by something other than a vCPU's own TLB path (a
/// device's DMA, a loader): what was derived from [pa, pa + size), inside one frame, must go.
class WriteWatch {
 public:
  virtual void watched_written(GuestPa pa, u32 size) = 0;

 protected:
  ~WriteWatch() = default;
};

class GuestRam {
 public:
  /// RAM of `size` bytes (a multiple of 1 MiB) at `base`, from a memfd whose size nobody can change.
  static Result<GuestRam> create(GuestPa base, u64 size);

  GuestPa base() const { return base_; }
  u64 size() const { return size_; }
  int memfd() const { return fd_.get(); }
  bool contains(GuestPa pa, u64 size = 1) const {
    return pa.value >= base_.value && size <= size_ && pa.value - base_.value <= size_ - size;
  }
  /// Host address of a guest physical address inside RAM, for reading.
  u8* host(GuestPa pa) const { return map_.data() + (pa.value - base_.value); }
  std::atomic<u8>& marks(GuestPa pa) const { return marks_[(pa.value - base_.value) >> k_page_bits]; }

  // Access by devices and loaders (DMA). False when any byte lies outside RAM; then nothing is transferred. Writing
  // sets the dirty marks and tells the write watch.
  [[nodiscard]] bool read(GuestPa pa, std::span<u8> out) const;
  [[nodiscard]] bool write(GuestPa pa, std::span<const u8> in);
  [[nodiscard]] bool clear(GuestPa pa, u64 size);  ///< writes zeros
  /// Tells that [pa, pa+size) was, or is about to be, written through host(): for DMA straight into guest memory.
  void mark_written(GuestPa pa, u64 size);
  void set_write_watch(WriteWatch* watch) { watch_ = watch; }

 private:
  GuestRam() = default;
  Fd fd_;
  Mapping map_;
  GuestPa base_;
  u64 size_ = 0;
  std::unique_ptr<std::atomic<u8>[]> marks_;
  WriteWatch* watch_ = nullptr;
};

}  // namespace armvisor
