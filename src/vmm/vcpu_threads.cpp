#include "vmm/vcpu_threads.h"

#include <algorithm>
#include <mutex>

namespace armvisor::vmm {

using debugger::Go;

Status VcpuThreads::start(engine::Engine& engine, bool runs) {
  const std::unique_lock guard(mutex_);
  for (u32 i = 0; i < count_; ++i)
    threads_.push_back(std::make_unique<VcpuThread>(engine.vcpu(i), i, count_, calls_.on_run, calls_.on_crash,
                                                    calls_.on_difference, [this, i] { calls_.on_debug(i); }));
  // The one that runs is the last, so a guest begins only when all of its machine is there.
  for (u32 i = count_; i-- > 0;) {
    if (count_delay_) threads_[i]->count_delay();
    threads_[i]->step(runs && going(i) == Go::Step, steps_take_interrupts_);
    AV_TRY(threads_[i]->start(i == 0, !runs || going(i) == Go::Stay, kind_));
  }
  return {};
}

void VcpuThreads::halt() {
  const Hold guard(mutex_);
  for (auto& thread : threads_) thread->pause();
  calls_.hurry(true);
  for (auto& thread : threads_) thread->wait_until_paused();
  calls_.hurry(false);
}

void VcpuThreads::let_go(std::span<const Go> cpus, bool interrupts) {
  going_.assign(cpus.begin(), cpus.end());
  steps_take_interrupts_ = interrupts;
  const Hold guard(mutex_);
  for (u32 i = 0; i < threads_.size(); ++i) {
    threads_[i]->step(going(i) == Go::Step, interrupts);
    if (going(i) != Go::Stay) threads_[i]->resume();
  }
}

void VcpuThreads::resume() {
  const Hold guard(mutex_);
  for (u32 i = 0; i < threads_.size(); ++i)
    if (going(i) != Go::Stay) threads_[i]->resume();
}

void VcpuThreads::stop() {
  if (threads_.empty()) return;
  // All are told before the first is waited for: they may wait for each other inside the engine.
  for (auto& thread : threads_) thread->request_stop();
  calls_.hurry(true);
  for (auto& thread : threads_) thread->stop();
  calls_.hurry(false);
}

void VcpuThreads::discard() {
  const std::unique_lock guard(mutex_);
  threads_.clear();
}

void VcpuThreads::request_stop(const Hold&) {
  for (auto& thread : threads_) thread->request_stop();
}

void VcpuThreads::wake(u32 cpu) {
  const Hold guard(mutex_);
  if (cpu < threads_.size()) threads_[cpu]->wake();
}

void VcpuThreads::end_wait(u32 cpu) {
  const Hold guard(mutex_);
  if (cpu < threads_.size()) threads_[cpu]->end_wait();
}

bool VcpuThreads::is_on(u32 cpu) {
  const Hold guard(mutex_);
  return cpu < threads_.size() && threads_[cpu]->power() == machine::CpuPower::On;
}

std::vector<int> VcpuThreads::thread_ids() {
  const Hold guard(mutex_);
  std::vector<int> all;
  for (const auto& thread : threads_) all.push_back(thread->thread_id());
  return all;
}

bool VcpuThreads::sample() {
  const Hold guard(mutex_);
  bool awake = false;
  for (auto& thread : threads_) {
    awake = awake || !thread->sleeping();
    thread->sample();
  }
  return awake;
}

u64 VcpuThreads::delay_ns() {
  const Hold guard(mutex_);
  u64 longest = 0;
  for (auto& thread : threads_) longest = std::max(longest, thread->delay_ns());
  return longest;
}

std::vector<VcpuLook> VcpuThreads::looks(const std::function<bool(u32 cpu)>& timer_armed) {
  const Hold guard(mutex_);
  std::vector<VcpuLook> all;
  for (u32 n = 0; n < threads_.size(); ++n)
    all.push_back({.asleep = threads_[n]->waits_for_interrupt(),
                   .timer_armed = timer_armed(n),
                   .masked_ns = threads_[n]->masked_ns()});
  return all;
}

void VcpuThreads::pause() {
  for (auto& thread : threads_) thread->pause();
}

void VcpuThreads::send_event() {
  for (auto& thread : threads_) thread->event();
}

}  // namespace armvisor::vmm
