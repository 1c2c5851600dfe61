#include "measure/clock.h"

#include <ctime>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace armvisor::measure {
namespace {

u64 monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

}  // namespace

u64 ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return monotonic_ns();
#endif
}

TickScale::TickScale() : ticks_(ticks()), ns_(monotonic_ns()) {}

double TickScale::ns_per_tick() const {
  const u64 ticks_now = ticks(), ns_now = monotonic_ns();
  return ticks_now > ticks_ ? static_cast<double>(ns_now - ns_) / static_cast<double>(ticks_now - ticks_) : 1.0;
}

std::array<u64, k_vcpu_times> VcpuClock::read() const {
  std::array<u64, k_vcpu_times> out{};
  // Tried again while the owner is changing the state, but not for ever: it may be changing it all the time.
  for (u32 attempt = 0; attempt < 100; ++attempt) {
    const u64 before = since_.load(std::memory_order_acquire);
    for (u32 k = 0; k < k_vcpu_times; ++k) out[k] = sums_[k].load(std::memory_order_acquire);
    if (before == 0) return out;
    if (before == k_changing || since_.load(std::memory_order_relaxed) != before) continue;
    const u64 now = ticks(), since = before & ~k_state_mask;
    if (now > since) out[before & k_state_mask] += now - since;
    break;
  }
  return out;
}

}  // namespace armvisor::measure
