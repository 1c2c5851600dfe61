#pragma once
// A host thread that runs one vCPU: its power state (PSCI), its sleep in WFI and WFE, and its stop.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/sandbox/thread_kind.h"
#include "base/waiting_outside.h"
#include "engine/engine.h"
#include "machine/psci.h"
#include "vmm/crash_watch.h"
#include "vmm/host_delay.h"

namespace armvisor::vmm {

class VcpuThread final : private WaitingOutside::Listener {
 public:
  /// `on_crash` is called on the thread when the guest can run no further; `on_run` whenever it begins to run after a
  /// sleep; `on_difference` when its engine found one (--verify), after which it does not run any more; `on_debug` when
  /// it has stopped for a debugger, and runs on unless it is paused there.
  VcpuThread(engine::Vcpu& vcpu, u32 index, u32 count, std::function<void()> on_run, std::function<void()> on_crash,
             std::function<void()> on_difference = {}, std::function<void()> on_debug = {});
  ~VcpuThread() { stop(); }

  /// `powered`: runs from the state that the vCPU has. Otherwise it waits for turn_on(). `paused`: as after pause().
  Status start(bool powered, bool paused = false, ThreadKind kind = ThreadKind::Vcpu);
  void count_delay() { counts_delay_ = true; }  ///< before it starts
  void stop();                                  ///< returns when the thread has ended; not from the thread itself

  void request_stop();       ///< (any thread) as stop(), but does not wait
  void wake();               ///< (any thread) an interrupt input went high
  void event();              ///< (any thread) SEV
  void pause();              ///< (any thread) runs nothing until resume(); what runs now may end after it returns
  void wait_until_paused();  ///< after pause(): returns when nothing runs; not from the thread itself
  void resume();             ///< (any thread)
  /// While it is paused: the next instruction is its last until it is paused again, or, without `on`, no more so.
  void step(bool on, bool interrupts);
  void sample();  ///< (any thread) have a look for a crash, if it runs
  bool sleeping() const { return sleeping_.load(); }
  /// (any thread) It sleeps until an interrupt, or is turned off.
  bool waits_for_interrupt() const { return sleeping_.load() && !in_wfe_.load(); }
  /// (any thread) For how much time on a CPU all looks have caught it with interrupts masked, and it did not sleep.
  u64 masked_ns() const { return masked_ns_.load(); }

  u64 delay_ns() { return delay_.ns(); }  ///< (any thread) by the host, if it is counted

  int thread_id() const { return thread_id_.load(); }  ///< of the host, after start()
  machine::CpuPower power();
  machine::PsciStatus turn_on(u32 entry, u32 context_id);  ///< (any thread)
  void turn_off();                                         ///< on the thread, from within run()
  void suspend();                                          ///< likewise
  /// Likewise: it sleeps until an interrupt that is not masked, or end_wait().
  void wait_in_call();
  void end_wait();  ///< (any thread)

 private:
  // WaitingOutside::Listener, on the thread, from within run(): no guest code runs meanwhile.
  void begins_to_wait() override;
  void waited() override;

  void main();
  bool wait_for_power();
  void wait_while_paused(std::unique_lock<std::mutex>& lock);
  void after_run(engine::Exit exit);
  void look_for_crash();
  void look_at_masks(bool masked);
  void wait_for_interrupt(std::unique_lock<std::mutex>& lock);
  void wait_for_event(std::unique_lock<std::mutex>& lock);
  void wait_for_call(std::unique_lock<std::mutex>& lock);
  void fall_asleep(std::optional<u64> most_ns = {});
  void wake_up();

  engine::Vcpu& vcpu_;
  const u32 index_, count_;
  const std::function<void()> on_run_, on_crash_, on_difference_, on_debug_;
  CrashWatch crash_watch_;
  std::atomic<bool> sleeping_{true};
  std::atomic<bool> sample_{false};
  std::atomic<int> thread_id_{0};
  std::atomic<u64> masked_ns_{0};
  std::optional<u64> masked_since_;  ///< on the thread's CPU clock, of the thread
  std::atomic<bool> in_wfe_{false};  ///< asleep in WFE, not WFI, which no SEV ends: Linux makes one with each unlock

  bool counts_delay_ = false;
  HostDelay delay_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  machine::CpuPower power_ = machine::CpuPower::Off;
  u32 entry_ = 0, context_id_ = 0;
  bool stop_ = false, off_ = false, suspend_ = false, event_ = false, paused_ = false, step_ = false;
  bool running_ = false;  ///< inside of the engine
  bool in_call_ = false;  ///< to sleep as wait_in_call() says
  std::thread thread_;
};

}  // namespace armvisor::vmm
