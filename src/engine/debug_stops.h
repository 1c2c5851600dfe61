#pragma once
// An external debugger's breakpoints and watchpoints (arm/external_debug.h), and its steps.
//
// DebugStops is what the vCPUs of a machine share. A breakpoint is a property of translation: the instruction at that
// virtual address asks, in a block of its own meaning; all other blocks are what they were. So a change kills the
// blocks of the pages that it is in, and whoever makes blocks holds the stops meanwhile, so that none comes by older
// ones.
//
// VcpuStops is a vCPU's own: its step, and why it is about to stop. While it steps, it runs blocks in which each
// instruction asks, as when the guest has armed debug events: the first goes on, the second stops. What is stopped has
// not been executed, nor has any of its effects.
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "arm/cpu_state.h"
#include "arm/external_debug.h"
#include "engine/engine.h"

namespace armvisor::engine {

class DebugStops {
 public:
  /// For who makes blocks, until they are published.
  std::shared_lock<std::shared_mutex> hold() { return std::shared_lock(mutex_); }
  /// With hold(), or on the thread of a vCPU that runs.
  const arm::ExternalStops& now() const { return now_; }
  u64 changes() const { return changes_; }

  /// No vCPU runs. Calls drop(pages) with the numbers of the virtual pages whose blocks have to go, in order.
  template <class F>
  void change(arm::ExternalStops next, F drop) {
    const std::lock_guard guard(mutex_);
    if (next == now_) return;
    now_.breakpoints.swap(next.breakpoints);
    now_.watchpoints.swap(next.watchpoints);
    ++changes_;
    if (const std::vector<u32> pages = differing_pages(now_, next); !pages.empty()) drop(pages);
  }

 private:
  static std::vector<u32> differing_pages(const arm::ExternalStops& a, const arm::ExternalStops& b);

  std::shared_mutex mutex_;
  arm::ExternalStops now_;
  u64 changes_ = 0;
};

/// Of the vCPU's own thread, but for step(), which is for when it does not run.
class VcpuStops {
 public:
  explicit VcpuStops(DebugStops& shared) : shared_(shared) {}

  void step(bool on, bool interrupts) {
    step_ = on ? Step::Wanted : Step::None;
    interrupts_ = interrupts;
  }
  bool stepping() const { return step_ != Step::None; }
  bool takes_interrupts() const { return step_ == Step::None || (step_ == Step::Wanted && interrupts_); }

  /// Before the vCPU runs: DebugState::external becomes what is asked for now. True: that is something else than
  /// before.
  bool refresh(arm::CpuState& s);
  /// As arm::instruction_filter().
  u64 filter() const { return stepping() ? ~u64{0} : shared_.now().filter(); }
  const arm::ExternalStops& now() const { return shared_.now(); }

  /// The instruction at `pc` is about to be executed. True: it is not.
  bool stops_at(u32 pc);
  /// The access is about to be made. True: it is not.
  bool stops_access(u32 va, u32 size, bool write);
  /// The instruction at `pc` cannot be fetched. True: the step was made before, and ends there. Otherwise the exception
  /// is what a step makes.
  bool stops_fetch(u32 pc) { return step_ == Step::Begun ? ends_step(pc) : (stepped(), false); }
  /// An exception was taken instead of the step's instruction.
  void stepped() {
    if (step_ == Step::Wanted) step_ = Step::Begun;
  }
  /// The instruction of a step has to wait, which it does not; control is at `pc`. True: it was one.
  bool ends_step(u32 pc);

  bool pending() const { return pending_; }
  /// The vCPU has stopped.
  void take() {
    pending_ = false;
    step_ = Step::None;
  }
  const DebugStop& last() const { return last_; }

 private:
  enum class Step : u8 { None, Wanted, Begun };
  bool stop(const DebugStop& why);

  DebugStops& shared_;
  Step step_ = Step::None;
  bool interrupts_ = false, pending_ = false, stepped_last_ = false;
  u64 seen_ = 0;  ///< DebugStops::changes
  DebugStop last_;
};

}  // namespace armvisor::engine
