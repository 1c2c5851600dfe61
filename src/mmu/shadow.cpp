#include "mmu/shadow.h"

#include <algorithm>

namespace armvisor::mmu {

using measure::Counter;

namespace {

constexpr u32 k_ttbcr_eae = 1u << 31;
/// So many writes to a table with no walk through it in between mean that it is being filled or copied, or became data.
constexpr u32 k_many_writes = 16;

/// The table that step `k` of a walk read, as far as it lies in one frame. Where a table is smaller than what is taken
/// for it here, writes beside it drop more than they must.
TableUse use_of(const Space& space, u32 va, const arm::Translation& t, const WalkPath& path, u32 k) {
  const bool long_format = space.key.ttbcr & k_ttbcr_eae;
  TableUse use{};
  use.space = space.id;
  use.size_shift = long_format ? 3 : 2;
  use.shift = static_cast<u8>(long_format ? t.page_bits + 9 * (path.count - 1 - k) : k == 0 ? 20 : 12);
  if (long_format)
    use.bytes = use.shift == 30 ? 32 : k_page_size;
  else
    use.bytes = use.shift == 12 ? 1024 : k_page_size;
  const u32 offset = static_cast<u32>(path.descriptors[k].value) & k_page_mask;
  use.first = static_cast<u16>(offset & ~(use.bytes - 1u));
  use.va = (va >> use.shift << use.shift) - ((offset - use.first) >> use.size_shift << use.shift);
  return use;
}

}  // namespace

Space& Shadow::select(const arm::CpuState& s) {
  const SpaceKey key = SpaceKey::of(s, policy_);
  if (const Space* now = tlb_.current()) {
    const SpaceKey& old = now->key;
    if (old.asid != key.asid || old.table0 != key.table0 || old.table1 != key.table1) {
      counters_.add(Counter::SpaceSwitch);
      if (policy_ == Policy::Flush) tlb_.drop_all();
    }
  }
  return tlb_.select(key, [this](Space& space) {
    counters_.add(Counter::SpaceEviction);
    map_.take_space(space.id, [this](u64 frame) { released(frame); });
    if (is_coherent()) tlb_.drop_space(space);
  });
}

// --- keeping

Shadow::Keep Shadow::may_keep(u32 va, const arm::Translation& t, const WalkPath& path) {
  if (!is_coherent() || path.count == 0) return Keep::Yes;
  if (const GuestPa last = path.descriptors[path.count - 1]; frames_.ram().contains(last)) {
    if (frames_.index(last) == written_frame_) writes_ = 0;
  }
  Space& space = current();
  if (space.covers(va)) return Keep::Yes;
  space.empty = false;  // it has uses in the map now
  bool again = false, wait = false;
  for (u32 k = 0; k < path.count; ++k) {
    const GuestPa pa = path.descriptors[k];
    if (!frames_.ram().contains(pa)) continue;  // ROM: Forget comes when it changes
    again |= prepare(pa);
    map_.add(frames_.index(pa), use_of(space, va, t, path, k));
    wait |= !frames_.is_guarded(pa);
  }
  if (wait) {
    counters_.add(Counter::NotKept);
    return Keep::No;
  }
  if (again) return Keep::WalkAgain;
  space.cover(va);
  return Keep::Yes;
}

/// Brings the frame as near to being guarded as can be. True when a walk from before may have been too early.
bool Shadow::prepare(GuestPa pa) {
  const bool mine = frames_.table_users(pa) & bit_;
  if (!mine) claim(pa);
  if (!frames_.is_guarded(pa)) return settle(pa);
  // Another vCPU saw it settled, perhaps after this one's walk.
  return drop_claim(frames_.index(pa)) || !mine;
}

void Shadow::claim(GuestPa pa) {
  counters_.add(Counter::TableClaim);
  const GuestPa frame(pa.value & ~u64{k_page_mask});
  const bool guarded = frames_.use_table(frame, bit_);
  const bool others = (frames_.table_users(frame) & ~bit_) != 0 ||
                      (frames_.ram().marks(frame).load(std::memory_order_relaxed) & k_frame_code);
  if (tlb_.drop_writes(frame) && others) peers_.wrote_unseen(frame);
  if (guarded) return;
  Claim c{frames_.index(frame), {}};
  const u32 writers = frames_.writers(frame).load();
  for (u32 k = 0; k < c.tickets.size(); ++k)
    if (writers >> k & 1)
      c.tickets[k] = peers_.ask(k, {.kind = Request::Kind::DropWrites, .asid = Asid(), .pa = frame});
  claims_.push_back(c);
  ++frames_.unguarded;
}

/// True when the frame is guarded now.
bool Shadow::settle(GuestPa pa) {
  const auto c = std::ranges::find(claims_, frames_.index(pa), &Claim::frame);
  if (c == claims_.end()) return false;
  for (u32 k = 0; k < c->tickets.size(); ++k)
    if (c->tickets[k] != 0 && !peers_.has_served(k, c->tickets[k])) return false;
  frames_.guard_table(pa);
  drop_claim(frames_.index(pa));
  return true;
}

bool Shadow::drop_claim(u64 frame) {
  if (!std::erase_if(claims_, [frame](const Claim& c) { return c.frame == frame; })) return false;
  --frames_.unguarded;
  return true;
}

/// Nothing is derived from the frame any more, here.
void Shadow::released(u64 frame) {
  counters_.add(Counter::TableRelease);
  drop_claim(frame);
  frames_.release_table(pa_of(frame), bit_);
}

// --- letting go

void Shadow::apply(const Request& r, const Tables* tables) {
  switch (r.kind) {
    case Request::Kind::Forget:
      for (u32 k = 0; k < tlb_.space_count(); ++k) map_.take_space(k, [this](u64 frame) { released(frame); });
      tlb_.drop_entries(nullptr);
      break;
    case Request::Kind::DropDerived: drop_derived(r.pa, r.size); break;
    case Request::Kind::DropTable: drop_table(r.pa); break;
    case Request::Kind::DropWrites: break;
    default: flush(r, tables); break;
  }
}

void Shadow::flush(const Request& r, const Tables* tables) {
  if (is_coherent()) return;
  u32 count = 0;
  if (policy_ == Policy::Flush)
    count = tlb_.drop_all();
  else if (r.kind == Request::Kind::FlushAll)
    count = tlb_.drop_entries(tables);
  else if (r.kind == Request::Kind::FlushAsid)
    count = tlb_.drop_not_global(r.asid);
  else
    count = tlb_.drop_pages(r.va, r.pages, r.kind == Request::Kind::FlushVa ? &r.asid : nullptr);
  counters_.add(Counter::FlushDrop, count);
}

void Shadow::drop_derived(GuestPa pa, u32 size) {
  for (const auto& d : map_.derived(frames_.index(pa), static_cast<u32>(pa.value) & k_page_mask, size)) {
    Space& space = tlb_.space(d.space);
    if (d.shift == k_page_bits) {
      counters_.add(Counter::TableDrop, tlb_.drop_range(space, d.va, d.shift));
    } else {
      if (space.uncover(d.va, d.shift)) counters_.add(Counter::TableDrop, tlb_.drop_range(space, d.va, d.shift));
      map_.take_below(d.space, d.va, d.shift, [this](u64 frame) { released(frame); });
    }
  }
}

void Shadow::drop_table(GuestPa pa) {
  const u64 frame = frames_.index(pa);
  if (!map_.has(frame)) return;
  for (const TableUse& use : map_.take(frame)) {
    Space& space = tlb_.space(use.space);
    if (use.shift == k_page_bits) {
      counters_.add(Counter::TableDrop, tlb_.drop_range(space, use.va, use.reach_bits()));
      space.uncover(use.va, use.reach_bits());
    } else {  // a table of tables: its space is as good as new
      counters_.add(Counter::TableDrop, tlb_.drop_space(space));
      map_.take_space(use.space, [this](u64 f) { released(f); });
    }
  }
  released(frame);
}

void Shadow::tell(const Request& r) {
  const u32 users = frames_.table_users(r.pa);
  for (u32 k = 0; k < 8; ++k)
    if ((users & ~u32{bit_}) >> k & 1) peers_.ask(k, r);
  if (users & bit_) apply(r);
}

void Shadow::table_written(GuestPa pa, u32 size) {
  counters_.add(Counter::TableWrite);
  if (batch_ || became_data(frames_.index(pa)))
    release_table(pa);
  else
    tell({.kind = Request::Kind::DropDerived, .asid = Asid(), .pa = pa, .size = size});
}

bool Shadow::became_data(u64 frame) {
  if (frame != written_frame_) {
    written_frame_ = frame;
    writes_ = 0;
  }
  return ++writes_ > k_many_writes && !frames_.is_announced(pa_of(frame));
}

void Shadow::hint(TableHint what, GuestPa pa) {
  if (policy_ != Policy::RmapHints) return;
  switch (what) {
    case TableHint::BatchBegin: batch_ = true; break;
    case TableHint::BatchEnd: batch_ = false; break;
    case TableHint::Allocated:
      if (frames_.ram().contains(pa)) frames_.announce_table(pa, true);
      break;
    case TableHint::Freed:
      if (!frames_.ram().contains(pa)) break;
      frames_.announce_table(pa, false);
      release_table(pa);
      break;
  }
}

}  // namespace armvisor::mmu
