#include "engine/system_effects.h"

#include <limits>

#include "arm/debug_events.h"
#include "engine/debug_stops.h"
#include "engine/shared.h"
#include "memory/fence.h"

namespace armvisor::engine {

using measure::Counter;

SystemEffects::SystemEffects(Context& context, Shared& shared, u32 index, GuestMemory& memory, Windows& windows,
                             ViewKeeper& views, Inbox& inbox, Outbox& outbox, Journal* journal)
    : context_(context),
      shared_(shared),
      index_(index),
      memory_(memory),
      tlb_(memory.shadow()),
      windows_(windows),
      views_(views),
      inbox_(inbox),
      outbox_(outbox),
      journal_(journal),
      yields_when_spinning_(shared.host_cpus < shared.config.vcpus && shared.backend->yields_spinners()) {}

u64 SystemEffects::counter() {
  if (!journal_) return shared_.port.counter();
  if (const auto known = journal_->reading()) return *known;
  const u64 now = shared_.port.counter();
  journal_->was_read(now);
  return now;
}

/// There is no asynchronous abort on this machine.
u32 SystemEffects::interrupt_lines() {
  if (journal_)
    if (const auto known = journal_->reading()) return static_cast<u32>(*known);
  const u32 lines = context_.dispatch.lines.load();
  const u32 pending = (lines & k_line_irq ? arm::k_psr_i : 0) | (lines & k_line_fiq ? arm::k_psr_f : 0);
  if (journal_) journal_->was_read(pending);
  return pending;
}

void SystemEffects::timer_changed(bool virtual_timer) {
  shared_.port.timer_changed(index_, context_.guest, virtual_timer);
}

/// Where watchpoints are, no access is to hit from now on. Windows are for spaces without them (Windows::base_for).
void SystemEffects::debug_changed() {
  memory_.tlb();
  const arm::DebugState& debug = context_.guest.cp15.debug;
  for (u32 n = 0; n < arm::k_watchpoints; ++n)
    if (const auto range = arm::watched_range(debug, n)) tlb_.drop_translations(range->va, range->bits);
  for (const arm::ExternalWatch& watch : context_.stops->now().watchpoints) {
    const bool in_one_page = (watch.va ^ (watch.va + watch.size - 1)) >> k_page_bits == 0;
    tlb_.drop_translations(watch.va, in_one_page ? k_page_bits : k_page_bits + 1);
  }
  context_.policy.debug_filter = arm::instruction_filter(debug) | context_.stops->filter();
  tlb_.window_changed();
  views_.sync();
}

void SystemEffects::tlb_flush_all(bool inner_shareable) {
  count(Counter::FlushAll);
  maintain({.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()}, inner_shareable);
}

void SystemEffects::tlb_flush_asid(Asid asid, bool inner_shareable) {
  count(Counter::FlushAsid);
  maintain({.kind = Request::Kind::FlushAsid, .asid = asid, .pa = GuestPa()}, inner_shareable);
}

void SystemEffects::tlb_flush_va(u32 va, Asid asid, bool inner_shareable) {
  count(Counter::FlushVa);
  maintain({.kind = Request::Kind::FlushVa, .asid = asid, .va = va, .pa = GuestPa()}, inner_shareable);
}

void SystemEffects::tlb_flush_va_all_asids(u32 va, bool inner_shareable) {
  count(Counter::FlushVaAll);
  maintain({.kind = Request::Kind::FlushVaAllAsids, .asid = Asid(), .va = va, .pa = GuestPa()}, inner_shareable);
}

/// TLB maintenance. Where shadows follow the tables, all that may be missing is what was asked for and not yet served.
void SystemEffects::maintain(const Request& r, bool inner_shareable) {
  if (tlb_.is_coherent()) inbox_.serve();
  if (!tlb_.has_nothing_of(r)) {
    apply(r);
    if (!tlb_.global_window_is_settled()) outbox_.await_barrier();
  }
  if (!inner_shareable || !outbox_.has_others()) return;
  if (tlb_.needs_broadcast())
    outbox_.broadcast(r);
  else
    outbox_.await_posted();
}

// Writes to code are seen as they happen, so there is nothing to invalidate. But a vCPU may have written code unseen
// that was translated meanwhile, and still is to serve the request to let go of its entries, by which that code dies:
// this vCPU, which does so now, or another, whose write this one has seen; the DSB that must follow waits for that.
void SystemEffects::icache_invalidate_all(bool) {
  inbox_.serve();
  if (outbox_.has_others()) outbox_.await_code();
}

void SystemEffects::apply(const Request& r) {
  memory_.apply(r);
  if (!memory_.views_hold()) views_.sync();
}

void SystemEffects::fence() {
  count(Counter::LightBarrier);
  full_fence();
  windows_.settle();
  if (!context_.policy.has_tickets && (!context_.guest.privileged() || --context_.policy.barriers_left >= 0)) return;
  const auto now = std::chrono::steady_clock::now();
  if (context_.policy.has_tickets)
    outbox_.wait();
  else if (yields_when_spinning_ && now - barriers_began_ < k_spin_time)
    context_.dispatch.yield = true, inbox_.request_attention();
  barriers_began_ = now;
  context_.policy.barriers_left = yields_when_spinning_ ? k_spin_barriers : std::numeric_limits<s32>::max();
}

void SystemEffects::table_hint(mmu::TableHint hint, GuestPa frame) {
  const bool table = hint == mmu::TableHint::Allocated || hint == mmu::TableHint::Freed;
  count(table ? Counter::HintTable : Counter::HintBatch);
  tlb_.hint(hint, frame);
  if (!memory_.views_hold()) views_.sync();
}

void SystemEffects::send_event() {
  count(Counter::LightEvent);
  context_.dispatch.event.store(1);
  shared_.port.send_event();
}

}  // namespace armvisor::engine
