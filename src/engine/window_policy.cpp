#include "engine/window_policy.h"

#include <algorithm>

namespace armvisor::engine {
namespace {

constexpr u32 k_ticks_before = 3;
/// So many changes of the space since the tick before, and one earns user code nothing: each costs some time, too. So
/// many blocks that are new, and it earns privileged code nothing, nor user code that has no window yet: what starts up
/// would have most of its blocks made twice.
constexpr u64 k_many_switches = 16, k_many_blocks = 32;
/// Interrupts that follow each other faster are one tick.
constexpr std::chrono::microseconds k_tick_distance{900};
/// A tick earns this share of the time since the last, at most so much; a window is used again when enough is saved up.
constexpr s32 k_earned_share = 10, k_tick_earns = 400, k_enough = 1200;

}  // namespace

bool WindowPolicy::tick(mmu::WindowUse& use, bool privileged, Time now, Counts counts) {
  Tick& last = last_[privileged];
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(now - last.time);
  if (elapsed < k_tick_distance) return false;
  const u64 switches = counts.switches - last.counts.switches, blocks = counts.blocks - last.counts.blocks;
  last = {now, counts};
  if (blocks > k_many_blocks && (privileged || !use.on)) {
    if (!use.on) use.ticks = 0;
    return false;
  }
  if (!privileged && switches > k_many_switches) return false;
  const auto earned = static_cast<s32>(std::min<s64>(elapsed.count() / k_earned_share, k_tick_earns));
  use.credit = std::min(use.credit + earned, k_most_credit[privileged]);
  return ++use.ticks >= k_ticks_before && !use.on && use.credit >= k_enough;
}

bool WindowPolicy::charge(mmu::WindowUse& use, bool privileged, s32 cost) {
  use.credit = std::max(use.credit - cost, -k_most_credit[privileged]);
  return use.credit < 0 && use.on;
}

}  // namespace armvisor::engine
