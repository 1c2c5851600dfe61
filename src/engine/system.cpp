// The world of a vCPU's system registers, and requests among vCPUs.
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "arm/debug_events.h"
#include "engine/vcpu.h"
#include "memory/fence.h"

namespace armvisor::engine {

using measure::Counter;

u64 TranslatingVcpu::counter() {
  if (!journal_) return shared_.port.counter();
  if (const auto known = journal_->reading()) return *known;
  const u64 now = shared_.port.counter();
  journal_->was_read(now);
  return now;
}

/// There is no asynchronous abort on this machine.
u32 TranslatingVcpu::interrupt_lines() {
  if (journal_)
    if (const auto known = journal_->reading()) return static_cast<u32>(*known);
  const u32 lines = context_.dispatch.lines.load();
  const u32 pending = (lines & k_line_irq ? arm::k_psr_i : 0) | (lines & k_line_fiq ? arm::k_psr_f : 0);
  if (journal_) journal_->was_read(pending);
  return pending;
}

void TranslatingVcpu::timer_changed(bool virtual_timer) {
  shared_.port.timer_changed(index_, context_.guest, virtual_timer);
}

/// Where watchpoints are, no access is to hit from now on. Windows are for spaces without them (window_of).
void TranslatingVcpu::debug_changed() {
  tlb();
  const arm::DebugState& debug = context_.guest.cp15.debug;
  for (u32 n = 0; n < arm::k_watchpoints; ++n)
    if (const auto range = arm::watched_range(debug, n)) tlb_.drop_translations(range->va, range->bits);
  context_.policy.debug_filter = arm::instruction_filter(debug);
  tlb_.window_changed();
  sync();
}

void TranslatingVcpu::tlb_flush_all(bool inner_shareable) {
  count(Counter::FlushAll);
  maintain({.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()}, inner_shareable);
}

void TranslatingVcpu::tlb_flush_asid(Asid asid, bool inner_shareable) {
  count(Counter::FlushAsid);
  maintain({.kind = Request::Kind::FlushAsid, .asid = asid, .pa = GuestPa()}, inner_shareable);
}

void TranslatingVcpu::tlb_flush_va(u32 va, Asid asid, bool inner_shareable) {
  count(Counter::FlushVa);
  maintain({.kind = Request::Kind::FlushVa, .asid = asid, .va = va, .pa = GuestPa()}, inner_shareable);
}

void TranslatingVcpu::tlb_flush_va_all_asids(u32 va, bool inner_shareable) {
  count(Counter::FlushVaAll);
  maintain({.kind = Request::Kind::FlushVaAllAsids, .asid = Asid(), .va = va, .pa = GuestPa()}, inner_shareable);
}

/// TLB maintenance. Where shadows follow the tables, all that may be missing is what was asked for and not yet served.
void TranslatingVcpu::maintain(const Request& r, bool inner_shareable) {
  if (tlb_.is_coherent()) serve_mailbox();
  if (!tlb_.has_nothing_of(r)) {
    apply(r);
    if (!tlb_.global_window_is_settled()) await_barrier();
  }
  if (!inner_shareable || !has_others()) return;
  if (tlb_.needs_broadcast())
    broadcast(r);
  else
    await_posted();
}

// Writes to code are seen as they happen, so there is nothing to invalidate. But a vCPU may have written code unseen
// that was translated meanwhile, and still is to serve the request to let go of its entries, by which that code dies:
// this vCPU, which does so now, or another, whose write this one has seen; the DSB that must follow waits for that.
void TranslatingVcpu::icache_invalidate_all(bool) {
  serve_mailbox();
  if (!has_others()) return;
  code_maintained_ = true;
  await_barrier();
}
void TranslatingVcpu::icache_invalidate_va(u32) { icache_invalidate_all(false); }

arm::Fault TranslatingVcpu::walk(u32 va, arm::Access access, bool privileged, arm::Translation& out) {
  path_.count = 0;
  return arm::translate(context_.guest, *this, va, access, privileged, out);
}

u64 TranslatingVcpu::post(const Request& request) {
  const u64 ticket = mailbox_.post(request);
  request_attention();
  return ticket;
}

void TranslatingVcpu::broadcast(const Request& request) {
  if (joins_pending(request)) return;
  post_pending();
  const bool pages = request.kind == Request::Kind::FlushVa || request.kind == Request::Kind::FlushVaAllAsids;
  if (pages) {
    pending_ = request;
    await_barrier();
    return;
  }
  for (u32 k = 0; k < shared_.vcpus.size(); ++k)
    if (k != index_) ask(k, request);
}

/// Maintenance of a page that follows those waited for: they become one request, which is posted before the barrier
/// that waits for it, or whenever this vCPU comes by.
bool TranslatingVcpu::joins_pending(const Request& r) {
  Request& p = pending_;
  if (p.pages == 0 || r.kind != p.kind || r.asid != p.asid) return false;
  if (r.va >> k_page_bits != (p.va >> k_page_bits) + p.pages) return false;
  ++p.pages;
  return true;
}

void TranslatingVcpu::post_pending() {
  if (pending_.pages == 0) return;
  full_fence();
  for (u32 k = 0; k < shared_.vcpus.size(); ++k)
    if (k != index_ && shared_.vcpus[k]->tlb_.needs(pending_)) ask(k, pending_);
  pending_.pages = 0;
}

/// The next barrier waits for the request.
void TranslatingVcpu::await_ticket(u32 vcpu, u64 ticket) {
  tickets_[vcpu] = ticket;
  await_barrier();
}

/// The next barrier waits for what the other vCPUs have been asked so far.
void TranslatingVcpu::await_posted() {
  for (u32 k = 0; k < shared_.vcpus.size(); ++k) {
    if (k == index_) continue;
    const u64 posted = shared_.vcpus[k]->mailbox().posted();
    if (!has_served(k, posted)) await_ticket(k, posted);
  }
}

/// Likewise for requests to let go of write entries.
void TranslatingVcpu::await_claims() {
  for (u32 k = 0; k < shared_.vcpus.size(); ++k) {
    if (k == index_) continue;
    const u64 claims = shared_.vcpus[k]->mailbox().claims();
    if (!has_served(k, claims)) await_ticket(k, std::max(claims, tickets_[k]));
  }
}

u64 TranslatingVcpu::ask(u32 vcpu, const Request& request) {
  await_ticket(vcpu, shared_.vcpus[vcpu]->post(request));
  return tickets_[vcpu];
}

bool TranslatingVcpu::has_served(u32 vcpu, u64 ticket) const {
  return shared_.vcpus[vcpu]->mailbox().has_served(ticket);
}

void TranslatingVcpu::apply(const Request& r) {
  if (r.kind == Request::Kind::FlushAll)
    with_tables([&](const mmu::Tables& tables) { tlb_.apply(r, &tables); });
  else if (r.kind != Request::Kind::DropWrites)
    tlb_.apply(r);
  else if (tlb_.drop_writes(r.pa))
    wrote_unseen(r.pa);
  if (tlb_.changes() != views_changes_) sync();
}

/// Calls f with the tables in force.
template <class F>
void TranslatingVcpu::with_tables(F f) {
  const mmu::Shadow::Walk walking(tlb_, has_others());
  u32 walks = 0;
  const auto translate_code = [&](u32 va, arm::Translation& out) {
    ++walks;
    return !walk(va, arm::Access::Execute, true, out);
  };
  f(mmu::Tables{mmu::SpaceKey::of(context_.guest, tlb_.policy()), bases(), translate_code});
  count(Counter::FlushCheck, walks);
}

/// Guests that flush everything right before they change tables may count on a TLB that has nothing yet. Though the
/// architecture does not promise them one (B3.10.1), what was kept is to be right by the tables that come next, too.
void TranslatingVcpu::keep_by_new_tables() {
  with_tables([this](const mmu::Tables& tables) { tlb_.keep_global(tables); });
}

/// Writes through entries since the frame was marked were not seen: what was derived from it may be of older bytes.
void TranslatingVcpu::wrote_unseen(GuestPa pa) {
  const GuestPa frame(pa.value & ~u64{k_page_mask});
  if (shared_.code.invalidate(frame, k_page_size)) request_attention();  // a loop that died may be running here
  if (!(shared_.ram.marks(pa).load(std::memory_order_relaxed) & k_frame_table)) return;
  tlb_.release_table(pa);
  request_attention();
}

void TranslatingVcpu::serve_mailbox() {
  if (mailbox_.empty()) return;
  mailbox_.serve(
      [this](const Request& r) {
        count(Counter::FlushRemote);
        apply(r);
      },
      [this] { settle_between_blocks(); });
}

void TranslatingVcpu::wait_for_tickets() {
  post_pending();
  if (std::exchange(code_maintained_, false)) await_claims();
  while (std::exchange(context_.policy.has_tickets, false)) {  // serving the mailbox may ask for more
    if (std::ranges::none_of(tickets_, [](u64 ticket) { return ticket != 0; })) return;
    const OutsideGuest outside(*this, OutsideGuest::Holds::Current);
    for (u32 k = 0; k < shared_.vcpus.size(); ++k)
      if (const u64 ticket = std::exchange(tickets_[k], 0)) shared_.vcpus[k]->mailbox().wait_for(ticket);
  }
}

void TranslatingVcpu::fence() {
  count(Counter::LightBarrier);
  full_fence();
  settle_between_blocks();
  if (!context_.policy.has_tickets && (!context_.guest.privileged() || --context_.policy.barriers_left >= 0)) return;
  const auto now = std::chrono::steady_clock::now();
  if (context_.policy.has_tickets)
    wait_for_tickets();
  else if (yields_when_spinning_ && now - barriers_began_ < k_spin_time)
    yield_ = true, request_attention();
  barriers_began_ = now;
  context_.policy.barriers_left = yields_when_spinning_ ? k_spin_barriers : std::numeric_limits<s32>::max();
}

void TranslatingVcpu::table_hint(TableHint hint, GuestPa frame, u32) {
  const bool table = hint == TableHint::Allocated || hint == TableHint::Freed;
  count(table ? Counter::HintTable : Counter::HintBatch);
  tlb_.hint(hint, frame);
  if (tlb_.changes() != views_changes_) sync();
}

void TranslatingVcpu::send_event() {
  count(Counter::LightEvent);
  event_.store(1);
  shared_.port.send_event();
}

}  // namespace armvisor::engine
