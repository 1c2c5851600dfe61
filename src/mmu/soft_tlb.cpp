#include "mmu/soft_tlb.h"

#include <algorithm>

namespace armvisor::mmu {
namespace {

// SCTLR (B4.1.130): M, WXN, UWXN, EE, TRE, AFE.
constexpr u32 k_sctlr_m = 1u << 0;
constexpr u32 k_sctlr_translation = k_sctlr_m | 1u << 19 | 1u << 20 | 1u << 25 | 1u << 28 | 1u << 29;
constexpr u32 k_ttbcr_eae = 1u << 31, k_ttbcr_a1 = 1u << 22;

constexpr u32 k_page_of = ~k_page_mask;

void clear_entry(TlbEntry& e, u32 k) { e = {tag_none(k), tag_none(k), 0}; }

u32 page_of(const TlbEntry& e, u32 k) { return e.read_tag != tag_none(k) ? e.read_tag : e.write_tag; }
bool is_live(const TlbEntry& e, u32 k) { return e.read_tag != tag_none(k) || e.write_tag != tag_none(k); }

/// Calls f(meta, page address) for each live entry; f returns true to drop it.
template <class F>
void drop_if(Space& space, F f) {
  for (int p = 0; p < 2; ++p) {
    for (u32 k = 0; k < k_tlb_entries; ++k) {
      TlbEntry& e = space.data[p][k];
      if (is_live(e, k) && f(space.data_meta[p][k], page_of(e, k))) clear_entry(e, k);
    }
    for (u32 k = 0; k < k_exec_entries; ++k) {
      u64& e = space.exec[p][k];
      if (e != k_exec_none && f(space.exec_meta[p][k], static_cast<u32>(e) << k_page_bits)) e = k_exec_none;
    }
  }
}

/// Drops the entries of one small page, whose places are known.
template <class F>
void drop_page(Space& space, u32 va, F may_drop) {
  const u32 page = va & k_page_of;
  for (int p = 0; p < 2; ++p) {
    const u32 d = (va >> k_page_bits) % k_tlb_entries, x = (va >> k_page_bits) % k_exec_entries;
    TlbEntry& e = space.data[p][d];
    if (is_live(e, d) && page_of(e, d) == page && may_drop(space.data_meta[p][d])) clear_entry(e, d);
    u64& id = space.exec[p][x];
    if (id != k_exec_none && static_cast<u32>(id) == va >> k_page_bits && may_drop(space.exec_meta[p][x]))
      id = k_exec_none;
  }
}

}  // namespace

SpaceKey SpaceKey::of(const arm::CpuState& s) {
  SpaceKey k;
  const arm::Cp15State& c = s.cp15;
  if (!(c.sctlr & k_sctlr_m)) return k;  // flat: nothing else counts
  k.config = c.sctlr & k_sctlr_translation;
  k.ttbcr = c.ttbcr;
  k.mair0 = c.mair0;
  k.mair1 = c.mair1;
  if (c.ttbcr & k_ttbcr_eae) {
    k.asid = Asid(static_cast<u8>((c.ttbcr & k_ttbcr_a1 ? c.ttbr1 : c.ttbr0) >> 48));
  } else {
    k.asid = Asid(static_cast<u8>(c.contextidr));
    k.dacr = c.dacr;
  }
  return k;
}

SpaceKey SpaceKey::without_asid() const {
  SpaceKey k = *this;
  k.asid = Asid();
  return k;
}

void Space::clear() {
  if (empty) return;
  for (auto& table : data)
    for (u32 k = 0; k < k_tlb_entries; ++k) clear_entry(table[k], k);
  std::fill_n(&exec[0][0], 2 * k_exec_entries, k_exec_none);
  empty = true;
  large.fill(0);
  largest = 0;
}

Space& SoftTlb::select(const arm::CpuState& s) {
  const SpaceKey key = SpaceKey::of(s);
  if (!current_ || !(current_->key == key)) current_ = &find(key);
  current_->last_use = ++clock_;
  return *current_;
}

Space& SoftTlb::find(const SpaceKey& key) {
  for (auto& space : spaces_)
    if (space->key == key) return *space;
  Space* space = nullptr;
  if (spaces_.size() < k_max_spaces) {
    space = spaces_.emplace_back(std::make_unique_for_overwrite<Space>()).get();
    space->salt = static_cast<u32>(spaces_.size());
  } else {
    space = std::min_element(spaces_.begin(), spaces_.end(), [](const auto& a, const auto& b) {
              return a->last_use < b->last_use;
            })->get();
  }
  space->clear();
  renew(space->epoch[0]);
  renew(space->epoch[1]);
  ++changes_;
  space->own_privileged = false;
  space->key = key;
  space->all_spaces = &all_spaces(key.without_asid());
  return *space;
}

ExecEpoch& SoftTlb::all_spaces(const SpaceKey& key) {
  for (auto& entry : all_spaces_)
    if (entry.first == key) return *entry.second;
  if (all_spaces_.size() >= k_max_spaces) {  // the others find theirs no more and have their own from now on
    for (auto& space : spaces_) {
      space->all_spaces = nullptr;
      renew(space->epoch[1]);
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

bool SoftTlb::note_code(u32 va, bool privileged) {
  Space& space = *current_;
  const Space::Meta& meta = space.exec_meta[privileged][(va >> k_page_bits) % k_exec_entries];
  const bool same = !privileged || meta.global || space.own_privileged || !space.all_spaces;
  if (!same) {
    space.own_privileged = true;
    ++changes_;
  }
  space.epoch_of(privileged).note(va, meta.page_bits, meta.global);
  noted_.note(va, meta.page_bits, meta.global);
  return same;
}

void SoftTlb::renew(ExecEpoch& epoch) {
  if (epoch.unused()) return;
  epoch.renew();
  ++changes_;
}

void SoftTlb::renew_all() {
  for (auto& space : spaces_)
    for (ExecEpoch& epoch : space->epoch) renew(epoch);
  for (auto& entry : all_spaces_) renew(*entry.second);
  noted_ = {};
}

/// Gives up the numbers under which code at `va` may be known; of `asid` only, or of code on global pages, if given.
void SoftTlb::renew_page(u32 va, const Asid* asid) {
  if (!noted_.may_know(va)) return;
  for (auto& entry : all_spaces_)
    if (entry.second->may_know(va)) renew(*entry.second);
  for (auto& space : spaces_)
    for (ExecEpoch& epoch : space->epoch)
      if ((!asid || space->key.asid == *asid || epoch.any_global()) && epoch.may_know(va)) renew(epoch);
}

void SoftTlb::fill_data(u32 va, const arm::Translation& t, bool privileged, u8* host, bool ram, bool write) {
  ++fills_;
  Space& space = *current_;
  const u32 page = va & k_page_of, k = (va >> k_page_bits) % k_tlb_entries;
  const GuestPa frame(t.pa.value & ~u64{k_page_mask});
  TlbEntry e{tag_none(k), tag_none(k), reinterpret_cast<u64>(host)};
  const bool normal = t.type == arm::MemoryType::Normal;
  const bool tagged = normal || !(space.key.config & k_sctlr_m);
  if (tagged && (privileged ? t.pl1_read : t.pl0_read)) e.read_tag = page;
  if (tagged && ram && (privileged ? t.pl1_write : t.pl0_write)) {
    auto& marks = frames_.ram().marks(frame);
    if (write && !(marks.load(std::memory_order_relaxed) & k_frame_dirty)) marks.fetch_or(k_frame_dirty);
    const bool dirty = marks.load(std::memory_order_relaxed) & k_frame_dirty;
    if (dirty && frames_.allow_unseen_writes(frame, writer_bit_)) e.write_tag = page;
  }
  space.data[privileged][k] = e;
  space.data_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, normal};
  space.note_size(va, t.page_bits);
}

void SoftTlb::fill_exec(u32 va, const arm::Translation& t, bool privileged) {
  ++fills_;
  Space& space = *current_;
  const u32 k = (va >> k_page_bits) % k_exec_entries;
  space.exec[privileged][k] = exec_id(va, t.pa);
  space.exec_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, t.type == arm::MemoryType::Normal};
  space.note_size(va, t.page_bits);
}

void SoftTlb::flush_all() {
  for (auto& space : spaces_) space->clear();
  renew_all();
}

void SoftTlb::flush_asid(Asid asid) {
  for (auto& space : spaces_) {
    if (space->empty || space->key.asid != asid) continue;
    drop_if(*space, [](const Space::Meta& meta, u32) { return !meta.global; });
    for (ExecEpoch& epoch : space->epoch) renew(epoch);
  }
}

void SoftTlb::flush_page(u32 va, const Asid* asid) {
  renew_page(va, asid);
  for (auto& space : spaces_) {
    if (space->empty) continue;
    const bool all = !asid || space->key.asid == *asid;
    if (!space->has_large(va)) {
      drop_page(*space, va, [all](const Space::Meta& meta) { return all || meta.global; });
      continue;
    }
    // A piece of a large page goes with any address inside it. Everything in reach of the largest page goes, so that
    // the next flush of an address there, which will often follow at once, has nothing to look for.
    const u32 bits = space->largest;
    drop_if(*space, [va, bits](const Space::Meta&, u32 page) { return (u64{va ^ page} >> bits) == 0; });
    space->forget_large(va);
  }
}

bool SoftTlb::drop_writes(GuestPa pa) {
  const GuestPa frame(pa.value & ~u64{k_page_mask});
  auto& writers = frames_.writers(frame);
  if (!(writers.load(std::memory_order_relaxed) & writer_bit_)) return false;
  writers.fetch_and(static_cast<u8>(~writer_bit_));
  const u64 host = reinterpret_cast<u64>(frames_.ram().host(frame));
  for (auto& space : spaces_) {
    if (space->empty) continue;
    for (auto& table : space->data)
      for (u32 k = 0; k < k_tlb_entries; ++k) {
        TlbEntry& e = table[k];
        if (e.write_tag == tag_none(k) || e.host != host) continue;
        e.write_tag = tag_none(k);
      }
  }
  return true;
}

}  // namespace armvisor::mmu
