#include "arm/external_debug.h"

#include <algorithm>

#include "arm/debug_events.h"

namespace armvisor::arm {
namespace {

/// The ranges [a, a + n) and [b, b + m) have a byte in common; both may go round the end of the address space.
bool overlap(u32 a, u32 n, u32 b, u32 m) { return a - b < m || b - a < n; }

}  // namespace

bool ExternalStops::breaks_at(u32 pc) const { return std::ranges::binary_search(breakpoints, pc); }

std::span<const u32> ExternalStops::in_page(u32 va) const {
  const u32 page = va & ~k_page_mask;
  const auto first = std::ranges::lower_bound(breakpoints, page);
  const auto last = std::ranges::upper_bound(breakpoints, page | k_page_mask);
  return {first, last};
}

u64 ExternalStops::filter() const {
  u64 filter = 0;
  for (const u32 pc : breakpoints) filter |= u64{1} << filter_bit(pc);
  return filter;
}

const ExternalWatch* ExternalStops::watch_of(u32 va, u32 size, bool write) const {
  const auto at = std::ranges::find_if(watchpoints, [&](const ExternalWatch& w) {
    return (write ? w.write : w.read) && overlap(w.va, w.size, va, size);
  });
  return at == watchpoints.end() ? nullptr : &*at;
}

bool ExternalStops::page_is_watched(u32 va) const {
  const u32 page = va & ~k_page_mask;
  return std::ranges::any_of(watchpoints,
                             [page](const ExternalWatch& w) { return overlap(w.va, w.size, page, k_page_size); });
}

}  // namespace armvisor::arm
