#include "mmu/soft_tlb.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace armvisor::mmu {
namespace {

// SCTLR (B4.1.130): M, WXN, UWXN, EE, TRE, AFE.
constexpr u32 k_sctlr_m = 1u << 0;
constexpr u32 k_sctlr_translation = k_sctlr_m | 1u << 19 | 1u << 20 | 1u << 25 | 1u << 28 | 1u << 29;
constexpr u32 k_ttbcr_eae = 1u << 31;
constexpr u32 k_short_base = ~0x7fu;
constexpr u64 k_long_base = 0xffffffffe0;

constexpr u32 k_page_of = ~k_page_mask;

u32 page_of(const TlbEntry& e, u32 k) { return e.read_tag != tag_none(k) ? e.read_tag : e.write_tag; }
bool is_live(const TlbEntry& e, u32 k) { return e.read_tag != tag_none(k) || e.write_tag != tag_none(k); }

// The only places where entries go or become read-only.

u32 drop(TlbEntry& e, u32 k) {
  e = {tag_none(k), tag_none(k), 0};
  return 1;
}
u32 drop(u64& exec) {
  exec = k_exec_none;
  return 1;
}
void forbid_writes(TlbEntry& e, u32 k) { e.write_tag = tag_none(k); }

void clear_exec(Space& space, bool privileged) {
  if (space.empty) return;
  for (u64& e : space.exec[privileged]) drop(e);
}

/// Drops the live entries for which f(meta, page address) holds.
template <class F>
u32 drop_if(Space& space, F f) {
  u32 count = 0;
  for (int p = 0; p < 2; ++p) {
    for (u32 k = 0; k < k_tlb_entries; ++k) {
      TlbEntry& e = space.data[p][k];
      if (is_live(e, k) && f(space.data_meta[p][k], page_of(e, k))) count += drop(e, k);
    }
    for (u32 k = 0; k < k_exec_entries; ++k) {
      u64& e = space.exec[p][k];
      if (e != k_exec_none && f(space.exec_meta[p][k], static_cast<u32>(e) << k_page_bits)) count += drop(e);
    }
  }
  return count;
}

/// Drops the entries of one small page, whose places are known.
template <class F>
u32 drop_small(Space& space, u32 va, F may_drop) {
  const u32 page = va & k_page_of;
  u32 count = 0;
  for (int p = 0; p < 2; ++p) {
    const u32 d = (va >> k_page_bits) % k_tlb_entries, x = (va >> k_page_bits) % k_exec_entries;
    TlbEntry& e = space.data[p][d];
    if (is_live(e, d) && page_of(e, d) == page && may_drop(space.data_meta[p][d])) count += drop(e, d);
    u64& id = space.exec[p][x];
    if (id != k_exec_none && static_cast<u32>(id) == va >> k_page_bits && may_drop(space.exec_meta[p][x]))
      count += drop(id);
  }
  return count;
}

}  // namespace

SpaceKey SpaceKey::of(const arm::CpuState& s, Policy policy) {
  SpaceKey k;
  const arm::Cp15State& c = s.cp15;
  if (!(c.sctlr & k_sctlr_m)) return k;  // flat: nothing else counts
  k.config = c.sctlr & k_sctlr_translation;
  k.ttbcr = c.ttbcr;
  k.mair0 = c.mair0;
  k.mair1 = c.mair1;
  const bool long_format = c.ttbcr & k_ttbcr_eae;
  if (!long_format) k.dacr = c.dacr;
  if (!is_coherent(policy)) k.asid = arm::current_asid(s);
  if (policy != Policy::Asid) {  // without the ASID, and without the attributes of table walks, which mean nothing here
    k.table0 = long_format ? c.ttbr0 & k_long_base : static_cast<u32>(c.ttbr0) & k_short_base;
    k.table1 = long_format ? c.ttbr1 & k_long_base : static_cast<u32>(c.ttbr1) & k_short_base;
  }
  return k;
}

SpaceKey SpaceKey::without_asid() const {
  SpaceKey k = *this;
  k.asid = Asid();
  return k;
}

