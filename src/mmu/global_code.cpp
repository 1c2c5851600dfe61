#include "mmu/global_code.h"

#include <algorithm>

namespace armvisor::mmu {

GlobalCode::GlobalCode(const SpaceKey& key) : key_(key.of_global_pages()) { clear(); }

void GlobalCode::fill(u32 va, const arm::Translation& t, u32 dacr) {
  entries_[(va >> k_page_bits) % k_exec_entries] = exec_id(va, t.pa);
  epoch_.note(va, t.page_bits, true);
  const u32 mask = mask_of(t.domain);
  domains_ |= mask;
  dacr_ = (dacr_ & ~mask) | (dacr & mask);
  const u32 mask_within = (1u << std::min(t.page_bits, k_mib_bits)) - 1;
  const Seen seen{va & ~mask_within, static_cast<u8>(t.page_bits), t.domain, GuestPa(t.pa.value & ~u64{mask_within})};
  if (too_many_ || std::ranges::find(seen_, seen) != seen_.end()) return;
  too_many_ = seen_.size() == k_most_seen;
  if (!too_many_) seen_.push_back(seen);
}

void GlobalCode::clear() {
  std::ranges::fill(entries_, k_exec_none);
  epoch_.renew();
  seen_.clear();
  too_many_ = false;
  domains_ = 0;
}

}  // namespace armvisor::mmu
