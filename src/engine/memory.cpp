// The slow paths of guest memory accesses.
#include <algorithm>

#include "arm/debug_events.h"
#include "base/bits.h"
#include "engine/guest_access.h"
#include "engine/vcpu.h"
#include "ir/access.h"
#include "memory/fence.h"

namespace armvisor::engine {

using ir::MemAttr;
using measure::Counter;

bool TranslatingVcpu::fault(arm::FaultType type, u32 va, bool write) {
  fault_ = arm::Fault();
  fault_.type = type;
  fault_.va = va;
  fault_.write = write;
  return false;
}

/// Host address of an aligned descriptor in RAM or ROM, or 0.
u64 TranslatingVcpu::descriptor(GuestPa pa, u32 size) {
  if (shared_.ram.contains(pa, size)) return reinterpret_cast<u64>(shared_.ram.host(pa));
  const u8* page = shared_.port.rom_page(GuestPa(pa.value & ~u64{k_page_mask}));
  return page ? reinterpret_cast<u64>(page) + (pa.value & k_page_mask) : 0;
}

bool TranslatingVcpu::read32(GuestPa pa, u32& value) {
  const u64 host = descriptor(pa, 4);
  path_.add(pa);
  if (host) value = guest_load<u32>(host);
  if (host && journal_) value = static_cast<u32>(journal_->seen(host, 4, value));
  return host != 0;
}

bool TranslatingVcpu::read64(GuestPa pa, u64& value) {
  const u64 host = descriptor(pa, 8);
  path_.add(pa);
  if (host) value = guest_load<u64>(host);
  if (host && journal_) value = journal_->seen(host, 8, value);
  return host != 0;
}

/// Translates for an access. `keep`: the translation may be entered in the TLB.
arm::Fault TranslatingVcpu::walk_to_keep(u32 va, arm::Access access, bool privileged, arm::Translation& out,
                                         bool& keep) {
  using Keep = mmu::Shadow::Keep;
  // Once to claim the tables, once more to see them claimed; a table that changes meanwhile is not kept.
  Keep answer = Keep::WalkAgain;
  for (u32 tries = 0; tries < 3 && answer == Keep::WalkAgain; ++tries) {
    if (const arm::Fault fault = walk(va, access, privileged, out)) return fault;
    answer = tlb().may_keep(va, out, path_);
  }
  keep = answer == Keep::Yes;
  return {};
}

bool TranslatingVcpu::is_watched(u32 va, u32 size, bool write, bool unprivileged) {
  const bool privileged = context_.guest.privileged() && !unprivileged;
  const auto address = arm::watched_address(context_.guest, va, size, write, privileged);
  if (!address) return false;
  fault(arm::FaultType::Debug, *address, write);
  fault_.debug = arm::DebugEntry::Watchpoint;
  return true;
}

/// A place that the TLB knows: Normal RAM, or ROM for reads. A write may be one that must be seen.
bool TranslatingVcpu::cached_place(u32 va, bool write, bool unprivileged, Place& out) {
  mmu::Space& space = tlb().current();
  const bool privileged = context_.guest.privileged() && !unprivileged;
  const u32 k = (va >> k_page_bits) % mmu::k_tlb_entries;
  const mmu::TlbEntry& e = space.data[privileged][k];
  const mmu::Space::Meta meta = space.data_meta[privileged][k];
  if (e.read_tag != (va & ~k_page_mask) || !meta.normal || (write && !meta.writable)) return false;
  out.host = e.host + (va & k_page_mask);
  out.normal = true;
  out.ram = true;
  const u64 offset = out.host - reinterpret_cast<u64>(shared_.ram.host(shared_.ram.base()));
  out.pa = shared_.ram.base() + offset;
  if (offset >= shared_.ram.size()) return false;
  // Once writes need not be seen any more, the entry is to say so.
  return !write || e.write_tag == e.read_tag || shared_.frames.writes_are_seen(out.pa);
}

bool TranslatingVcpu::resolve(u32 va, bool write, bool unprivileged, Place& out) {
  if (cached_place(va, write, unprivileged, out)) return true;
  const bool privileged = context_.guest.privileged() && !unprivileged;
  const mmu::Shadow::Walk walking(tlb_, outbox_.has_others());
  arm::Translation t;
  bool keep = false;
  fault_ = walk_to_keep(va, write ? arm::Access::Write : arm::Access::Read, privileged, t, keep);
  if (fault_) {
    count(Counter::TrueData);
    return false;
  }
  out.pa = t.pa;
  out.normal = t.type == arm::MemoryType::Normal;
  const GuestPa frame(t.pa.value & ~u64{k_page_mask});
  out.ram = shared_.ram.contains(frame, k_page_size);
  u8* host = out.ram ? shared_.ram.host(frame) : nullptr;
  if (!host && !write) host = const_cast<u8*>(shared_.port.rom_page(frame));
  out.host = host ? reinterpret_cast<u64>(host) + (va & k_page_mask) : 0;
  if (!host || !keep || arm::page_is_watched(context_.guest, va, privileged)) return true;
  tlb().fill_data(va, t, privileged, host, out.ram);
  count(Counter::HiddenData);
  return true;
}

bool TranslatingVcpu::device(GuestPa pa, u32 size, bool write, u64& value) {
  if (journal_) {
    if (const auto done = journal_->device_access(pa, size, write, value)) return *done;
  }
  const bool done = write ? shared_.port.mmio_write(pa, size, value) : shared_.port.mmio_read(pa, size, value);
  if (journal_) journal_->device_accessed(pa, size, write, value, done);
  return done;
}

bool TranslatingVcpu::mmio(u32 va, GuestPa pa, u32 size, bool write, u64& value) {
  context_.guest.r[15] = mark_pc();
  const measure::VcpuTime before = clock().enter(measure::VcpuTime::Device);
  bool done;
  {
    const OutsideGuest outside(inbox_, OutsideGuest::Holds::Current);
    done = device(pa, size, write, value);
  }
  clock().enter(before);
  return done || fault(arm::FaultType::SyncExternal, va, write);
}

/// Checks the alignment of each element (ir/access.h) and finds both pages, before anything is read or written;
/// then asks the watchpoints.
bool TranslatingVcpu::resolve(u32 va, const ir::Access& access, bool write, bool unprivileged, Span& out) {
  if (!access.allows(va)) return fault(arm::FaultType::Alignment, va, write);
  const u32 in_first = std::min(access.size, k_page_size - (va & k_page_mask));
  out.parts[0] = {va, in_first, {}};
  out.parts[1] = {va + in_first, access.size - in_first, {}};
  for (Part& part : out.parts)
    if (part.size != 0 && !resolve(part.va, write, unprivileged, part.place)) return false;
  out.step = std::min(access.element, 4u);
  out.unit = (va & (access.size - 1)) == 0 ? access.size : (va & (out.step - 1)) == 0 ? out.step : 1;
  if (access.is_aligned(va)) return check_watchpoints(va, access.size, write, unprivileged);
  for (const Part& part : out.parts) {
    const bool may_be_unaligned = part.place.normal && (write ? part.place.ram : part.place.host != 0);
    if (part.size != 0 && !may_be_unaligned) return fault(arm::FaultType::Alignment, part.va, write);
  }
  return check_watchpoints(va, access.size, write, unprivileged);
}

bool TranslatingVcpu::load_part(const Span& span, const Part& part, u64& value) {
  const Place& place = part.place;
  if (place.host) {
    value = guest_load_units(place.host, part.size, span.unit);
    if (journal_) value = journal_->loaded(place.host, part.size, value);
    return true;
  }
  value = 0;
  for (u32 k = 0; k < part.size; k += span.step) {
    u64 piece = 0;
    if (!mmio(part.va + k, place.pa + k, span.step, false, piece)) return false;
    value |= (piece & low_mask(8 * span.step)) << (8 * k);
  }
  return true;
}

bool TranslatingVcpu::store_part(const Span& span, const Part& part, u64 value) {
  const Place& place = part.place;
  if (place.ram) {
    store_ram(place, part.size, span.unit, value);
    return true;
  }
  for (u32 k = 0; k < part.size; k += span.step) {
    u64 piece = value >> (8 * k) & low_mask(8 * span.step);
    if (!mmio(part.va + k, place.pa + k, span.step, true, piece)) return false;
  }
  return true;
}

bool TranslatingVcpu::load(u32 va, u8 attr, u8 attr2, u64& value) {
  count(Counter::LightLoad);
  const ir::Access access = ir::access_of(attr, attr2);
  Span span;
  if (!resolve(va, access, false, attr & MemAttr::unprivileged, span)) return false;
  u64 second = 0;
  if (!load_part(span, span.parts[0], value) || !load_part(span, span.parts[1], second)) return false;
  if (span.parts[1].size != 0) value |= second << (8 * span.parts[0].size);
  if (attr & MemAttr::big) value = byte_swap(value, access.size);
  if ((attr & MemAttr::sign) && access.size < 4) value = sign_extend(static_cast<u32>(value), access.size * 8);
  return true;
}

void TranslatingVcpu::store_ram(const Place& place, u32 size, u32 unit, u64 value) {
  if (journal_ && journal_->stored(place.host, size, value)) return;
  guest_store_units(place.host, size, unit, value);
  full_fence();
  written(place.pa, size);
}

/// A store that no TLB entry allowed was made, and a full fence has passed.
void TranslatingVcpu::written(GuestPa pa, u32 size) {
  const u8 marks = shared_.ram.marks(pa).load(std::memory_order_relaxed);
  if (marks & k_frame_table) {
    tlb_.table_written(pa, size);
    if (tlb_.changes() != views_changes_) inbox_.request_attention();
    if (!context_.guest.privileged()) tlb().settle_window();  // the block may go on by way of it
  }
  if (!(marks & k_frame_code)) return;
  count(Counter::CodeWrite);
  if (shared_.code.written(pa, size)) inbox_.request_attention();
}

bool TranslatingVcpu::store(u32 va, u8 attr, u8 attr2, u64 value) {
  count(Counter::LightStore);
  const ir::Access access = ir::access_of(attr, attr2);
  if (attr & MemAttr::big) value = byte_swap(value, access.size);
  value &= low_mask(access.size * 8);
  Span span;
  if (!resolve(va, access, true, attr & MemAttr::unprivileged, span)) return false;
  const Part &first = span.parts[0], &second = span.parts[1];
  if (!store_part(span, first, value & low_mask(8 * first.size))) return false;
  return second.size == 0 || store_part(span, second, value >> (8 * first.size));
}

// Exclusives need natural alignment always (A3.2.1), and memory that a monitor watches: RAM.

bool TranslatingVcpu::load_exclusive(u32 va, u8 attr, u64& value) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fault(arm::FaultType::Alignment, va, false);
  Place place;
  if (!resolve(va, false, false, place) || !check_watchpoints(va, size, false, false)) return false;
  if (!place.ram) return fault(arm::FaultType::SyncExternal, va, false);
  arm::CpuState& s = context_.guest;
  s.excl_version = shared_.exclusives.version(place.pa);  // before the value: a store between fails the pair
  value = guest_load_aligned(place.host, size);
  if (journal_) value = journal_->loaded(place.host, size, value);
  s.excl_value = value;
  s.excl_pa = place.pa.value;
  s.excl_size = size;
  if (attr & MemAttr::big) value = byte_swap(value, size);
  return true;
}

