#include "engine/guest_memory.h"

#include <algorithm>

#include "base/bits.h"
#include "engine/debug_stops.h"
#include "engine/guest_access.h"
#include "engine/shared.h"
#include "frontend/decoder.h"
#include "memory/fence.h"

namespace armvisor::engine {

using ir::MemAttr;
using measure::Counter;

GuestMemory::GuestMemory(Context& context, Shared& shared, u32 index, Inbox& inbox, Outbox& outbox,
                         measure::VcpuClock& clock, Journal* journal)
    : context_(context),
      shared_(shared),
      index_(index),
      inbox_(inbox),
      outbox_(outbox),
      clock_(clock),
      journal_(journal),
      tlb_(shared.frames, *this, index, shared.config.mmu, context.counters) {}

bool GuestMemory::fail(arm::FaultType type, u32 va, bool write) {
  fault_ = arm::Fault();
  fault_.type = type;
  fault_.va = va;
  fault_.write = write;
  return false;
}

/// Host address of an aligned descriptor in RAM or ROM, or 0.
u64 GuestMemory::descriptor(GuestPa pa, u32 size) {
  if (shared_.ram.contains(pa, size)) return reinterpret_cast<u64>(shared_.ram.host(pa));
  const u8* page = shared_.port.rom_page(GuestPa(pa.value & ~u64{k_page_mask}));
  return page ? reinterpret_cast<u64>(page) + (pa.value & k_page_mask) : 0;
}

bool GuestMemory::read32(GuestPa pa, u32& value) {
  const u64 host = descriptor(pa, 4);
  path_.add(pa);
  if (host) value = guest_load<u32>(host);
  if (host && journal_) value = static_cast<u32>(journal_->seen(host, 4, value));
  return host != 0;
}

bool GuestMemory::read64(GuestPa pa, u64& value) {
  const u64 host = descriptor(pa, 8);
  path_.add(pa);
  if (host) value = guest_load<u64>(host);
  if (host && journal_) value = journal_->seen(host, 8, value);
  return host != 0;
}

arm::Fault GuestMemory::walk(u32 va, arm::Access access, bool privileged, arm::Translation& out) {
  path_.count = 0;
  return arm::translate(context_.guest, *this, va, access, privileged, out);
}

std::optional<u32> GuestMemory::instruction(u32 pc, bool thumb) {
  const auto halfword = [this](u32 va) -> std::optional<u16> {
    arm::Translation t;
    if (walk(va, arm::Access::Execute, context_.guest.privileged(), t)) return {};
    const u8* const page = shared_.page_at(GuestPa(t.pa.value & ~u64{k_page_mask}));
    if (!page) return {};
    return guest_load<u16>(reinterpret_cast<u64>(page + (va & k_page_mask)));
  };
  const auto first = halfword(pc);
  if (!first || (thumb && !frontend::is_t32(*first))) return first;
  const auto second = halfword(pc + 2);
  if (!second) return {};
  return thumb ? u32{*first} << 16 | *second : u32{*second} << 16 | *first;
}

arm::Fault GuestMemory::find_page(u32 va, arm::Access access, bool privileged, Page& out) {
  using Keep = mmu::Shadow::Keep;
  const mmu::Shadow::Walk walking(tlb_, outbox_.has_others());
  arm::Translation t;
  // Once to claim the tables, once more to see them claimed; a table that changes meanwhile is not kept.
  Keep answer = Keep::WalkAgain;
  for (u32 tries = 0; tries < 3 && answer == Keep::WalkAgain; ++tries) {
    if (const arm::Fault fault = walk(va, access, privileged, t)) return fault;
    answer = tlb().may_keep(va, t, path_);
  }
  const GuestPa frame(t.pa.value & ~u64{k_page_mask});
  const bool ram = shared_.ram.contains(frame, k_page_size), write = access == arm::Access::Write;
  u8* const host = ram ? shared_.ram.host(frame) : write ? nullptr : const_cast<u8*>(shared_.port.rom_page(frame));
  const bool execute = access == arm::Access::Execute;
  const bool keep = answer == Keep::Yes && (execute || (host && !page_is_watched(va, privileged)));
  out = {.frame = frame, .host = host, .normal = t.type == arm::MemoryType::Normal, .ram = ram, .kept = keep};
  if (!keep) return {};
  if (execute)
    tlb().fill_exec(va & ~k_page_mask, t, privileged);
  else
    tlb().fill_data(va, t, privileged, host, ram);
  count(execute ? Counter::HiddenExec : Counter::HiddenData);
  return {};
}

bool GuestMemory::page_is_watched(u32 va, bool privileged) const {
  return arm::page_is_watched(context_.guest, va, privileged) || context_.stops->now().page_is_watched(va);
}

bool GuestMemory::is_watched(u32 va, u32 size, bool write, bool unprivileged) {
  if (context_.stops->stops_access(va, size, write)) return !fail(arm::FaultType::Debug, va, write);
  const bool privileged = is_privileged(unprivileged);
  const auto address = arm::watched_address(context_.guest, va, size, write, privileged);
  if (!address) return false;
  fail(arm::FaultType::Debug, *address, write);
  fault_.debug = arm::DebugEntry::Watchpoint;
  return true;
}

/// A place that the TLB knows: Normal RAM, or ROM for reads. A write may be one that must be seen.
bool GuestMemory::cached_place(u32 va, bool write, bool unprivileged, Place& out) {
  mmu::Space& space = tlb().current();
  const bool privileged = is_privileged(unprivileged);
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

bool GuestMemory::resolve(u32 va, bool write, bool unprivileged, Place& out) {
  if (cached_place(va, write, unprivileged, out)) return true;
  Page page;
  const arm::Access access = write ? arm::Access::Write : arm::Access::Read;
  fault_ = find_page(va, access, is_privileged(unprivileged), page);
  if (fault_) {
    count(Counter::TrueData);
    return false;
  }
  const u32 offset = va & k_page_mask;
  out = {.host = page.host ? reinterpret_cast<u64>(page.host) + offset : 0,
         .pa = page.frame + offset,
         .normal = page.normal,
         .ram = page.ram};
  return true;
}

bool GuestMemory::device(GuestPa pa, u32 size, bool write, u64& value) {
  if (journal_) {
    if (const auto done = journal_->device_access(pa, size, write, value)) return *done;
  }
  const bool done = write ? shared_.port.mmio_write(pa, size, value) : shared_.port.mmio_read(pa, size, value);
  if (journal_) journal_->device_accessed(pa, size, write, value, done);
  return done;
}

bool GuestMemory::mmio(u32 va, GuestPa pa, u32 size, bool write, u64& value) {
  context_.guest.r[15] = context_.dispatch.pc();
  const measure::VcpuTime before = clock_.enter(measure::VcpuTime::Device);
  bool done;
  {
    const OutsideGuest outside(inbox_, OutsideGuest::Holds::Current);
    done = device(pa, size, write, value);
  }
  clock_.enter(before);
  return done || fail(arm::FaultType::SyncExternal, va, write);
}

/// Checks the alignment of each element (ir/access.h) and finds both pages, before anything is read or written;
/// then asks the watchpoints.
bool GuestMemory::resolve(u32 va, const ir::Access& access, bool write, bool unprivileged, Span& out) {
  if (!access.allows(va)) return fail(arm::FaultType::Alignment, va, write);
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
    if (part.size != 0 && !may_be_unaligned) return fail(arm::FaultType::Alignment, part.va, write);
  }
  return check_watchpoints(va, access.size, write, unprivileged);
}

bool GuestMemory::load_part(const Span& span, const Part& part, u64& value) {
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

bool GuestMemory::store_part(const Span& span, const Part& part, u64 value) {
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

bool GuestMemory::load(u32 va, u8 attr, u8 attr2, u64& value) {
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

void GuestMemory::store_ram(const Place& place, u32 size, u32 unit, u64 value) {
  if (journal_ && journal_->stored(place.host, size, value)) return;
  guest_store_units(place.host, size, unit, value);
  full_fence();
  written(place.pa, size);
}

/// A store that no TLB entry allowed was made, and a full fence has passed.
void GuestMemory::written(GuestPa pa, u32 size) {
  const u8 marks = shared_.ram.marks(pa).load(std::memory_order_relaxed);
  if (marks & k_frame_table) {
    tlb_.table_written(pa, size);
    if (!views_hold()) inbox_.request_attention();
    if (!context_.guest.privileged()) tlb().settle_window();  // the block may go on by way of it
  }
  if (!(marks & k_frame_code)) return;
  count(Counter::CodeWrite);
  if (shared_.code.written(pa, size)) inbox_.request_attention();
}

bool GuestMemory::store(u32 va, u8 attr, u8 attr2, u64 value) {
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

bool GuestMemory::load_exclusive(u32 va, u8 attr, u64& value) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fail(arm::FaultType::Alignment, va, false);
  Place place;
  if (!resolve(va, false, false, place) || !check_watchpoints(va, size, false, false)) return false;
  if (!place.ram) return fail(arm::FaultType::SyncExternal, va, false);
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

bool GuestMemory::store_exclusive(u32 va, u8 attr, u64 value, u32& result) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fail(arm::FaultType::Alignment, va, true);
  Place place;
  if (!resolve(va, true, false, place) || !check_watchpoints(va, size, true, false)) return false;
  if (!place.ram) return fail(arm::FaultType::SyncExternal, va, true);
  arm::CpuState& s = context_.guest;
  const bool marked = s.excl_pa == place.pa.value && s.excl_size == size;
  s.excl_pa = ~u64{0};
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

void GuestMemory::apply(const Request& r) {
  if (r.kind == Request::Kind::FlushAll)
    with_tables([&](const mmu::Tables& tables) { tlb_.apply(r, &tables); });
  else if (r.kind != Request::Kind::DropWrites)
    tlb_.apply(r);
  else
    drop_writes(r.pa);
}

/// Calls f with the tables in force.
template <class F>
void GuestMemory::with_tables(F f) {
  const mmu::Shadow::Walk walking(tlb_, outbox_.has_others());
  u32 walks = 0;
  const auto translate_code = [&](u32 va, arm::Translation& out) {
    ++walks;
    return !walk(va, arm::Access::Execute, true, out);
  };
  f(mmu::Tables{mmu::SpaceKey::of(context_.guest, tlb_.policy()), bases(), translate_code});
  count(Counter::FlushCheck, walks);
}

void GuestMemory::keep_by_new_tables() {
  if (!tlb_.kept_by_others(bases())) return;
  with_tables([this](const mmu::Tables& tables) { tlb_.keep_global(tables); });
}

void GuestMemory::drop_writes(GuestPa pa) {
  if (tlb_.drop_writes(pa)) wrote_unseen(pa);
}

void GuestMemory::claim(GuestPa pa, u8 writers) {
  shared_.ask_writers(pa, writers & ~(1u << index_));
  if (writers >> index_ & 1) drop_writes(pa);
}

void GuestMemory::wrote_unseen(GuestPa pa) {
  const GuestPa frame(pa.value & ~u64{k_page_mask});
  if (shared_.code.invalidate(frame, k_page_size)) inbox_.request_attention();  // a loop that died may be running here
  if (!(shared_.ram.marks(pa).load(std::memory_order_relaxed) & k_frame_table)) return;
  tlb_.release_table(pa);
  inbox_.request_attention();
}

}  // namespace armvisor::engine
