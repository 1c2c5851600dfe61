#pragma once
// Split virtqueues (virtio 1.2 section 2.7) as the device sees them, over guest RAM.
//
// The rings belong to the guest, which may write anything at any time: every index, address and length is read once
// and checked before use, every walk is bounded, and what breaks the rules stops the queue with a named fault. A
// faulted queue yields nothing more until it is disabled and set up again; it is the device's duty to report
// DEVICE_NEEDS_RESET (2.1.2).
//
// Any thread may call any function: one mutex per queue, held for a few ring accesses only. Buffers that were taken
// stay accessible after the queue is disabled (guest RAM outlives the devices); a device stops its workers at reset.
#include <mutex>
#include <span>
#include <vector>

#include "base/types.h"
#include "memory/guest_ram.h"

namespace armvisor::devices::virtio {

// Feature bits that the queue and the transport deal with (virtio 1.2 section 6).
inline constexpr u64 k_feature_any_layout = u64{1} << 27;  // legacy interface only
inline constexpr u64 k_feature_indirect_desc = u64{1} << 28;
inline constexpr u64 k_feature_event_idx = u64{1} << 29;
inline constexpr u64 k_feature_version_1 = u64{1} << 32;

/// What a driver did wrong with a queue.
enum class QueueFault : u8 {
  None,
  SizeNotPowerOfTwo,      ///< or zero
  SizeTooLarge,           ///< more than QueueNumMax
  RingMisaligned,         ///< 2.7: descriptor table 16, available ring 2, used ring 4
  RingOutsideRam,         ///< some part of the three areas is not RAM
  AvailIndexRunsAway,     ///< more new entries than the queue has
  HeadOutOfRange,         ///< an available entry names no descriptor
  NextOutOfRange,         ///< a chain leaves its table
  ChainLoops,             ///< more descriptors than the table has
  ChainTooLong,           ///< more than k_max_segments buffers in all
  ChainTooLarge,          ///< more than 2^32 bytes (2.7.5.2)
  BufferOutsideRam,       ///< some byte of a buffer is not RAM
  BufferEmpty,            ///< a descriptor of length 0
  ReadableAfterWritable,  ///< 2.7.4.2
  IndirectNotNegotiated,  ///< INDIRECT without VIRTIO_F_INDIRECT_DESC
  IndirectNested,         ///< INDIRECT inside an indirect table (2.7.5.3.1)
  IndirectWithNext,       ///< INDIRECT and NEXT (2.7.5.3.1)
  IndirectBadLength,      ///< zero or not a multiple of 16
  IndirectOutsideRam,
  MalformedRequest,  ///< sound buffers that do not hold what the device type requires
};
const char* text(QueueFault fault);

/// A buffer inside guest RAM, as host memory.
struct Segment {
  GuestPa pa;
  u32 length = 0;
  u8* host = nullptr;
};

/// A request: the buffers of one descriptor chain, readable ones first. Kept by its user from one pop to the next so
/// that its memory is reused.
struct Chain {
  u16 head = 0;
  std::vector<Segment> readable;
  std::vector<Segment> writable;
  u64 readable_bytes = 0;
  u64 writable_bytes = 0;

  void clear();
  /// Copies from the readable buffers at `offset`; returns the number of bytes there were.
  std::size_t read(u64 offset, std::span<u8> out) const;
  /// Copies into the writable buffers at `offset`, marking them written; returns the number of bytes there was room
  /// for.
  std::size_t write(GuestRam& ram, u64 offset, std::span<const u8> in) const;
  /// Marks the first `bytes` of the writable buffers written: call after the data is there.
  void mark_written(GuestRam& ram, u64 bytes) const;
};

/// Where a driver put a queue.
struct QueueLayout {
  u32 size = 0;
  GuestPa descriptors;
  GuestPa available;  ///< "driver area"
  GuestPa used;       ///< "device area"
};

class Queue {
 public:
  static constexpr std::size_t k_max_segments = 1024;
  enum class Pop { Empty, Got, Faulted };

  Queue(GuestRam& ram, u16 max_size) : ram_(ram), max_size_(max_size) {}

  u16 max_size() const { return max_size_; }

  // The transport's side.
  QueueFault enable(const QueueLayout& layout);  ///< starts at index 0; on a fault the queue stays disabled
  void disable();
  bool enabled() const { return size() != 0; }
  void set_features(u64 negotiated);

  // The device's side.
  u16 size() const;  ///< that the driver chose; 0: not enabled
  /// Takes the next available chain.
  Pop pop(Chain& chain);
  /// Writes a used element without showing it to the driver; `publish` shows all of them.
  void stage(u16 head, u32 written);
  void publish();
  void push(u16 head, u32 written) {
    stage(head, written);
    publish();
  }
  /// Whether the driver wants an interrupt for what was published since the last call (2.7.7.2).
  bool take_interrupt();
  /// Asks the driver not to notify; only a hint.
  void disable_notifications();
  /// Asks for a notification at the next available buffer. True when there are buffers already: look again.
  bool enable_notifications();
  QueueFault fault() const;
  /// Stops the queue for a fault that the device type found.
  void set_fault(QueueFault fault);

 private:
  struct Descriptor;
  QueueFault check(const QueueLayout& layout) const;
  QueueFault walk(u16 head, Chain& chain) const;
  QueueFault walk_indirect(const Descriptor& table, Chain& chain) const;
  QueueFault add_segment(const Descriptor& d, Chain& chain) const;
  u16 available_index() const;

  GuestRam& ram_;
  const u16 max_size_;
  mutable std::mutex mutex_;
  QueueLayout layout_;
  u16 size_ = 0;  ///< 0: disabled
  bool indirect_ = false;
  bool event_idx_ = false;
  QueueFault fault_ = QueueFault::None;
  u8* descriptors_ = nullptr;
  u8* available_ = nullptr;
  u8* used_ = nullptr;
  u16 next_available_ = 0;
  u16 next_used_ = 0;       ///< staged
  u16 published_used_ = 0;  ///< what the driver sees
  u16 signalled_used_ = 0;  ///< published_used_ at the last take_interrupt
};

}  // namespace armvisor::devices::virtio
