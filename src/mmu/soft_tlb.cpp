#include "mmu/soft_tlb.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/bits.h"

namespace armvisor::mmu {
namespace {

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
  for_each_bit(space.exec_used[privileged], [&](u32 k) { drop(space.exec[privileged][k]); });
  space.exec_used[privileged] = {};
}

/// Drops the live entries for which f(meta, page address) holds.
template <class F>
u32 drop_if(Space& space, F f) {
  u32 count = 0;
  for (int p = 0; p < 2; ++p) {
    for_each_bit(space.data_used[p], [&](u32 k) {
      TlbEntry& e = space.data[p][k];
      if (is_live(e, k) && f(space.data_meta[p][k], page_of(e, k))) count += drop(e, k);
    });
    for_each_bit(space.exec_used[p], [&](u32 k) {
      u64& e = space.exec[p][k];
      if (e != k_exec_none && f(space.exec_meta[p][k], static_cast<u32>(e) << k_page_bits)) count += drop(e);
    });
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

u32 Space::clear() {
  if (empty) return 0;
  const u32 count = drop_if(*this, [](const Meta&, u32) { return true; });
  for (auto& used : data_used) used = {};
  for (auto& used : exec_used) used = {};
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
  for (auto& table : space.data)
    for (u32 k = 0; k < k_tlb_entries; ++k) drop(table[k], k);
  for (auto& table : space.exec)
    for (u64& e : table) drop(e);
  return space;
}

/// Makes `space` a new one, of `key`.
void SoftTlb::begin(Space& space, const SpaceKey& key) {
  clear(space);
  for (const bool privileged : {false, true}) renew(space, privileged);
  ++changes_;
  space.own_privileged = false;
  space.key = key;
  space.global_code = &code_for(key);
}

/// That which spaces of `key` may use. If none may, one that none uses becomes it.
GlobalCode& SoftTlb::code_for(const SpaceKey& key) {
  for (auto& code : global_code_)
    if (code->serves(key)) return *code;
  for (auto& code : global_code_) {
    const auto uses = [&code](const auto& space) { return space->global_code == code.get(); };
    if (std::ranges::any_of(spaces_, uses)) continue;
    *code = GlobalCode(key);
    return *code;
  }
  return *global_code_.emplace_back(std::make_unique<GlobalCode>(key));
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
  clear_exec(space, privileged);
}

void SoftTlb::renew(GlobalCode& code) {
  if (code.epoch().unused()) return;
  code.clear();
  ++changes_;
}

void SoftTlb::renew_all() {
  for (auto& space : spaces_)
    for (const bool privileged : {false, true}) renew(*space, privileged);
  for (auto& code : global_code_) renew(*code);
  noted_ = {};
}

/// Of one space, numbers under which code in [va, va + 1 << bits) may be known.
void SoftTlb::renew_range(Space& space, u32 va, u32 bits) {
  const auto may_know = [&](const ExecEpoch& epoch) { return bits > k_page_bits || epoch.may_know(va); };
  for (const bool privileged : {false, true})
    if (may_know(space.epoch[privileged])) renew(space, privileged);
  if (may_know(space.global_code->epoch())) renew(*space.global_code);
}

/// Gives up the numbers under which code at `va` may be known; of `asid` only, or of code on global pages, if given.
void SoftTlb::renew_page(u32 va, const Asid* asid) {
  if (!noted_.may_know(va)) return;
  for (auto& code : global_code_)
    if (code->epoch().may_know(va)) renew(*code);
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
  const bool tagged = normal || space.key.is_flat();
  if (tagged && (privileged ? t.pl1_read : t.pl0_read)) e.read_tag = page;
  const bool writable = tagged && ram && (privileged ? t.pl1_write : t.pl0_write);
  if (writable && may_write(frame, page)) e.write_tag = page;
  space.data[privileged][k] = e;
  space.data_used[privileged][k / 64] |= u64{1} << k % 64;
  space.data_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, normal, writable,
                                    static_cast<u8>(t.domain & 15)};
  space.note_size(va, t.page_bits);
  note_filled(va, t.page_bits);
}

bool SoftTlb::fill_exec(u32 va, const arm::Translation& t, bool privileged) {
  Space& space = *current_;
  note_filled(va, t.page_bits);
  noted_.note(va, t.page_bits, t.global);
  if (space.shares_code(privileged) && t.global) return fill_global_code(va, t);
  const bool parts = space.shares_code(privileged);
  if (parts) {
    space.own_privileged = true;
    ++changes_;
  }
  const u32 k = (va >> k_page_bits) % k_exec_entries;
  space.exec[privileged][k] = exec_id(va, t.pa);
  space.exec_used[privileged][k / 64] |= u64{1} << k % 64;
  space.exec_meta[privileged][k] = {static_cast<u8>(t.page_bits), t.global, true, false,
                                    static_cast<u8>(t.domain & 15)};
  space.note_size(va, t.page_bits);
  space.epoch[privileged].note(va, t.page_bits, t.global);
  return !parts;
}

/// False: numbers have changed.
bool SoftTlb::fill_global_code(u32 va, const arm::Translation& t) {
  GlobalCode& code = *current_->global_code;
  const u32 dacr = current_->key.dacr;
  const auto parts = [&](const auto& space) {
    return space->global_code == &code && code.would_part(space->key.dacr, dacr, t.domain);
  };
  const bool part = std::ranges::any_of(spaces_, parts);
  // What spaces have derived from tables is to be in the code that they use; so nothing stays in what some leave.
  if (part) renew(code);
  code.fill(va, t, dacr);
  if (!part) return true;
  for (auto& space : spaces_)
    if (space->global_code == &code && !code.serves(space->key)) space->global_code = &code_for(space->key);
  ++changes_;
  return false;
}

u32 SoftTlb::clear(Space& space) {
  detach_window(space);
  return space.clear();
}

u32 SoftTlb::drop_all() {
  drop_global_window();
  return drop_entries(nullptr);
}

u32 SoftTlb::drop_entries(const Tables* tables) {
  u32 count = 0;
  noted_ = {};
  for (auto& space : spaces_) {
    count += clear(*space);
    for (const bool privileged : {false, true}) renew(*space, privileged);
  }
  keep_global(tables);
  if (tables) kept_by_ = tables->bases;
  kept_[0] = kept_[1] = tables != nullptr;
  return count;
}

void SoftTlb::keep_global(const Tables* tables) {
  for (const u32 k : {0, 1}) kept_[k] &= tables && tables->bases[k] == kept_by_[k];
  for (auto& code : global_code_) {
    if (tables && code->serves(tables->key) && code->still_holds(tables->translate_code))
      noted_.add(code->epoch());
    else
      renew(*code);
  }
  if (global_.window) {
    global_.suspect.fill(~u64{0});
    global_.any_suspect = true;
  }
}

u32 SoftTlb::drop_space(Space& space) {
  const u32 count = clear(space);
  for (const bool privileged : {false, true}) renew(space, privileged);
  renew(*space.global_code);
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
    large_.mark(va, k_mib_bits, false);  // every large page there goes whole
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
    const u32 bits = std::max(space->largest, k_mib_bits);  // what is known of sizes is known by MiB
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