u32 Space::clear() {
  if (empty) return 0;
  u32 count = 0;
  for (auto& table : data)
    for (u32 k = 0; k < k_tlb_entries; ++k) {
      count += is_live(table[k], k);
      drop(table[k], k);
    }
  for (auto& table : exec)
    for (u64& e : table) {
      count += e != k_exec_none;
      drop(e);
    }
  empty = true;
  large.fill(0);
  largest = 0;
  covered.fill(0);
  return count;
}

bool Space::uncover(u32 va, u32 bits) {
  const u32 first = va >> 20, count = bits <= 20 ? 1 : 1u << (bits - 20);
  bool any = false;
  for (u32 k = first; k < first + count && k < 4096; ++k) {
    const u64 bit = u64{1} << (k & 63);
    any |= (covered[k >> 6] & bit) != 0;
    covered[k >> 6] &= ~bit;
  }
  return any;
}

SoftTlb::SoftTlb(FrameTable& frames, u32 vcpu)
    : frames_(frames),
      writer_bit_(static_cast<u8>(1u << vcpu)),
      written_at_(static_cast<u32*>(std::calloc(frames.ram().size() >> k_page_bits, sizeof(u32)))),
      filled_(std::make_unique<std::atomic<u64>[]>(1u << (32 - k_page_bits - 6))) {
  AV_ASSERT(written_at_);
}

Space* SoftTlb::find(const SpaceKey& key) {
  for (auto& space : spaces_)
    if (space->key == key) return space.get();
  return nullptr;
}

/// A new space, or the one that was not used for longest.
Space& SoftTlb::room() {
  if (spaces_.size() == k_max_spaces)
    return **std::min_element(spaces_.begin(), spaces_.end(),
                              [](const auto& a, const auto& b) { return a->last_use < b->last_use; });
  Space& space = *spaces_.emplace_back(std::make_unique_for_overwrite<Space>());
  space.id = static_cast<u32>(spaces_.size() - 1);
  space.empty = false;
  space.clear();
  return space;
}

/// Makes `space` a new one, of `key`.
void SoftTlb::begin(Space& space, const SpaceKey& key) {
  clear(space);
  for (const bool privileged : {false, true}) renew(space, privileged);
  ++changes_;
  space.own_privileged = false;
  space.key = key;
  space.all_spaces = &all_spaces(key.without_asid());
}

ExecEpoch& SoftTlb::all_spaces(const SpaceKey& key) {
  for (auto& entry : all_spaces_)
    if (entry.first == key) return *entry.second;
  if (all_spaces_.size() >= k_max_spaces) {  // the others find theirs no more and have their own from now on
    for (auto& space : spaces_) {
      space->all_spaces = nullptr;
      space->epoch[1].renew();
      clear_exec(*space, true);
    }
    all_spaces_.clear();
    ++changes_;
  }
  return *all_spaces_.emplace_back(key, std::make_unique<ExecEpoch>()).second;
}

u32 SoftTlb::exec_number(bool privileged, u32 key) {
  ExecEpoch& epoch = current_->epoch_of(privileged);
  if (const u32 number = epoch.find(key)) return number;
  if (++next_number_ == 0) {
    renew_all();
    wrapped_ = true;
    next_number_ = 1;
  }
  epoch.give(key, next_number_);
  return next_number_;
}

// The numbers of an epoch are given up, and with them the entries that kept its notes.

void SoftTlb::renew(Space& space, bool privileged) {
  ExecEpoch& epoch = space.epoch[privileged];
  if (epoch.unused()) return;
  epoch.renew();
  ++changes_;
  if (!space.shares_epoch(privileged)) clear_exec(space, privileged);
}

void SoftTlb::renew_shared(ExecEpoch& epoch) {
  if (epoch.unused()) return;
  epoch.renew();
  ++changes_;
  for (auto& space : spaces_)
    if (space->all_spaces == &epoch && space->shares_epoch(true)) clear_exec(*space, true);
}

void SoftTlb::renew_all() {
  for (auto& space : spaces_)
    for (const bool privileged : {false, true}) renew(*space, privileged);
  for (auto& entry : all_spaces_) renew_shared(*entry.second);
  noted_ = {};
}

