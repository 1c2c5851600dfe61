#pragma once
// Requests that one vCPU makes to another: broadcast TLB maintenance (ARM DDI 0406C B3.10.5), dropping of write entries
// when a frame comes to hold code or tables, and dropping of what was derived from a table that was written. A target
// serves its mailbox at block boundaries, and before it runs guest code again; an issuer waits at its next barrier
// until every target has served, or is not running guest code. A vCPU that waits runs none, so two that wait for each
// other both go on.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/test_point.h"
#include "memory/fence.h"
#include "mmu/request.h"

namespace armvisor::engine {

using mmu::Request;

class Mailbox {
 public:
  /// Returns the ticket of the request.
  u64 post(const Request& r) {
    test_point("mailbox: to post");
    const std::lock_guard guard(lock_);
    if (requests_.size() < k_many || make_room_for(r)) requests_.push_back(r);
    const u64 ticket = posted_.load(std::memory_order_relaxed) + 1;
    posted_.store(ticket);
    if (r.kind == Request::Kind::DropWrites) claims_.store(ticket);  // last: who sees it and waits has seen posted_
    return ticket;
  }
  /// Owner: behind a full fence, nothing was asked that has not been served.
  bool empty() const { return posted_.load() == served_.load(std::memory_order_relaxed); }
  u64 posted() const { return posted_.load(); }
  u64 served() const { return served_.load(); }
  /// Ticket of the last DropWrites, or 0.
  u64 claims() const { return claims_.load(); }
  /// The owner has served the request, or runs no guest code now and serves it before it does again.
  bool has_served(u64 ticket) const {
    if (served_.load() >= ticket) return true;
    test_point("mailbox: not served");
    return !in_guest_.load();
  }
  /// Until has_served(ticket). (Sleeping instead costs more than it gives to others, even where these are many.)
  void wait_for(u64 ticket) const {
    while (!has_served(ticket))
      if (!test_wait()) std::this_thread::yield();
  }

  /// Owner: uses no translation and writes no RAM until enter_guest(). False, and nothing happens: something is to be
  /// served first. A full fence stands between the owner's last write and the look at what was asked: who asked earlier
  /// to be told of writes (DropWrites) counts on being served, who asks later sees them.
  bool leave_guest() {
    full_fence();
    test_point("mailbox: leaving");
    if (!empty()) return false;
    in_guest_.store(false, std::memory_order_release);
    return true;
  }
  /// Owner: is in guest code again. False: something is to be served before guest code runs. Who asked, and did not
  /// wait since the owner was outside, counts on the full fence between the two.
  bool enter_guest() {
    in_guest_.store(true, std::memory_order_relaxed);
    full_fence();
    test_point("mailbox: entered");
    return empty();
  }

  /// Owner: calls f for each request in order, then `finish`; after that they count as served.
  template <class F, class G>
  void serve(F f, G finish) {
    std::vector<Request> now;
    u64 ticket = 0;
    {
      const std::lock_guard guard(lock_);
      now.swap(requests_);
      ticket = posted_.load(std::memory_order_relaxed);
    }
    test_point("mailbox: serving");
    for (const Request& r : now) f(r);
    finish();
    served_.store(ticket, std::memory_order_release);
  }

 private:
  static constexpr std::size_t k_many = 1024;

  /// A guest can post without end to a vCPU that sleeps: then one Forget stands for all but DropWrites, and there is
  /// one of these for a frame. False: the request is in what is there.
  bool make_room_for(const Request& r) {
    if (r.kind == Request::Kind::DropWrites)
      return std::ranges::none_of(requests_, [&](const Request& q) { return q.kind == r.kind && q.pa == r.pa; });
    std::erase_if(requests_, [](const Request& q) { return q.kind != Request::Kind::DropWrites; });
    requests_.push_back({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()});
    return false;
  }

  std::mutex lock_;
  std::vector<Request> requests_;
  std::atomic<u64> posted_{0}, served_{0}, claims_{0};
  std::atomic<bool> in_guest_{false};
};

}  // namespace armvisor::engine
