#include "devices/virtio/queue.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "memory/fence.h"

namespace armvisor::devices::virtio {
namespace {

static_assert(std::endian::native == std::endian::little, "rings are little-endian and read in place");

constexpr u16 k_desc_next = 1;
constexpr u16 k_desc_write = 2;
constexpr u16 k_desc_indirect = 4;
constexpr u16 k_avail_no_interrupt = 1;
constexpr u16 k_used_no_notify = 1;

constexpr u32 k_desc_bytes = 16;
constexpr u32 k_index_offset = 2;  // of idx in both rings
constexpr u32 k_ring_offset = 4;   // of the first element in both rings
constexpr u32 k_used_elem_bytes = 8;

u16 load16(const u8* p, int order) {
  const auto* q = reinterpret_cast<const u16*>(p);
  return order == __ATOMIC_ACQUIRE ? __atomic_load_n(q, __ATOMIC_ACQUIRE) : __atomic_load_n(q, __ATOMIC_RELAXED);
}
void store16(u8* p, u16 value, int order) {
  auto* q = reinterpret_cast<u16*>(p);
  if (order == __ATOMIC_RELEASE)
    __atomic_store_n(q, value, __ATOMIC_RELEASE);
  else
    __atomic_store_n(q, value, __ATOMIC_RELAXED);
}

}  // namespace

const char* text(QueueFault fault) {
  switch (fault) {
    case QueueFault::None: return "no fault";
    case QueueFault::SizeNotPowerOfTwo: return "the queue size is not a power of two";
    case QueueFault::SizeTooLarge: return "the queue size is larger than the maximum";
    case QueueFault::RingMisaligned: return "a ring is misaligned";
    case QueueFault::RingOutsideRam: return "a ring lies outside RAM";
    case QueueFault::AvailIndexRunsAway: return "the available index ran ahead by more than the queue size";
    case QueueFault::HeadOutOfRange: return "an available entry names no descriptor";
    case QueueFault::NextOutOfRange: return "a descriptor chain leaves its table";
    case QueueFault::ChainLoops: return "a descriptor chain loops";
    case QueueFault::ChainTooLong: return "a descriptor chain has too many buffers";
    case QueueFault::ChainTooLarge: return "a descriptor chain holds more than 4 GiB";
    case QueueFault::BufferOutsideRam: return "a buffer lies outside RAM";
    case QueueFault::BufferEmpty: return "a buffer has length 0";
    case QueueFault::ReadableAfterWritable: return "a readable buffer follows a writable one";
    case QueueFault::IndirectNotNegotiated: return "an indirect descriptor without the feature";
    case QueueFault::IndirectNested: return "an indirect descriptor inside an indirect table";
    case QueueFault::IndirectWithNext: return "an indirect descriptor with a successor";
    case QueueFault::IndirectBadLength: return "an indirect table's length is not a positive multiple of 16";
    case QueueFault::IndirectOutsideRam: return "an indirect table lies outside RAM";
    case QueueFault::MalformedRequest: return "a request lacks its header or status";
  }
  return "unknown fault";
}

void Chain::clear() {
  readable.clear();
  writable.clear();
  readable_bytes = 0;
  writable_bytes = 0;
}

std::size_t Chain::read(u64 offset, std::span<u8> out) const {
  std::size_t done = 0;
  for (const Segment& s : readable) {
    if (done == out.size()) break;
    if (offset >= s.length) {
      offset -= s.length;
      continue;
    }
    const std::size_t n = std::min<std::size_t>(s.length - offset, out.size() - done);
    std::memcpy(out.data() + done, s.host + offset, n);
    done += n;
    offset = 0;
  }
  return done;
}

std::size_t Chain::write(GuestRam& ram, u64 offset, std::span<const u8> in) const {
  std::size_t done = 0;
  for (const Segment& s : writable) {
    if (done == in.size()) break;
    if (offset >= s.length) {
      offset -= s.length;
      continue;
    }
    const std::size_t n = std::min<std::size_t>(s.length - offset, in.size() - done);
    std::memcpy(s.host + offset, in.data() + done, n);
    ram.mark_written(s.pa + offset, n);
    done += n;
    offset = 0;
  }
  return done;
}

void Chain::mark_written(GuestRam& ram, u64 bytes) const {
  for (const Segment& s : writable) {
    if (bytes == 0) return;
    const u64 n = std::min<u64>(bytes, s.length);
    ram.mark_written(s.pa, n);
    bytes -= n;
  }
}

struct Queue::Descriptor {
  u64 address;
  u32 length;
  u16 flags;
  u16 next;

