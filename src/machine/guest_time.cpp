#include "machine/guest_time.h"

#include <utility>

#include "memory/fence.h"

namespace armvisor::machine {

u64 GuestTime::now_ns() {
  while (true) {
    const u32 before = changes_.load(std::memory_order_acquire);
    const u64 now = stands_.load(std::memory_order_relaxed) ? stood_at_.load(std::memory_order_relaxed)
                                                            : host_.now_ns() - behind_.load(std::memory_order_relaxed);
    acquire_fence();
    if (!(before & 1) && changes_.load(std::memory_order_relaxed) == before) return now;
  }
}

void GuestTime::stop() {
  const std::lock_guard lock(mutex_);
  if (stands_) return;
  changes_.fetch_add(1);
  stood_at_ = host_.now_ns() - behind_;
  stands_ = true;
  changes_.fetch_add(1);
}

void GuestTime::go_on() {
  const std::lock_guard lock(mutex_);
  if (!stands_) return;
  changes_.fetch_add(1);
  behind_ = host_.now_ns() - stood_at_;
  stands_ = false;
  changes_.fetch_add(1);
  for (const auto& [id, deadline] : std::exchange(waiting_, {})) timers_.arm(id, on_host(deadline));
}

/// What never comes stays so.
u64 GuestTime::on_host(u64 deadline_ns) const {
  const u64 behind = behind_;
  return deadline_ns > ~u64{0} - behind ? ~u64{0} : deadline_ns + behind;
}

void GuestTime::arm(Id id, u64 deadline_ns) {
  if (stands_) {
    const std::lock_guard lock(mutex_);
    if (stands_) {
      waiting_[id] = deadline_ns;
      timers_.disarm(id);
      return;
    }
  }
  timers_.arm(id, on_host(deadline_ns));
}

void GuestTime::disarm(Id id) {
  if (stands_) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(id);
  }
  timers_.disarm(id);
}

void GuestTime::remove(Id id) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.erase(id);
  }
  timers_.remove(id);
}

}  // namespace armvisor::machine
