// The slow paths of guest memory accesses.
#include "base/bits.h"
#include "engine/guest_access.h"
#include "engine/vcpu.h"
#include "ir/ir.h"
#include "memory/fence.h"

namespace armvisor::engine {

using ir::MemAttr;
using measure::Counter;

bool InterpreterVcpu::fault(arm::FaultType type, u32 va, bool write) {
  fault_ = arm::Fault();
  fault_.type = type;
  fault_.va = va;
  fault_.write = write;
  return false;
}

/// Host address of an aligned descriptor in RAM or ROM, or 0.
u64 InterpreterVcpu::descriptor(GuestPa pa, u32 size) {
  if (shared_.ram.contains(pa, size)) return reinterpret_cast<u64>(shared_.ram.host(pa));
  const u8* page = shared_.port.rom_page(GuestPa(pa.value & ~u64{k_page_mask}));
  return page ? reinterpret_cast<u64>(page) + (pa.value & k_page_mask) : 0;
}

bool InterpreterVcpu::read32(GuestPa pa, u32& value) {
  const u64 host = descriptor(pa, 4);
  path_.add(pa);
  if (host) value = guest_load<u32>(host);
  if (host && journal_) value = static_cast<u32>(journal_->seen(host, 4, value));
  return host != 0;
}

bool InterpreterVcpu::read64(GuestPa pa, u64& value) {
  const u64 host = descriptor(pa, 8);
  path_.add(pa);
  if (host) value = guest_load<u64>(host);
  if (host && journal_) value = journal_->seen(host, 8, value);
  return host != 0;
}

/// Translates for an access. `keep`: the translation may be entered in the TLB.
arm::Fault InterpreterVcpu::walk_to_keep(u32 va, arm::Access access, bool privileged, arm::Translation& out,
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

bool InterpreterVcpu::check_alignment(u32 va, u32 size, u8 attr, u8 attr2, bool write) {
  const u32 required = attr2 ? attr2 : size;
  if (!(attr & MemAttr::aligned) || (va & (required - 1)) == 0) return true;
  return fault(arm::FaultType::Alignment, va, write);
}

/// A place that the TLB knows: Normal RAM, or ROM for reads. A write may be one that must be seen.
bool InterpreterVcpu::cached_place(u32 va, bool write, bool unprivileged, Place& out) {
  mmu::Space& space = tlb().current();
  const bool privileged = context_.s.privileged() && !unprivileged;
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

bool InterpreterVcpu::resolve(u32 va, bool write, bool unprivileged, Place& out) {
  if (cached_place(va, write, unprivileged, out)) return true;
  const bool privileged = context_.s.privileged() && !unprivileged;
  const mmu::Shadow::Walk walking(tlb_, has_others());
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
  if (!host || !keep) return true;
  tlb().fill_data(va, t, privileged, host, out.ram);
  count(Counter::HiddenData);
  return true;
}

bool InterpreterVcpu::device(GuestPa pa, u32 size, bool write, u64& value) {
  if (journal_) {
    if (const auto done = journal_->device_access(pa, size, write, value)) return *done;
  }
  const bool done = write ? shared_.port.mmio_write(pa, size, value) : shared_.port.mmio_read(pa, size, value);
  if (journal_) journal_->device_accessed(pa, size, write, value, done);
  return done;
}

bool InterpreterVcpu::mmio(u32 va, GuestPa pa, u32 size, bool write, u64& value) {
  context_.s.r[15] = mark_pc();
  const measure::VcpuTime before = clock().enter(measure::VcpuTime::Device);
  leave_guest();
  const bool done = device(pa, size, write, value);
  mailbox_.enter_guest();
  clock().enter(before);
  serve_mailbox();
  return done || fault(arm::FaultType::SyncExternal, va, write);
}

bool InterpreterVcpu::load(u32 va, u8 attr, u8 attr2, u64& value) {
  count(Counter::LightLoad);
  const u32 size = attr & MemAttr::size_mask;
  const bool unprivileged = attr & MemAttr::unprivileged;
  if (!check_alignment(va, size, attr, attr2, false)) return false;
  if ((va & k_page_mask) + size > k_page_size) {
    if (!load_across(va, size, unprivileged, value)) return false;
  } else {
    Place place;
    if (!resolve(va, false, unprivileged, place)) return false;
    const bool aligned = (va & (size - 1)) == 0;
    if (!aligned && !place.normal) return fault(arm::FaultType::Alignment, va, false);
    if (!place.host) {
      if (!aligned) return fault(arm::FaultType::Alignment, va, false);
      if (!mmio(va, place.pa, size, false, value)) return false;
    } else {
      value = aligned ? guest_load_aligned(place.host, size) : guest_load_bytes(place.host, size);
      if (journal_) value = journal_->loaded(place.host, size, value);
    }
  }
  value &= low_mask(size * 8);
  if (attr & MemAttr::big) value = byte_swap(value, size);
  if ((attr & MemAttr::sign) && size < 4) value = sign_extend(static_cast<u32>(value), size * 8);
  return true;
}

bool InterpreterVcpu::load_across(u32 va, u32 size, bool unprivileged, u64& value) {
  const u32 in_first = k_page_size - (va & k_page_mask);
  Place first, second;
  if (!resolve(va, false, unprivileged, first) || !resolve(va + in_first, false, unprivileged, second)) return false;
  if (!first.normal || !first.host) return fault(arm::FaultType::Alignment, va, false);
  if (!second.normal || !second.host) return fault(arm::FaultType::Alignment, va + in_first, false);
  u64 low = guest_load_bytes(first.host, in_first), high = guest_load_bytes(second.host, size - in_first);
  if (journal_) {
    low = journal_->loaded(first.host, in_first, low);
    high = journal_->loaded(second.host, size - in_first, high);
  }
  value = low | high << (8 * in_first);
  return true;
}

void InterpreterVcpu::store_ram(const Place& place, u32 size, u64 value) {
  if (journal_ && journal_->stored(place.host, size, value)) return;
  if ((place.host & (size - 1)) == 0)
    guest_store_aligned(place.host, size, value);
  else
    guest_store_bytes(place.host, size, value);
  full_fence();
  written(place.pa, size);
}

/// A store that no TLB entry allowed was made, and a full fence has passed.
void InterpreterVcpu::written(GuestPa pa, u32 size) {
  const u8 marks = shared_.ram.marks(pa).load(std::memory_order_relaxed);
  if (marks & k_frame_table) {
    tlb_.table_written(pa, size);
    if (tlb_.changes() != views_changes_) request_attention();
    if (!context_.s.privileged()) tlb().settle_window();  // the block may go on by way of it
  }
  if (!(marks & k_frame_code)) return;
  count(Counter::CodeWrite);
  if (shared_.code.written(pa, size)) request_attention();
}

bool InterpreterVcpu::store(u32 va, u8 attr, u8 attr2, u64 value) {
  count(Counter::LightStore);
  const u32 size = attr & MemAttr::size_mask;
  const bool unprivileged = attr & MemAttr::unprivileged;
  if (!check_alignment(va, size, attr, attr2, true)) return false;
  if (attr & MemAttr::big) value = byte_swap(value, size);
  value &= low_mask(size * 8);
  if ((va & k_page_mask) + size > k_page_size) return store_across(va, size, unprivileged, value);
  Place place;
  if (!resolve(va, true, unprivileged, place)) return false;
  const bool aligned = (va & (size - 1)) == 0;
  if (!aligned && (!place.normal || !place.ram)) return fault(arm::FaultType::Alignment, va, true);
  if (!place.ram) return mmio(va, place.pa, size, true, value);
  store_ram(place, size, value);
  return true;
}

/// Both pages are checked before anything is stored.
bool InterpreterVcpu::store_across(u32 va, u32 size, bool unprivileged, u64 value) {
  const u32 in_first = k_page_size - (va & k_page_mask);
  Place first, second;
  if (!resolve(va, true, unprivileged, first) || !resolve(va + in_first, true, unprivileged, second)) return false;
  if (!first.normal || !first.ram) return fault(arm::FaultType::Alignment, va, true);
  if (!second.normal || !second.ram) return fault(arm::FaultType::Alignment, va + in_first, true);
  const auto store_bytes = [this](const Place& place, u32 count, u64 bytes) {
    for (u32 k = 0; k < count; ++k) store_ram({place.host + k, place.pa + k, true, true}, 1, bytes >> (8 * k) & 0xff);
  };
  store_bytes(first, in_first, value);
  store_bytes(second, size - in_first, value >> (8 * in_first));
  return true;
}

// Exclusives need natural alignment always (A3.2.1), and memory that a monitor watches: RAM.

bool InterpreterVcpu::load_exclusive(u32 va, u8 attr, u64& value) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fault(arm::FaultType::Alignment, va, false);
  Place place;
  if (!resolve(va, false, false, place)) return false;
  if (!place.ram) return fault(arm::FaultType::SyncExternal, va, false);
  arm::CpuState& s = context_.s;
  s.excl_version = shared_.exclusives.version(place.pa);  // before the value: a store between fails the pair
  value = guest_load_aligned(place.host, size);
  if (journal_) value = journal_->loaded(place.host, size, value);
  s.excl_value = value;
  s.excl_pa = place.pa.value;
  s.excl_size = size;
  if (attr & MemAttr::big) value = byte_swap(value, size);
  return true;
}

bool InterpreterVcpu::store_exclusive(u32 va, u8 attr, u64 value, u32& result) {
  count(Counter::LightExclusive);
  const u32 size = attr & MemAttr::size_mask;
  if (va & (size - 1)) return fault(arm::FaultType::Alignment, va, true);
  Place place;
  if (!resolve(va, true, false, place)) return false;
  if (!place.ram) return fault(arm::FaultType::SyncExternal, va, true);
  arm::CpuState& s = context_.s;
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
  if (done) written(place.pa, size);
  return true;
}

}  // namespace armvisor::engine
