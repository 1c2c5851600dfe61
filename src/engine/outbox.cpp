#include "engine/outbox.h"

#include <algorithm>
#include <utility>

#include "memory/fence.h"

namespace armvisor::engine {

u64 Outbox::ask(u32 vcpu, const Request& request) {
  await_ticket(vcpu, inboxes_[vcpu]->post(request));
  return tickets_[vcpu];
}

void Outbox::await_ticket(u32 vcpu, u64 ticket) {
  tickets_[vcpu] = ticket;
  await_barrier();
}

void Outbox::broadcast(const Request& request) {
  if (joins_pending(request)) return;
  post_pending();
  if (request.kind == Request::Kind::FlushVa || request.kind == Request::Kind::FlushVaAllAsids) {
    pending_ = request;
    await_barrier();
    return;
  }
  for_each_other([&](u32 k, Inbox&) { ask(k, request); });
}

bool Outbox::joins_pending(const Request& r) {
  Request& p = pending_;
  if (p.pages == 0 || r.kind != p.kind || r.asid != p.asid) return false;
  if (r.va >> k_page_bits != (p.va >> k_page_bits) + p.pages) return false;
  ++p.pages;
  return true;
}

void Outbox::post_pending() {
  if (pending_.pages == 0) return;
  full_fence();
  for_each_other([&](u32 k, Inbox& inbox) {
    if (inbox.needs(pending_)) ask(k, pending_);
  });
  pending_.pages = 0;
}

void Outbox::await_posted() {
  for_each_other([&](u32 k, Inbox& inbox) {
    const u64 posted = inbox.mailbox().posted();
    if (!has_served(k, posted)) await_ticket(k, posted);
  });
}

void Outbox::await_code() {
  code_maintained_ = true;
  await_barrier();
}

void Outbox::await_claims() {
  for_each_other([&](u32 k, Inbox& inbox) {
    const u64 claims = inbox.mailbox().claims();
    if (!has_served(k, claims)) await_ticket(k, std::max(claims, tickets_[k]));
  });
}

void Outbox::wait() {
  post_pending();
  if (std::exchange(code_maintained_, false)) await_claims();
  while (std::exchange(policy_.has_tickets, false)) {  // serving the inbox may ask for more
    if (std::ranges::none_of(tickets_, [](u64 ticket) { return ticket != 0; })) return;
    const OutsideGuest outside(*inboxes_[index_], OutsideGuest::Holds::Current);
    for_each_other([&](u32 k, Inbox& inbox) {
      if (const u64 ticket = std::exchange(tickets_[k], 0)) inbox.mailbox().wait_for(ticket);
    });
  }
}

}  // namespace armvisor::engine
