#pragma once
// What a vCPU asks of the others, and what its next barrier waits for: that each of them has served the request, or is
// outside guest code (docs/engine/concurrency.md, P3, P4 and P8). Only the vCPU's own thread may use the object.
//
// Something to wait for is said by Policy::has_tickets, so that barriers of generated code come to C++, which calls
// wait().
#include <array>
#include <vector>

#include "engine/block.h"
#include "engine/inbox.h"

namespace armvisor::engine {

class Outbox {
 public:
  /// `inboxes` are those of all vCPUs by number, complete before anything is asked; `index` is this vCPU's.
  Outbox(u32 index, const std::vector<Inbox*>& inboxes, Policy& policy)
      : index_(index), inboxes_(inboxes), policy_(policy) {}

  bool has_others() const { return inboxes_.size() > 1; }
  /// Asks vCPU `vcpu`; returns the request's ticket.
  u64 ask(u32 vcpu, const Request& request);
  bool has_served(u32 vcpu, u64 ticket) const { return inboxes_[vcpu]->mailbox().has_served(ticket); }

  /// Asks all others. Maintenance of pages that follow each other becomes one request, which is posted before the
  /// barrier that waits for it, or whenever this vCPU comes by (post_pending).
  void broadcast(const Request& request);
  /// Posts it to those that may have something of these pages (P8).
  void post_pending();

  /// What the others have been asked so far, by anybody.
  void await_posted();
  /// What they have been asked, by the time of the barrier, to let go of: they may have written code unseen (P4).
  void await_code();
  /// The next barrier comes to C++.
  void await_barrier() {
    policy_.has_tickets = true;
    policy_.barriers_left = 0;
  }
  /// At a barrier: waits outside guest code, and this vCPU's own requests are served before and behind that.
  void wait();

 private:
  bool joins_pending(const Request& request);
  void await_ticket(u32 vcpu, u64 ticket);
  void await_claims();
  template <class F>
  void for_each_other(F f) const {
    for (u32 k = 0; k < inboxes_.size(); ++k)
      if (k != index_) f(k, *inboxes_[k]);
  }

  const u32 index_;
  const std::vector<Inbox*>& inboxes_;
  Policy& policy_;
  /// Maintenance of pages that the other vCPUs are still to be asked for; none: no pages.
  Request pending_{.kind = Request::Kind::FlushVa, .asid = Asid(), .pa = GuestPa(), .pages = 0};
  std::array<u64, k_max_vcpus> tickets_{};  ///< last request to each vCPU that a barrier must wait for; 0: none
  bool code_maintained_ = false;            ///< since the last barrier
};

}  // namespace armvisor::engine