/// Of one space, numbers under which code in [va, va + 1 << bits) may be known.
void SoftTlb::renew_range(Space& space, u32 va, u32 bits) {
  const auto may_know = [&](const ExecEpoch& epoch) { return bits > k_page_bits || epoch.may_know(va); };
  for (const bool privileged : {false, true})
    if (may_know(space.epoch[privileged])) renew(space, privileged);
  if (space.all_spaces && may_know(*space.all_spaces)) renew_shared(*space.all_spaces);
}

/// Gives up the numbers under which code at `va` may be known; of `asid` only, or of code on global pages, if given.
void SoftTlb::renew_page(u32 va, const Asid* asid) {
  if (!noted_.may_know(va)) return;
  for (auto& entry : all_spaces_)
    if (entry.second->may_know(va)) renew_shared(*entry.second);
  for (auto& space : spaces_)
    for (const bool privileged : {false, true}) {
      const ExecEpoch& epoch = space->epoch[privileged];
      if ((!asid || space->key.asid == *asid || epoch.any_global()) && epoch.may_know(va)) renew(*space, privileged);
    }
}

/// The frame may be written unseen by way of `page` from now on.
bool SoftTlb::may_write(GuestPa frame, u32 page) {
  if (!frames_.allow_unseen_writes(frame, writer_bit_)) return false;
  u32& at = written_at_[frames_.index(frame)];
  if (at != (page | 1)) at = at == 0 ? page | 1 : k_many;
  return true;
}

void SoftTlb::fill_data(u32 va, const arm::Translation& t, bool privileged, u8* host, bool ram) {
  Space& space = *current_;
  const u32 page = va & k_page_of, k = (va >> k_page_bits) % k_tlb_entries;
  const GuestPa frame(t.pa.value & ~u64{k_page_mask});
  TlbEntry e{tag_none(k), tag_none(k), reinterpret_cast<u64>(host)};
  const bool normal = t.type == arm::MemoryType::Normal;
  const bool tagged = normal || !(space.key.config & k_sctlr_m);
  if (tagged && (privileged ? t.pl1_read : t.pl0_read)) e.read_tag = page;
  const bool writable = tagged && ram && (privileged ? t.pl1_write : t.pl0_write);
  if (writable && may_write(frame, page)) e.write_tag = page;
  space.data[privileged][k] = e;
  space.data_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, normal, writable,
                                    static_cast<u8>(t.domain & 15)};
  space.note_size(va, t.page_bits);
  note_filled(va, t.page_bits);
}

bool SoftTlb::fill_exec(u32 va, const arm::Translation& t, bool privileged) {
  Space& space = *current_;
  const bool parts = space.shares_epoch(privileged) && !t.global;
  if (parts) {
    clear_exec(space, true);  // what was noted with the others' is not noted here
    space.own_privileged = true;
    ++changes_;
  }
  const u32 k = (va >> k_page_bits) % k_exec_entries;
  space.exec[privileged][k] = exec_id(va, t.pa);
  space.exec_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, true, false,
                                    static_cast<u8>(t.domain & 15)};
  space.note_size(va, t.page_bits);
  note_filled(va, t.page_bits);
  space.epoch_of(privileged).note(va, t.page_bits, t.global);
  noted_.note(va, t.page_bits, t.global);
  return !parts;
}

u32 SoftTlb::clear(Space& space) {
  detach_window(space);
  return space.clear();
}

u32 SoftTlb::drop_all() {
  drop_global_window();
  return drop_entries();
}

u32 SoftTlb::drop_entries() {
  u32 count = 0;
  for (auto& space : spaces_) count += clear(*space);
  renew_all();
  if (global_.window) {
    global_.suspect.fill(~u64{0});
    global_.any_suspect = true;
  }
  return count;
}

u32 SoftTlb::drop_space(Space& space) {
  const u32 count = clear(space);
  for (const bool privileged : {false, true}) renew(space, privileged);
  if (space.all_spaces) renew_shared(*space.all_spaces);
  return count;
}

u32 SoftTlb::drop_not_global(Asid asid) {
  u32 count = 0;
  for (auto& space : spaces_) {
    if (space->empty || space->key.asid != asid) continue;
    count += drop_if(*space, [](const Space::Meta& meta, u32) { return !meta.global; });
    for (const bool privileged : {false, true}) renew(*space, privileged);
    detach_window(*space);
  }
  return count;
}

