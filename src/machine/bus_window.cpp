#include "machine/bus_window.h"

#include <thread>

#include "base/assert.h"

namespace armvisor::machine {

void BusWindow::make_room(std::size_t regions) {
  AV_ASSERT(count_ == 0);
  entries_ = std::make_unique<Entry[]>(regions);
  room_ = regions;
}

bool BusWindow::holds(const devices::Region& r) const {
  const u64 offset = r.base.value - region_.base.value;
  return offset < region_.size && r.size <= region_.size - offset;
}

void BusWindow::set(std::size_t at, const devices::Region& region, BusPort* port) {
  entries_[at].base.store(region.base.value, std::memory_order_release);
  entries_[at].size.store(region.size, std::memory_order_release);
  entries_[at].port.store(port, std::memory_order_release);
}

void BusWindow::copy(std::size_t to, std::size_t from) {
  const Entry& e = entries_[from];
  set(to, {GuestPa(e.base.load()), e.size.load()}, e.port.load());
}

bool BusWindow::insert(const devices::Region& region, BusPort* port) {
  const std::lock_guard lock(mutex_);
  const std::size_t count = count_;
  std::size_t at = 0;
  while (at < count && entries_[at].base.load() < region.base.value) ++at;
  if (at > 0 && region.base.value - entries_[at - 1].base.load() < entries_[at - 1].size.load()) return false;
  if (at < count && region.size > entries_[at].base.load() - region.base.value) return false;
  AV_ASSERT(count < room_);
  generation_.fetch_add(1);
  for (std::size_t n = count; n > at; --n) copy(n, n - 1);
  set(at, region, port);
  count_.store(count + 1, std::memory_order_release);
  generation_.fetch_add(1);
  return true;
}

void BusWindow::erase(u64 base) {
  const std::lock_guard lock(mutex_);
  const std::size_t count = count_;
  std::size_t at = 0;
  while (at < count && entries_[at].base.load() != base) ++at;
  if (at == count) return;
  generation_.fetch_add(1);
  for (std::size_t n = at; n + 1 < count; ++n) copy(n, n + 1);
  count_.store(count - 1, std::memory_order_release);
  generation_.fetch_add(1);
}

/// Nonsense while entries change, but of entries that there are.
BusWindow::Found BusWindow::find_now(u64 pa, u32 size) const {
  std::size_t first = 0, last = count_.load(std::memory_order_acquire);  // of those that begin behind `pa`
  while (first < last) {
    const std::size_t middle = (first + last) / 2;
    if (entries_[middle].base.load(std::memory_order_acquire) <= pa)
      first = middle + 1;
    else
      last = middle;
  }
  if (first == 0) return {};
  const Entry& e = entries_[first - 1];
  const u64 offset = pa - e.base.load(std::memory_order_acquire), bytes = e.size.load(std::memory_order_acquire);
  if (offset >= bytes || size > bytes - offset) return {};
  return {e.port.load(std::memory_order_acquire), offset};
}

BusWindow::Found BusWindow::find(u64 pa, u32 size) const {
  for (;;) {
    const u32 before = generation_.load(std::memory_order_acquire);
    if (before % 2 == 0) {
      const Found found = find_now(pa, size);
      if (generation_.load(std::memory_order_acquire) == before) return found;
    }
    std::this_thread::yield();
  }
}

std::vector<BusWindow::Placed> BusWindow::placed() const {
  const std::lock_guard lock(mutex_);
  std::vector<Placed> all;
  for (std::size_t n = 0; n < count_; ++n)
    all.push_back({{GuestPa(entries_[n].base.load()), entries_[n].size.load()}, entries_[n].port.load()});
  return all;
}

}  // namespace armvisor::machine
