#include "devices/pci/msix.h"

namespace armvisor::devices::pci {

void Msix::notify(u32 vector) {
  const std::lock_guard lock(mutex_);
  if (!enabled_ || vector >= entries_.size()) return;
  entries_[vector].pending = true;
  send_pending(entries_[vector]);
}

void Msix::send_pending(Entry& entry) {
  if (!enabled_ || masked_ || entry.masked() || !entry.pending) return;
  entry.pending = false;
  // The lowest two bits of an address are zero (6.8.2.7).
  sink_.message(GuestPa(u64{entry.words[1]} << 32 | (entry.words[0] & ~u32{3})), entry.words[2]);
}

bool Msix::enabled() const {
  const std::lock_guard lock(mutex_);
  return enabled_;
}

void Msix::set_control(bool enabled, bool masked) {
  const std::lock_guard lock(mutex_);
  enabled_ = enabled;
  masked_ = masked;
  for (Entry& entry : entries_) send_pending(entry);
}

u32 Msix::read_word(u32 offset) const {
  if (offset < 16 * entries_.size()) return entries_[offset / 16].words[offset % 16 / 4];
  if (offset < k_pending_offset) return 0;
  u32 bits = 0;
  const u32 first = (offset - k_pending_offset) * 8;
  for (u32 i = 0; i < 32 && first + i < entries_.size(); ++i) bits |= u32{entries_[first + i].pending} << i;
  return bits;
}

u64 Msix::mmio_read(u64 offset, u32 size) {
  if ((size != 4 && size != 8) || offset % size) return 0;
  const std::lock_guard lock(mutex_);
  const u64 low = read_word(static_cast<u32>(offset));
  return size == 4 ? low : low | u64{read_word(static_cast<u32>(offset) + 4)} << 32;
}

void Msix::mmio_write(u64 offset, u32 size, u64 value) {
  if ((size != 4 && size != 8) || offset % size) return;
  const std::lock_guard lock(mutex_);
  for (u32 at = static_cast<u32>(offset); size > 0; size -= 4, at += 4, value >>= 32) {
    if (at >= 16 * entries_.size()) return;  // pending bits are the device's
    Entry& entry = entries_[at / 16];
    const u32 word = at % 16 / 4;
    entry.words[word] = static_cast<u32>(value) & (word == 3 ? 1u : ~0u);
    if (word == 3) send_pending(entry);
  }
}

}  // namespace armvisor::devices::pci
