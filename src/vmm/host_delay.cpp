#include "vmm/host_delay.h"

#include <pthread.h>

#include <algorithm>

namespace armvisor::vmm {
namespace {

u64 ns_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

}  // namespace

void HostDelay::begin() {
  const std::lock_guard guard(mutex_);
  counts_ = pthread_getcpuclockid(pthread_self(), &cpu_) == 0;
  began_ = ns_of(CLOCK_MONOTONIC);
  cpu_before_ = ns_of(cpu_);
}

/// A sleep that begins within another goes on with it.
void HostDelay::sleeps(std::optional<u64> most_ns) {
  const std::lock_guard guard(mutex_);
  if (!counts_ || sleep_) return;
  sleep_.emplace();
  sleep_->since = ns_of(CLOCK_MONOTONIC);
  if (most_ns) sleep_->until = sleep_->since + *most_ns;
}

void HostDelay::woken() {
  const std::lock_guard guard(mutex_);
  if (sleep_) sleep_->until = std::min(sleep_->until, ns_of(CLOCK_MONOTONIC));
}

void HostDelay::runs() {
  const std::lock_guard guard(mutex_);
  if (!sleep_) return;
  slept_ = slept(ns_of(CLOCK_MONOTONIC));
  sleep_.reset();
}

u64 HostDelay::slept(u64 now) const { return slept_ + (sleep_ ? std::min(now, sleep_->until) - sleep_->since : 0); }

u64 HostDelay::ns() {
  const std::lock_guard guard(mutex_);
  if (!counts_) return 0;
  const u64 now = ns_of(CLOCK_MONOTONIC), had = ns_of(cpu_) - cpu_before_ + slept(now);
  return now - began_ > had ? now - began_ - had : 0;
}

}  // namespace armvisor::vmm
