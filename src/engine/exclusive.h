#pragma once
// The global monitor (ARM DDI 0406C A3.4): a table of versions hashed by physical address. LDREX records a version
// and a value; STREX holds the version's lock, compares both, stores by compare-and-swap and bumps the version. So a
// store-exclusive between the two is seen even if it restores the value, and a plain store that changes the value is
// seen by the swap.
#include <array>
#include <atomic>
#include <thread>

#include "base/types.h"

namespace armvisor::engine {

class ExclusiveTable {
 public:
  // For generated code: slot (pa >> 3) % k_slots holds a version, which is even, plus k_locked while a store is made.
  static constexpr u32 k_slots = 4096, k_locked = 1;
  const void* slots() const { return slots_.data(); }

  u32 version(GuestPa pa) {
    auto& slot = slot_of(pa);
    u32 v = slot.load(std::memory_order_acquire);
    while (v & k_locked) {
      std::this_thread::yield();
      v = slot.load(std::memory_order_acquire);
    }
    return v;
  }

  /// Stores `desired` if version and value still are the given ones.
  template <class T>
  bool store(GuestPa pa, u64 host, u32 version, T expected, T desired) {
    auto& slot = slot_of(pa);
    u32 v = version;
    if (!slot.compare_exchange_strong(v, version | k_locked, std::memory_order_acquire)) return false;
    const bool done = __atomic_compare_exchange_n(reinterpret_cast<T*>(host), &expected, desired, false,
                                                  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    slot.store(done ? version + 2 : version, std::memory_order_release);
    return done;
  }

 private:
  std::atomic<u32>& slot_of(GuestPa pa) { return slots_[(pa.value >> 3) % slots_.size()]; }
  std::array<std::atomic<u32>, k_slots> slots_{};
};

}  // namespace armvisor::engine