bool TranslatingVcpu::store_exclusive(u32 va, u8 attr, u64 value, u32& result) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fault(arm::FaultType::Alignment, va, true);
  Place place;
  if (!resolve(va, true, false, place) || !check_watchpoints(va, size, true, false)) return false;
  if (!place.ram) return fault(arm::FaultType::SyncExternal, va, true);
  arm::CpuState& s = context_.guest;
  const bool marked = s.excl_pa == place.pa.value && s.excl_size == size;
  clear_exclusive();
  result = 1;
  if (!marked) return true;
  if (attr & MemAttr::big) value = byte_swap(value, size);
  if (journal_ && journal_->interpreting()) {
    const u64 now = journal_->loaded(place.host, size, guest_load_aligned(place.host, size));
    if (now != s.excl_value || shared_.exclusives.version(place.pa) != s.excl_version) return true;
    journal_->stored(place.host, size, value);
    result = 0;
    return true;
  }
  const auto attempt = [&]<class T>(T) {
    return shared_.exclusives.store<T>(place.pa, place.host, s.excl_version, static_cast<T>(s.excl_value),
                                       static_cast<T>(value));
  };
  bool done = false;
  switch (size) {
    case 1: done = attempt(u8{}); break;
    case 2: done = attempt(u16{}); break;
    case 4: done = attempt(u32{}); break;
    default: done = attempt(u64{}); break;
  }
  result = done ? 0 : 1;
  if (done) {
    full_fence_after_rmw();
    written(place.pa, size);
  }
  return true;
}

}  // namespace armvisor::engine
