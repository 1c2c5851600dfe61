#include "engine/debug_stops.h"

#include <algorithm>
#include <iterator>

#include "arm/debug_events.h"

namespace armvisor::engine {

std::vector<u32> DebugStops::differing_pages(const arm::ExternalStops& a, const arm::ExternalStops& b) {
  std::vector<u32> pages;
  std::ranges::set_symmetric_difference(a.breakpoints, b.breakpoints, std::back_inserter(pages));
  for (u32& page : pages) page >>= k_page_bits;
  const auto same = std::ranges::unique(pages);
  pages.erase(same.begin(), same.end());
  return pages;
}

bool VcpuStops::refresh(arm::CpuState& s) {
  const u32 external = (stepping() ? arm::k_armed_pl0_code | arm::k_armed_pl1_code : 0) |
                       (now().watchpoints.empty() ? 0 : arm::k_armed_pl0_data | arm::k_armed_pl1_data);
  const bool changed = s.cp15.debug.external != external || seen_ != shared_.changes() || stepped_last_ != stepping();
  s.cp15.debug.external = external;
  seen_ = shared_.changes();
  stepped_last_ = stepping();
  return changed;
}

bool VcpuStops::stop(const DebugStop& why) {
  last_ = why;
  pending_ = true;
  return true;
}

bool VcpuStops::stops_at(u32 pc) {
  using Why = DebugStop::Why;
  if (step_ == Step::Begun) return stop({.why = Why::Step, .address = pc});
  if (step_ == Step::Wanted) {  // even where a breakpoint is: it was met before
    step_ = Step::Begun;
    return false;
  }
  return now().breaks_at(pc) && stop({.why = Why::Breakpoint, .address = pc});
}

bool VcpuStops::stops_access(u32 va, u32 size, bool write) {
  const arm::ExternalWatch* const watch = now().watch_of(va, size, write);
  return watch && stop({.why = DebugStop::Why::Watchpoint, .address = watch->va, .watch = *watch});
}

bool VcpuStops::ends_step(u32 pc) { return stepping() && stop({.why = DebugStop::Why::Step, .address = pc}); }

}  // namespace armvisor::engine
