#pragma once
// How long requests spend in each step of their way (steps.inc), from readings of the host's clock by whichever thread
// gets to it. A step that begins again before it has ended goes on: what is batched counts once.
#include <array>
#include <atomic>

#include "measure/clock.h"

namespace armvisor::measure {

enum class Step : u8 {
#define STEP(id, name, meaning) id,
#include "measure/steps.inc"
#undef STEP
};
inline constexpr const char* k_step_names[] = {
#define STEP(id, name, meaning) name,
#include "measure/steps.inc"
#undef STEP
};
inline constexpr u32 k_steps = std::size(k_step_names);

struct StepSnapshot {
  u64 count = 0, ns = 0;
};
using StepSnapshots = std::array<StepSnapshot, k_steps>;

/// (any thread)
class StepTimes {
 public:
  void begin(Step step) {
    Time& t = of(step);
    if (t.since.load(std::memory_order_relaxed) == 0) t.since.store(ticks(), std::memory_order_relaxed);
  }
  void forget(Step step) { of(step).since.store(0, std::memory_order_relaxed); }
  void end(Step step) {
    Time& t = of(step);
    if (t.since.load(std::memory_order_relaxed) == 0) return;
    const u64 since = t.since.exchange(0, std::memory_order_relaxed), now = ticks();
    if (since == 0 || now < since) return;
    t.count.fetch_add(1, std::memory_order_relaxed);
    t.sum.fetch_add(now - since, std::memory_order_relaxed);
  }
  StepSnapshots snapshot(double ns_per_tick) const {
    StepSnapshots out;
    for (u32 k = 0; k < k_steps; ++k)
      out[k] = {times_[k].count.load(std::memory_order_relaxed),
                static_cast<u64>(static_cast<double>(times_[k].sum.load(std::memory_order_relaxed)) * ns_per_tick)};
    return out;
  }

 private:
  struct Time {
    std::atomic<u64> since{0}, count{0}, sum{0};
  };
  Time& of(Step step) { return times_[static_cast<u32>(step)]; }
  std::array<Time, k_steps> times_;
};

}  // namespace armvisor::measure
