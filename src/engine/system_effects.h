#pragma once
// What system registers, barriers and hints do beyond a vCPU's state: maintenance of translations and of code, here and
// among vCPUs (docs/engine/concurrency.md, P4 and P8), timers, events. Only the vCPU's own thread may use the object.
#include <chrono>

#include "arm/cp15.h"
#include "engine/view_keeper.h"

namespace armvisor::engine {

class SystemEffects final : public arm::SystemPort {
 public:
  SystemEffects(Context& context, Shared& shared, u32 index, GuestMemory& memory, Windows& windows, ViewKeeper& views,
                Inbox& inbox, Outbox& outbox, Journal* journal);

  // --- arm::SystemPort
  u64 counter() override;
  void timer_changed(bool virtual_timer) override;
  void translation_context_changed() override { views_.sync(); }
  void tlb_flush_all(bool inner_shareable) override;
  void tlb_flush_asid(Asid asid, bool inner_shareable) override;
  void tlb_flush_va(u32 va, Asid asid, bool inner_shareable) override;
  void tlb_flush_va_all_asids(u32 va, bool inner_shareable) override;
  void icache_invalidate_all(bool inner_shareable) override;
  void icache_invalidate_va(u32) override { icache_invalidate_all(false); }
  arm::Fault walk(u32 va, arm::Access access, bool privileged, arm::Translation& out) override {
    return memory_.walk(va, access, privileged, out);
  }
  u32 interrupt_lines() override;
  void debug_changed() override;

  // --- instructions
  /// DMB or DSB.
  void fence();
  /// SEV.
  void send_event();
  void table_hint(mmu::TableHint hint, GuestPa frame);

  /// Does what this or another vCPU asks of what is kept of translations.
  void apply(const Request& request);

 private:
  void maintain(const Request& request, bool inner_shareable);
  void count(measure::Counter c) { context_.counters.add(c, 1); }

  Context& context_;
  Shared& shared_;
  const u32 index_;
  GuestMemory& memory_;
  mmu::Shadow& tlb_;  ///< the memory's
  Windows& windows_;
  ViewKeeper& views_;
  Inbox& inbox_;
  Outbox& outbox_;
  Journal* const journal_;  ///< with --verify, else null
  /// Loops of a kernel that wait for another vCPU make barriers in quick succession (Linux's cpu_relax): so many in so
  /// little time. (Programs whose threads share a lock come to as many without waiting.)
  static constexpr s32 k_spin_barriers = 1000;
  static constexpr std::chrono::microseconds k_spin_time{40};
  const bool yields_when_spinning_;  ///< the host has fewer CPUs
  std::chrono::steady_clock::time_point barriers_began_;
};

}  // namespace armvisor::engine
