#include "vmm/vcpu_thread.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "base/log.h"
#include "base/thread.h"
#include "machine/bus.h"

namespace armvisor::vmm {
namespace {
using machine::CpuPower;
using machine::PsciStatus;
/// Longest sleep in WFE. The events that end it are SEV and interrupts, but also ones that nobody announces here (the
/// clearing of an exclusive monitor, the timer's event stream), so it is short.
constexpr std::chrono::microseconds k_wait_event{100};

/// Of this thread.
u64 cpu_time_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}
}  // namespace

VcpuThread::VcpuThread(engine::Vcpu& vcpu, u32 index, u32 count, std::function<void()> on_run,
                       std::function<void()> on_crash, std::function<void()> on_difference,
                       std::function<void()> on_debug)
    : vcpu_(vcpu),
      index_(index),
      count_(count),
      on_run_(std::move(on_run)),
      on_crash_(std::move(on_crash)),
      on_difference_(std::move(on_difference)),
      on_debug_(std::move(on_debug)) {}

Status VcpuThread::start(bool powered, bool paused, ThreadKind kind) {
  if (powered) power_ = CpuPower::On;
  paused_ = paused;
  AV_TRY_ASSIGN(thread_, start_thread(kind, "vcpu" + std::to_string(index_), [this] {
                  machine::Bus::set_accessing_vcpu(index_);
                  main();
                }));
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return thread_id_ != 0; });
  return {};
}

void VcpuThread::request_stop() {
  {
    const std::lock_guard guard(mutex_);
    stop_ = true;
  }
  vcpu_.kick();
  changed_.notify_all();
}

void VcpuThread::stop() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

void VcpuThread::wake() {
  // The lock orders this after the sleeper's look at the inputs.
  {
    const std::lock_guard guard(mutex_);
    if (counts_delay_) delay_.woken();
  }
  changed_.notify_all();
}

void VcpuThread::event() {
  if (!in_wfe_.load()) return;
  {
    const std::lock_guard guard(mutex_);
    event_ = true;
  }
  changed_.notify_all();
}

void VcpuThread::pause() {
  {
    const std::lock_guard guard(mutex_);
    paused_ = true;
  }
  vcpu_.kick();
}

void VcpuThread::wait_until_paused() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !running_ || !paused_; });
}

void VcpuThread::begins_to_wait() {
  {
    const std::lock_guard guard(mutex_);
    running_ = false;
  }
  changed_.notify_all();
}

/// The vCPU's state may be looked at until it is let go.
void VcpuThread::waited() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_ || !paused_; });
  running_ = true;
}

