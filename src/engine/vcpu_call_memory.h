#pragma once
// A vCPU's memory for who serves its call. While it lives the vCPU is outside guest code, but in access().
#include <optional>

#include "engine/call_memory.h"
#include "engine/guest_memory.h"
#include "engine/inbox.h"

namespace armvisor::engine {

class VcpuCallMemory final : public CallMemory {
 public:
  /// The vCPU is between two blocks.
  VcpuCallMemory(const arm::CpuState& state, GuestRam& ram, Inbox& inbox, GuestMemory& memory)
      : state_(state), ram_(ram), inbox_(inbox), memory_(memory) {
    outside_.emplace(inbox_, OutsideGuest::Holds::Current);
  }

  bool access(u32 va, u32 size, arm::Access access, const Touch& touch) override {
    outside_.reset();
    const bool done = access_inside(va, size, access, touch);
    outside_.emplace(inbox_, OutsideGuest::Holds::Current);
    return done;
  }

 private:
  bool access_inside(u32 va, u32 size, arm::Access access, const Touch& touch) {
    constexpr int k_tries = 3;
    for (int n = 0; n < k_tries; ++n) {
      GuestMemory::Page page;
      if (memory_.find_page(va, access, state_.privileged(), page) || !page.host) return false;
      // Maintenance of what the TLB has not kept comes to this vCPU only while it walks (P8).
      std::optional<mmu::Shadow::Walk> walking;
      if (!page.kept) {
        walking.emplace(memory_.shadow(), true);
        arm::Translation now;
        if (memory_.walk(va, access, state_.privileged(), now)) return false;
        if ((now.pa.value & ~u64{k_page_mask}) != page.frame.value) continue;
      }
      touch_page(page, va & k_page_mask, size, access, touch);
      return true;
    }
    return false;  // others change the tables all the time
  }
  /// Writes are told as a device's are: whoever derived something from the bytes drops it.
  void touch_page(const GuestMemory::Page& page, u32 offset, u32 size, arm::Access access, const Touch& touch) {
    touch({page.host + offset, size});
    if (access == arm::Access::Write) ram_.mark_written(page.frame + offset, size);
  }

  const arm::CpuState& state_;
  GuestRam& ram_;
  Inbox& inbox_;
  GuestMemory& memory_;
  std::optional<OutsideGuest> outside_;
};

}  // namespace armvisor::engine
