// The world of a vCPU's system registers, and requests among vCPUs.
#include <thread>

#include "engine/vcpu.h"
#include "memory/fence.h"

namespace armvisor::engine {

void InterpreterVcpu::timer_changed(bool virtual_timer) {
  shared_.port.timer_changed(index_, context_.s, virtual_timer);
}

void InterpreterVcpu::tlb_flush_all(bool inner_shareable) {
  const Request r{.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()};
  apply(r);
  if (inner_shareable) broadcast(r);
}

void InterpreterVcpu::tlb_flush_asid(Asid asid, bool inner_shareable) {
  const Request r{.kind = Request::Kind::FlushAsid, .asid = asid, .pa = GuestPa()};
  apply(r);
  if (inner_shareable) broadcast(r);
}

void InterpreterVcpu::tlb_flush_va(u32 va, Asid asid, bool inner_shareable) {
  const Request r{.kind = Request::Kind::FlushVa, .asid = asid, .va = va, .pa = GuestPa()};
  apply(r);
  if (inner_shareable) broadcast(r);
}

void InterpreterVcpu::tlb_flush_va_all_asids(u32 va, bool inner_shareable) {
  const Request r{.kind = Request::Kind::FlushVaAllAsids, .asid = Asid(), .va = va, .pa = GuestPa()};
  apply(r);
  if (inner_shareable) broadcast(r);
}

// Writes to code are seen as they happen, so there is nothing to invalidate; but requests that make them visible may
// be on their way: those to this vCPU are served now, and those it made are waited for by the DSB that must follow.
void InterpreterVcpu::icache_invalidate_all(bool) { serve_mailbox(); }
void InterpreterVcpu::icache_invalidate_va(u32) { serve_mailbox(); }

arm::Fault InterpreterVcpu::walk(u32 va, arm::Access access, bool privileged, arm::Translation& out) {
  return arm::translate(context_.s, *this, va, access, privileged, out);
}

u64 InterpreterVcpu::post(const Request& request) {
  const u64 ticket = mailbox_.post(request);
  request_attention();
  return ticket;
}

void InterpreterVcpu::broadcast(const Request& request) {
  for (u32 k = 0; k < shared_.vcpus.size(); ++k) {
    if (k == index_) continue;
    tickets_[k] = shared_.vcpus[k]->post(request);
    context_.has_tickets = true;
  }
}

void InterpreterVcpu::apply(const Request& r) {
  switch (r.kind) {
    case Request::Kind::FlushAll: tlb_.flush_all(); break;
    case Request::Kind::FlushAsid: tlb_.flush_asid(r.asid); break;
    case Request::Kind::FlushVa: tlb_.flush_va(r.va, r.asid); break;
    case Request::Kind::FlushVaAllAsids: tlb_.flush_va_all_asids(r.va); break;
    case Request::Kind::DropWrites:
      // Writes through the entry since the frame was marked were not seen: its blocks may be of older bytes.
      if (tlb_.drop_writes(r.pa)) shared_.code.invalidate(GuestPa(r.pa.value & ~u64{k_page_mask}), k_page_size);
      request_attention();  // a loop that died may be running here
      break;
  }
  if (tlb_.changes() != views_changes_) sync();
}

void InterpreterVcpu::serve_mailbox() {
  if (mailbox_.empty()) return;
  mailbox_.serve([this](const Request& r) { apply(r); });
}

void InterpreterVcpu::wait_for_tickets() {
  for (u32 k = 0; k < shared_.vcpus.size(); ++k) {
    if (tickets_[k] == 0) continue;
    const InterpreterVcpu& target = *shared_.vcpus[k];
    while (!target.has_served(tickets_[k]) && target.in_guest()) {
      serve_mailbox();
      std::this_thread::yield();
    }
    tickets_[k] = 0;
  }
  context_.has_tickets = false;
}

void InterpreterVcpu::fence() {
  full_fence();
  if (context_.has_tickets) wait_for_tickets();
}

void InterpreterVcpu::send_event() {
  event_.store(1);
  shared_.port.send_event();
}

}  // namespace armvisor::engine
