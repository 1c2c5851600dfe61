#pragma once
// The threads of all vCPUs of a machine: started and stopped together, halted and let go.
//
// A reset replaces them. mutex_ guards which there are; each thread guards itself. Functions without a word about
// threads are the thread's that runs the machine.
#include <functional>
#include <memory>
#include <shared_mutex>
#include <span>
#include <vector>

#include "debugger/target.h"
#include "engine/engine.h"
#include "vmm/stall_watch.h"
#include "vmm/vcpu_thread.h"

namespace armvisor::vmm {

class VcpuThreads {
 public:
  /// What the threads call.
  struct Calls {
    std::function<void()> on_run, on_crash, on_difference;
    std::function<void(u32 cpu)> on_debug;
    /// Who waits for a reader of output on such a thread does not, until it is over.
    std::function<void(bool begin)> hurry;
  };
  using Hold = std::shared_lock<std::shared_mutex>;

  VcpuThreads(u32 count, bool count_delay, ThreadKind kind, Calls calls)
      : count_(count), count_delay_(count_delay), kind_(kind), calls_(std::move(calls)) {}

  ThreadKind kind() const { return kind_; }

  // --- with the lock under which the machine is stopped and let go
  /// vCPU 0 runs, if the machine `runs`; the others wait to be turned on.
  Status start(engine::Engine& engine, bool runs);
  /// No vCPU runs when it returns, nor does one until let_go() or resume().
  void halt();
  /// What each vCPU does, after a reset too; without `cpus` all run.
  void let_go(std::span<const debugger::Go> cpus, bool interrupts);
  /// What halt() interrupted goes on, a step where it is.
  void resume();

  void stop();
  void discard();

  /// (any thread) While it is held, the threads are those of the present machine.
  Hold hold() { return Hold(mutex_); }
  /// (any thread) They do not run on, but nobody waits for that.
  void request_stop(const Hold&);

  // --- (any thread)
  void wake(u32 cpu);
  void end_wait(u32 cpu);
  bool is_on(u32 cpu);
  std::vector<int> thread_ids();
  /// Each that runs looks whether its guest has crashed. False: all sleep.
  bool sample();
  /// How long the host has kept one of them waiting for a CPU, of the one that waited longest, if that is counted.
  u64 delay_ns();
  /// How each is seen at this moment; `timer_armed` is asked of each, while they are those of the present machine.
  std::vector<VcpuLook> looks(const std::function<bool(u32 cpu)>& timer_armed);

  // --- on a thread of a vCPU: they end before the threads change
  VcpuThread& of(u32 cpu) { return *threads_[cpu]; }
  void pause();
  void send_event();

 private:
  debugger::Go going(u32 cpu) const { return going_.empty() ? debugger::Go::Run : going_[cpu]; }

  const u32 count_;
  const bool count_delay_;
  const ThreadKind kind_;
  const Calls calls_;
  std::shared_mutex mutex_;
  std::vector<std::unique_ptr<VcpuThread>> threads_;
  std::vector<debugger::Go> going_;  ///< what each vCPU does while the machine runs; empty: they run
  bool steps_take_interrupts_ = true;
};

}  // namespace armvisor::vmm
