#include "devices/arch_timer.h"

namespace armvisor::devices {

u64 SystemCounter::time_of(u64 tick) const {
  constexpr u64 k_never = ~u64{0};
  if (tick > (k_never - epoch_ns_) / k_ns_per_tick) return k_never;
  return epoch_ns_ + tick * k_ns_per_tick;
}

ArchTimer::ArchTimer(const SystemCounter& counter, TimerQueue& queue, IrqLine& line)
    : counter_(counter), queue_(queue), line_(line), id_(queue.add([this] {
        const std::lock_guard lock(mutex_);
        evaluate();
      })) {}

void ArchTimer::describe(TreeWriter& tree, const Site& site) {
  tree.begin("timer");
  tree.text("compatible", "arm,armv7-timer");
  tree.empty("always-on");
  const u32 which = ((1u << site.cpus) - 1) << 8;  // binding arm,gic: the CPUs that have a private interrupt
  std::vector<u32> cells;
  for (const u32 ppi : {k_ppi_timer_secure, k_ppi_timer_physical, k_ppi_timer_virtual, k_ppi_timer_hyp})
    cells.insert(cells.end(), {static_cast<u32>(InterruptType::Ppi), ppi, which | k_level_high});
  tree.cells("interrupts", cells);
  tree.end();
}

ArchTimer::~ArchTimer() { queue_.remove(id_); }

void ArchTimer::changed(u32 ctl, u64 cval) {
  const std::lock_guard lock(mutex_);
  ctl_ = ctl;
  cval_ = cval;
  evaluate();
}

bool ArchTimer::armed() {
  const std::lock_guard lock(mutex_);
  return enabled() && counter_.ticks() < cval_ && counter_.time_of(cval_) != ~u64{0};
}

bool ArchTimer::enabled() const {
  constexpr u32 k_enable = 1, k_imask = 2;
  return (ctl_ & (k_enable | k_imask)) == k_enable;
}

/// The output is high while the timer is enabled, not masked, and its condition is met (B8.1.5).
void ArchTimer::evaluate() {
  if (!enabled()) {
    queue_.disarm(id_);
    line_.set(false);
    return;
  }
  const bool met = counter_.ticks() >= cval_;
  line_.set(met);
  const u64 deadline = counter_.time_of(cval_);
  if (met || deadline == ~u64{0})
    queue_.disarm(id_);
  else
    queue_.arm(id_, deadline);
}

}  // namespace armvisor::devices
