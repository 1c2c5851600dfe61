#include "devices/vhost_user/shadow_ring.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "memory/fence.h"

namespace armvisor::devices::vhost_user {
namespace {

constexpr u16 k_desc_next = 1, k_desc_write = 2, k_used_no_notify = 1;
constexpr u32 k_index_offset = 2, k_ring_offset = 4;

u16* word_at(u8* memory, u32 offset) { return reinterpret_cast<u16*>(memory + offset); }

}  // namespace

ShadowRing::ShadowRing(u8* memory, u64 address) : memory_(memory), address_(address), slots_(k_size) {
  static_assert(k_used + k_ring_offset + 8 * k_size + 2 <= k_bytes);
  static_assert(k_available + k_ring_offset + 2 * k_size + 2 <= k_used);
  reset();
}

void ShadowRing::reset() {
  std::memset(memory_, 0, k_bytes);
  for (u16 n = 0; n < k_size; ++n) {
    slots_[n].descriptors = 0;
    slots_[n].next = static_cast<u16>(n + 1);
  }
  free_ = k_size;
  first_free_ = 0;
  outstanding_ = 0;
  available_index_ = used_index_ = 0;
  fault_ = "";
}

void ShadowRing::write_descriptor(u16 at, const virtio::Segment& segment, bool writable) {
  struct {
    u64 address;
    u32 length;
    u16 flags, next;
  } const d = {segment.pa.value, segment.length, static_cast<u16>(k_desc_next | (writable ? k_desc_write : 0)),
               slots_[at].next};
  static_assert(sizeof d == 16);
  std::memcpy(memory_ + u32{at} * 16, &d, sizeof d);
}

void ShadowRing::put(virtio::Chain& chain) {
  AV_ASSERT(fits(chain) && most_descriptors(chain) > 0);
  const u16 head = first_free_;
  u16 last = head;
  for (const bool writable : {false, true})
    for (const virtio::Segment& segment : writable ? chain.writable : chain.readable) {
      last = first_free_;
      first_free_ = slots_[last].next;
      write_descriptor(last, segment, writable);
    }
  u16* const flags = word_at(memory_, u32{last} * 16 + 12);
  *flags = chain.writable.empty() ? 0 : k_desc_write;  // the last one has no successor
  Slot& slot = slots_[head];
  slot.descriptors = static_cast<u16>(most_descriptors(chain));
  free_ -= slot.descriptors;
  std::swap(slot.chain, chain);
  ++outstanding_;
  *word_at(memory_, k_available + k_ring_offset + 2u * (available_index_ % k_size)) = head;
  ++available_index_;
  __atomic_store_n(word_at(memory_, k_available + k_index_offset), available_index_, __ATOMIC_RELEASE);
}

bool ShadowRing::wants_kick() const {
  full_fence();  // what was made available before the look at what the program wants
  return !(__atomic_load_n(word_at(memory_, k_used), __ATOMIC_RELAXED) & k_used_no_notify);
}

ShadowRing::Take ShadowRing::broken(const char* why) {
  fault_ = why;
  return Take::Broken;
}

ShadowRing::Take ShadowRing::take(virtio::Chain& chain, u32& written) {
  const u16 index = __atomic_load_n(word_at(memory_, k_used + k_index_offset), __ATOMIC_ACQUIRE);
  const u16 pending = static_cast<u16>(index - used_index_);
  if (pending == 0) return Take::Empty;
  if (pending > outstanding_) return broken("more chains used than it was given");
  const auto* const element =
      reinterpret_cast<const u32*>(memory_ + k_used + k_ring_offset + 8u * (used_index_ % k_size));
  const u32 id = __atomic_load_n(element, __ATOMIC_RELAXED), bytes = __atomic_load_n(element + 1, __ATOMIC_RELAXED);
  if (id >= k_size || slots_[id].descriptors == 0) return broken("a chain used that it was not given");
  const u16 head = static_cast<u16>(id);
  if (bytes > slots_[head].chain.writable_bytes) return broken("more bytes written than a chain has room for");
  ++used_index_;
  written = bytes;
  release(head, chain);
  return Take::Got;
}

void ShadowRing::release(u16 head, virtio::Chain& chain) {
  Slot& slot = slots_[head];
  u16 last = head;
  for (u16 n = 1; n < slot.descriptors; ++n) last = slots_[last].next;
  slots_[last].next = first_free_;
  first_free_ = head;
  free_ += std::exchange(slot.descriptors, u16{0});
  --outstanding_;
  std::swap(slot.chain, chain);
}

bool ShadowRing::take_back(virtio::Chain& chain) {
  for (u16 head = 0; outstanding_ > 0 && head < k_size; ++head)
    if (slots_[head].descriptors) {
      release(head, chain);
      return true;
    }
  return false;
}

}  // namespace armvisor::devices::vhost_user
