#pragma once
// Requests that one vCPU makes to another: broadcast TLB maintenance (ARM DDI 0406C B3.10.5) and dropping of write
// entries when a frame comes to hold code. A target serves its mailbox at block boundaries, and before it runs guest
// code again; an issuer waits at its next barrier until every target has served, or is not running guest code. A
// vCPU that waits serves its own mailbox, so that two that wait for each other both go on.
#include <atomic>
#include <mutex>
#include <vector>

#include "base/types.h"

namespace armvisor::engine {

struct Request {
  enum class Kind : u8 { FlushAll, FlushAsid, FlushVa, FlushVaAllAsids, DropWrites };
  Kind kind;
  Asid asid;
  u32 va = 0;
  GuestPa pa;
};

class Mailbox {
 public:
  /// Returns the ticket of the request.
  u64 post(const Request& r) {
    const std::lock_guard guard(lock_);
    const auto is_flush = [](const Request& x) { return x.kind != Request::Kind::DropWrites; };
    if (is_flush(r) && requests_.size() >= k_many) {  // a target that sleeps may not look for long
      std::erase_if(requests_, is_flush);
      requests_.push_back({.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()});
    } else {
      requests_.push_back(r);
    }
    return posted_.fetch_add(1) + 1;
  }
  bool empty() const { return posted_.load() == served_.load(std::memory_order_relaxed); }
  bool served(u64 ticket) const { return served_.load() >= ticket; }

  /// Owner: calls f for each request in order.
  template <class F>
  void serve(F f) {
    std::vector<Request> now;
    u64 ticket = 0;
    {
      const std::lock_guard guard(lock_);
      now.swap(requests_);
      ticket = posted_.load();
    }
    for (const Request& r : now) f(r);
    served_.store(ticket);
  }

 private:
  static constexpr std::size_t k_many = 64;  ///< flushes, which one of everything then stands for

  std::mutex lock_;
  std::vector<Request> requests_;
  std::atomic<u64> posted_{0}, served_{0};
};

}  // namespace armvisor::engine