u32 SoftTlb::drop_page(u32 va, const Asid* asid) {
  drop_in_global_window(va);
  if (!may_have(va)) return 0;
  if (!asid) {
    write_filled(va, false);
    large_.mark(va, 20, false);  // every large page there goes whole
  }
  u32 count = 0;
  for (auto& space : spaces_) {
    if (space->empty) continue;
    const bool all = !asid || space->key.asid == *asid;
    if (!space->has_large(va)) {
      count += drop_small(*space, va, [all](const Space::Meta& meta) { return all || meta.global; });
      drop_in_window(*space, va, k_page_bits, !all);
      continue;
    }
    // A piece of a large page goes with any address inside it. Everything in reach of the largest page goes, so that
    // the next flush of an address there, which will often follow at once, has nothing to look for.
    const u32 bits = std::max(space->largest, 20u);  // what is known of sizes is known by MiB
    count += drop_if(*space, [va, bits](const Space::Meta&, u32 page) { return (u64{va ^ page} >> bits) == 0; });
    drop_in_window(*space, va, bits, false);
    space->forget_large(va);
  }
  renew_page(va, asid);
  return count;
}

u32 SoftTlb::drop_pages(u32 va, u32 pages, const Asid* asid) {
  constexpr u32 k_word = 64;
  u32 count = 0, number = va >> k_page_bits;
  const u32 end = std::min(number + pages, 1u << (32 - k_page_bits));
  while (number < end) {
    const u32 at = number << k_page_bits;
    const bool suspect = global_.large.has(at) && !in_mib(global_.suspect, at);
    if (number % k_word == 0 && end - number >= k_word && filled_word(at) == 0 && !large_.has(at) && !suspect) {
      number += k_word;
      continue;
    }
    count += drop_page(at | (va & k_page_mask), asid);
    ++number;
  }
  return count;
}

bool SoftTlb::may_have_any(u32 va, u32 pages) const {
  if (walking_.load() != 0) return true;
  const u32 first = va >> k_page_bits, end = std::min(first + pages, 1u << (32 - k_page_bits));
  for (u32 number = first; number < end;) {
    const u32 at = number << k_page_bits, next = std::min(end, (number | 63) + 1);
    const u64 mask = ~u64{0} >> (63 - (next - number - 1)) << (number & 63);
    if ((filled_word(at) & mask) != 0 || large_.has(at) || global_.large.has(at)) return true;
    number = next;
  }
  return unsettled_.load();
}

u32 SoftTlb::drop_range(Space& space, u32 va, u32 bits) {
  if (space.empty) return 0;
  drop_in_window(space, va, bits, false);
  const u32 count =
      bits <= k_page_bits
          ? drop_small(space, va, [](const Space::Meta&) { return true; })
          : drop_if(space, [va, bits](const Space::Meta&, u32 page) { return (u64{va ^ page} >> bits) == 0; });
  renew_range(space, va, bits);
  return count;
}

bool SoftTlb::drop_writes(GuestPa pa) {
  const GuestPa frame(pa.value & ~u64{k_page_mask});
  auto& writers = frames_.writers(frame);
  if (!(writers.load(std::memory_order_relaxed) & writer_bit_)) return false;
  writers.fetch_and(static_cast<u8>(~writer_bit_));
  const u64 host = reinterpret_cast<u64>(frames_.ram().host(frame));
  const u32 at = std::exchange(written_at_[frames_.index(frame)], 0);
  const u32 first = at & 1 ? (at >> k_page_bits) % k_tlb_entries : 0;
  const u32 end = at == 0 ? 0 : at & 1 ? first + 1 : k_tlb_entries;
  for (auto& space : spaces_) {
    if (space->empty) continue;
    for (auto& table : space->data)
      for (u32 k = first; k < end; ++k)
        if (table[k].write_tag != tag_none(k) && table[k].host == host) forbid_writes(table[k], k);
    if (space->window) space->window->drop_writes(frame.value - frames_.ram().base().value);
  }
  if (global_.window) global_.window->drop_writes(frame.value - frames_.ram().base().value);
  return true;
}

}  // namespace armvisor::mmu