void VcpuThread::resume() {
  {
    const std::lock_guard guard(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

/// What waits for an interrupt waits no more: the instruction is the one behind.
void VcpuThread::step(bool on, bool interrupts) {
  vcpu_.step(on, interrupts);
  {
    const std::lock_guard guard(mutex_);
    step_ = on;
  }
  changed_.notify_all();
}

void VcpuThread::sample() {
  if (sleeping_.load() && !in_wfe_.load()) return;
  sample_.store(true);
  vcpu_.kick();
}

// --- power

CpuPower VcpuThread::power() {
  const std::lock_guard guard(mutex_);
  return power_;
}

PsciStatus VcpuThread::turn_on(u32 entry, u32 context_id) {
  {
    const std::lock_guard guard(mutex_);
    if (power_ == CpuPower::On) return PsciStatus::AlreadyOn;
    if (power_ == CpuPower::OnPending) return PsciStatus::OnPending;
    power_ = CpuPower::OnPending;
    entry_ = entry;
    context_id_ = context_id;
  }
  changed_.notify_all();
  return PsciStatus::Success;
}

void VcpuThread::turn_off() {
  {
    const std::lock_guard guard(mutex_);
    off_ = true;
  }
  vcpu_.kick();
}

void VcpuThread::suspend() {
  {
    const std::lock_guard guard(mutex_);
    suspend_ = true;
  }
  vcpu_.kick();
}

void VcpuThread::wait_in_call() {
  const std::lock_guard guard(mutex_);
  in_call_ = true;
}

void VcpuThread::end_wait() {
  {
    const std::lock_guard guard(mutex_);
    in_call_ = false;
  }
  changed_.notify_all();
}

/// Sleeps while powered off; false: stop. A vCPU that was turned on starts as reset, at the address given
/// (DEN0022 6.4).
bool VcpuThread::wait_for_power() {
  std::unique_lock lock(mutex_);
  wait_while_paused(lock);
  running_ = !stop_;
  if (stop_) return false;
  if (power_ == CpuPower::On) return true;
  running_ = false;
  fall_asleep();
  changed_.wait(lock, [this] { return stop_ || (power_ != CpuPower::Off && !paused_); });
  running_ = !stop_;
  if (stop_) return false;
  arm::CpuState s = arm::reset_state(index_, count_);
  s.cp15.ids = vcpu_.state().cp15.ids;
  s.r[15] = entry_ & ~1u;
  if (entry_ & 1) s.psr |= arm::k_psr_t;
  s.r[0] = context_id_;
  vcpu_.state() = s;
  vcpu_.state_changed();
  power_ = CpuPower::On;
  return true;
}

void VcpuThread::wait_while_paused(std::unique_lock<std::mutex>& lock) {
  if (!paused_) return;
  fall_asleep();
  changed_.wait(lock, [this] { return stop_ || !paused_; });
}

// --- running

void VcpuThread::fall_asleep(std::optional<u64> most_ns) {
  if (counts_delay_) delay_.sleeps(most_ns);
  sleeping_ = true;
  vcpu_.clock().enter(measure::VcpuTime::Idle);
}

void VcpuThread::wake_up() {
  if (!sleeping_.exchange(false)) return;
  if (counts_delay_) delay_.runs();
  on_run_();
}

void VcpuThread::main() {
  {
    const std::lock_guard guard(mutex_);
    thread_id_ = static_cast<int>(::gettid());
  }
  changed_.notify_all();
  WaitingOutside::set_listener(this);
  vcpu_.clock().attach();
  if (counts_delay_) delay_.begin();
  while (wait_for_power()) {
    wake_up();
    after_run(vcpu_.run());
  }
  fall_asleep();
  vcpu_.clock().detach();
}

void VcpuThread::look_for_crash() {
  const arm::CpuState& s = vcpu_.state();
  AV_LOG(Trace, "vcpu%u: pc %08x lr %08x sp %08x cpsr %08x", index_, s.r[15], s.r[14], s.r[13], arm::cpsr(s));
  look_at_masks(s.psr & arm::k_psr_i);
  if (crash_watch_.sample(s)) on_crash_();
}

void VcpuThread::look_at_masks(bool masked) {
  if (!masked) {
    masked_since_.reset();
    masked_ns_ = 0;
    return;
  }
  const u64 now = cpu_time_ns();
  if (!masked_since_) masked_since_ = now;
  masked_ns_ = now - *masked_since_;
}

void VcpuThread::after_run(engine::Exit exit) {
  if (sample_.exchange(false)) look_for_crash();
  if (exit == engine::Exit::Debug && on_debug_) on_debug_();  // before others see that it does not run
  std::unique_lock lock(mutex_);
  running_ = false;
  if (paused_) changed_.notify_all();
  if (stop_) return;
  if (std::exchange(off_, false)) {
    power_ = CpuPower::Off;
    return;
  }
  if (in_call_) return wait_for_call(lock);
  if (std::exchange(suspend_, false)) exit = engine::Exit::Wait;
  switch (exit) {
    case engine::Exit::Wait: wait_for_interrupt(lock); break;
    case engine::Exit::WaitEvent: wait_for_event(lock); break;
    case engine::Exit::Yield:
      lock.unlock();
      sched_yield();
      break;
    case engine::Exit::Kicked:
    case engine::Exit::Debug: break;
    case engine::Exit::Differs:
      power_ = CpuPower::Off;
      lock.unlock();
      if (on_difference_) on_difference_();
      break;
  }
}

void VcpuThread::wait_for_interrupt(std::unique_lock<std::mutex>& lock) {
  if (!vcpu_.line_pending()) look_at_masks(false);  // it sleeps, and what wakes it is progress
  fall_asleep();
  changed_.wait(lock, [this] { return stop_ || step_ || vcpu_.line_pending(); });
}

/// The call is made again afterwards, by the instruction itself.
void VcpuThread::wait_for_call(std::unique_lock<std::mutex>& lock) {
  const bool masked = vcpu_.state().psr & arm::k_psr_i;
  fall_asleep();
  changed_.wait(lock, [&] { return stop_ || paused_ || !in_call_ || (!masked && vcpu_.line_pending()); });
  in_call_ = false;
}

void VcpuThread::wait_for_event(std::unique_lock<std::mutex>& lock) {
  event_ = false;
  in_wfe_ = true;
  fall_asleep(std::chrono::nanoseconds(k_wait_event).count());
  changed_.wait_for(lock, k_wait_event, [this] { return stop_ || event_ || vcpu_.line_pending(); });
  in_wfe_ = false;
}

}  // namespace armvisor::vmm