  /// One copy, so that the guest cannot change what was checked.
  static Descriptor load(const u8* p) {
    Descriptor d;
    static_assert(sizeof d == k_desc_bytes);
    std::memcpy(&d, p, sizeof d);
    return d;
  }
};

QueueFault Queue::check(const QueueLayout& l) const {
  if (!std::has_single_bit(l.size)) return QueueFault::SizeNotPowerOfTwo;
  if (l.size > max_size_) return QueueFault::SizeTooLarge;
  if (l.descriptors.value % 16 || l.available.value % 2 || l.used.value % 4) return QueueFault::RingMisaligned;
  // The two rings end in an event index (2.7.6, 2.7.8), whether or not the feature is negotiated.
  if (!ram_.contains(l.descriptors, u64{l.size} * k_desc_bytes) ||
      !ram_.contains(l.available, k_ring_offset + u64{l.size} * 2 + 2) ||
      !ram_.contains(l.used, k_ring_offset + u64{l.size} * k_used_elem_bytes + 2))
    return QueueFault::RingOutsideRam;
  return QueueFault::None;
}

QueueFault Queue::enable(const QueueLayout& layout) {
  const std::lock_guard lock(mutex_);
  size_ = 0;
  fault_ = check(layout);
  if (fault_ != QueueFault::None) return fault_;
  layout_ = layout;
  size_ = static_cast<u16>(layout.size);
  descriptors_ = ram_.host(layout.descriptors);
  available_ = ram_.host(layout.available);
  used_ = ram_.host(layout.used);
  next_available_ = next_used_ = published_used_ = signalled_used_ = 0;
  return QueueFault::None;
}

void Queue::disable() {
  const std::lock_guard lock(mutex_);
  size_ = 0;
  fault_ = QueueFault::None;
}

u16 Queue::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

void Queue::set_features(u64 negotiated) {
  const std::lock_guard lock(mutex_);
  indirect_ = (negotiated & k_feature_indirect_desc) != 0;
  event_idx_ = (negotiated & k_feature_event_idx) != 0;
}

QueueFault Queue::fault() const {
  const std::lock_guard lock(mutex_);
  return fault_;
}

void Queue::set_fault(QueueFault fault) {
  const std::lock_guard lock(mutex_);
  if (fault_ == QueueFault::None) fault_ = fault;
}

u16 Queue::available_index() const { return load16(available_ + k_index_offset, __ATOMIC_ACQUIRE); }

Queue::Pop Queue::pop(Chain& chain) {
  const std::lock_guard lock(mutex_);
  chain.clear();
  if (fault_ != QueueFault::None) return Pop::Faulted;
  if (size_ == 0) return Pop::Empty;
  const u16 pending = static_cast<u16>(available_index() - next_available_);
  if (pending == 0) return Pop::Empty;
  if (pending > size_) {
    fault_ = QueueFault::AvailIndexRunsAway;
    return Pop::Faulted;
  }
  const u8* entry = available_ + k_ring_offset + 2u * (next_available_ & (size_ - 1u));
  fault_ = walk(load16(entry, __ATOMIC_RELAXED), chain);
  if (fault_ != QueueFault::None) return Pop::Faulted;
  ++next_available_;
  return Pop::Got;
}

QueueFault Queue::walk(u16 head, Chain& chain) const {
  if (head >= size_) return QueueFault::HeadOutOfRange;
  chain.head = head;
  u16 index = head;
  for (u32 steps = 0; steps < size_; ++steps) {
    const Descriptor d = Descriptor::load(descriptors_ + u32{index} * k_desc_bytes);
    if (d.flags & k_desc_indirect) return walk_indirect(d, chain);
    if (const QueueFault f = add_segment(d, chain); f != QueueFault::None) return f;
    if (!(d.flags & k_desc_next)) return QueueFault::None;
    if (d.next >= size_) return QueueFault::NextOutOfRange;
    index = d.next;
  }
  return QueueFault::ChainLoops;
}

QueueFault Queue::walk_indirect(const Descriptor& table, Chain& chain) const {
  if (!indirect_) return QueueFault::IndirectNotNegotiated;
  if (table.flags & k_desc_next) return QueueFault::IndirectWithNext;
  if (table.length == 0 || table.length % k_desc_bytes) return QueueFault::IndirectBadLength;
  if (!ram_.contains(GuestPa(table.address), table.length)) return QueueFault::IndirectOutsideRam;
  const u8* base = ram_.host(GuestPa(table.address));
  const u32 count = table.length / k_desc_bytes;
  u32 index = 0;
  for (u32 steps = 0; steps < count; ++steps) {
    const Descriptor d = Descriptor::load(base + u64{index} * k_desc_bytes);
    if (d.flags & k_desc_indirect) return QueueFault::IndirectNested;
    if (const QueueFault f = add_segment(d, chain); f != QueueFault::None) return f;
    if (!(d.flags & k_desc_next)) return QueueFault::None;
    if (d.next >= count) return QueueFault::NextOutOfRange;
    index = d.next;
  }
  return QueueFault::ChainLoops;
}

QueueFault Queue::add_segment(const Descriptor& d, Chain& chain) const {
  const bool writable = (d.flags & k_desc_write) != 0;
  if (!writable && !chain.writable.empty()) return QueueFault::ReadableAfterWritable;
  if (d.length == 0) return QueueFault::BufferEmpty;
  if (!ram_.contains(GuestPa(d.address), d.length)) return QueueFault::BufferOutsideRam;
  if (chain.readable.size() + chain.writable.size() >= k_max_segments) return QueueFault::ChainTooLong;
  u64& bytes = writable ? chain.writable_bytes : chain.readable_bytes;
  bytes += d.length;
  if (chain.readable_bytes + chain.writable_bytes > (u64{1} << 32)) return QueueFault::ChainTooLarge;
  (writable ? chain.writable : chain.readable).push_back({GuestPa(d.address), d.length, ram_.host(GuestPa(d.address))});
  return QueueFault::None;
}

void Queue::stage(u16 head, u32 written) {
  const std::lock_guard lock(mutex_);
  if (size_ == 0) return;
  const u32 offset = k_ring_offset + k_used_elem_bytes * (next_used_ & (size_ - 1u));
  const u32 elem[2] = {head, written};
  std::memcpy(used_ + offset, elem, sizeof elem);
  ram_.mark_written(layout_.used + offset, sizeof elem);
  ++next_used_;
}

void Queue::publish() {
  const std::lock_guard lock(mutex_);
  if (size_ == 0) return;
  published_used_ = next_used_;
  store16(used_ + k_index_offset, published_used_, __ATOMIC_RELEASE);
  ram_.mark_written(layout_.used, k_ring_offset);
}

bool Queue::take_interrupt() {
  const std::lock_guard lock(mutex_);
  if (size_ == 0 || published_used_ == signalled_used_) return false;
  full_fence();  // 2.7.7: the used index before what the driver wants to hear of
  const u16 old = std::exchange(signalled_used_, published_used_);
  if (!event_idx_) return !(load16(available_, __ATOMIC_RELAXED) & k_avail_no_interrupt);
  const u16 used_event = load16(available_ + k_ring_offset + 2u * size_, __ATOMIC_RELAXED);
  return static_cast<u16>(published_used_ - used_event - 1) < static_cast<u16>(published_used_ - old);
}

void Queue::disable_notifications() {
  const std::lock_guard lock(mutex_);
  // With event indices the last one stays behind as the driver goes on, which is as good.
  if (size_ == 0 || event_idx_) return;
  store16(used_, k_used_no_notify, __ATOMIC_RELAXED);
}

bool Queue::enable_notifications() {
  const std::lock_guard lock(mutex_);
  if (size_ == 0 || fault_ != QueueFault::None) return false;
  if (event_idx_) {
    const u32 offset = k_ring_offset + k_used_elem_bytes * size_;
    store16(used_ + offset, next_available_, __ATOMIC_RELAXED);
    ram_.mark_written(layout_.used + offset, 2);
  } else {
    store16(used_, 0, __ATOMIC_RELAXED);
  }
  full_fence();  // 2.7.10: the request for a notification before the look at what is there
  return available_index() != next_available_;
}

}  // namespace armvisor::devices::virtio
