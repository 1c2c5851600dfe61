#pragma once
// A vCPU that runs translated code, interpreted or compiled: the dispatcher, its view of memory, and its system registers.
#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "arm/cp15.h"
#include "arm/exceptions.h"
#include "engine/context.h"
#include "engine/engine.h"
#include "engine/guest_memory.h"
#include "engine/shared.h"
#include "engine/window_policy.h"
#include "frontend/translate.h"

namespace armvisor::engine {

class TranslatingVcpu final : public Vcpu, public arm::SystemPort, private Inbox::Owner, private Claimer {
 public:
  TranslatingVcpu(Shared& shared, u32 index);

  // --- Vcpu
  Exit run() override;
  arm::CpuState& state() override { return context_.guest; }
  void state_changed() override { inbox_.request_attention(); }
  void set_line(InputLine line, bool level) override;
  bool line_pending() const override { return context_.dispatch.lines.load() != 0; }
  void kick() override;
  void set_event() override { event_.store(1); }
  void table_hint(TableHint hint, GuestPa table, u32 level) override;
  bool uses_table_hints() const override { return shared_.config.mmu == MmuPolicy::RmapHints; }

  // --- for uops
  void fence();
  void send_event();

  // --- SystemPort (system.cpp)
  u64 counter() override;
  void timer_changed(bool virtual_timer) override;
  void translation_context_changed() override { sync(); }
  void tlb_flush_all(bool inner_shareable) override;
  void tlb_flush_asid(Asid asid, bool inner_shareable) override;
  void tlb_flush_va(u32 va, Asid asid, bool inner_shareable) override;
  void tlb_flush_va_all_asids(u32 va, bool inner_shareable) override;
  void icache_invalidate_all(bool inner_shareable) override;
  void icache_invalidate_va(u32 va) override;
  arm::Fault walk(u32 va, arm::Access access, bool privileged, arm::Translation& out) override {
    return memory_.walk(va, access, privileged, out);
  }
  u32 interrupt_lines() override;
  void debug_changed() override;

  // --- for generated code: an access that the window did not serve was done (windows.cpp)
  void window_missed(u32 va, u32 size, bool write);

  // --- for generated code, between blocks (vcpu.cpp)
  /// State that blocks depend on may have changed: what follows from it is made anew.
  void resync();
  /// Exception return to `pc`, which is left in r15.
  void return_from_exception(u32 pc, u32 psr);
  /// Data Abort of the access at Dispatch::at.
  void enter_data_abort();
  /// SVC whose next instruction is at `next`.
  void supervisor_call(u32 next);

  // --- among vCPUs
  Inbox& inbox() { return inbox_; }
  const measure::Counters& counters() const { return context_.counters; }

 private:
  friend class RunScope;
  // --- dispatcher (vcpu.cpp)
  void enter_run();
  void leave_run();
  bool serve();  ///< true: leave run() as kicked
  void take_interrupts();
  void sync();
  Views& views_for(mmu::Space& space, const u32 (&keys)[2]);
  void forget_jumps() {
    std::fill(std::begin(context_.jump), std::end(context_.jump), JumpEntry{});
    known_.fill({});
  }
  mmu::Shadow& tlb() { return memory_.tlb(); }
  bool run_helper();
  Leave emulate();
  void take_data_abort();
  void take_debug_event();
  std::optional<Exit> leave_block(Leave why);

  // --- verify.cpp
  Leave run_once(Block* block, bool& asked);
  Leave execute_verified(Block* block);
  void report(const Block& block, const arm::CpuState& before, const std::string& found);

  std::optional<Exit> hypercall(bool smc);
  void raise(arm::Exception exception);
  void count(measure::Counter c, u64 n = 1) { context_.counters.add(c, n); }
  void note_instructions() {
    if (shared_.backend->counts_instructions())
      context_.counters.set(measure::Counter::Instructions, context_.dispatch.instructions);
  }

  // --- host-MMU windows (windows.cpp)
  void prepare_window(bool privileged);
  void window_ready();
  u64 window_of(bool privileged, u32 key);
  bool attach_window(bool privileged);
  void tick_window();
  void charge_window(s32 cost, bool privileged);
  void charge_window(const mmu::Window::Settled& done, bool privileged);
  void window_block_made();
  void settle_global_window() {
    if (!tlb_.global_window_is_settled()) check_global_window();
  }
  /// Likewise; generated code may have chosen another view.
  void settle_between_blocks() {
    tlb();
    settle_global_window();
  }
  void check_global_window();
  void look_ahead(u32 va);

  // --- blocks (fetch.cpp)
  Block* find_block();
  Block* look_up(u32 pc, u32 key, frontend::Context context, Block* cached);
  void know(u32 target, Block* block);
  bool fetch_page(u32 va, GuestPa& pa, const u8*& host);
  /// `cold_runs`: how often the block is to be interpreted before it is compiled; 0: it is compiled now.
  Block* translate_block(u32 pc, u32 key, const frontend::Context& context, GuestPa pa, GuestPa second_page,
                         const u8* first, const u8* second, u32 cold_runs);
  void claim(GuestPa pa, u8 writers) override;
  void make_region();
  bool offer(const CompileJob& job);
  bool compile_later(Block& block, const CompileJob& job);

  void maintain(const Request& request, bool inner_shareable);
  void carry_out(const Request& request);

  // --- Inbox::Owner
  void apply(const Request& request) override;
  void settle() override { settle_between_blocks(); }
  void forget_blocks() override { forget_jumps(); }
  bool needs(const Request& request) const override { return memory_.needs(request); }

  Context context_;
  Shared& shared_;
  const u32 index_;
  std::unique_ptr<Journal> journal_;  ///< with --verify
  Inbox inbox_;
  Outbox outbox_;
  GuestMemory memory_;
  mmu::Shadow& tlb_;         ///< GuestMemory::shadow()
  mmu::SpaceKey views_key_;  ///< of Dispatch::kept_views, but for DACR
  /// Blocks by program counter and key, whatever the address space: after a switch or a flush they fill the jump cache.
  struct KnownBlock {
    u32 target = 0;  ///< with CPSR.T in bit 0
    Block* block = nullptr;
  };
  static constexpr u32 k_known_bits = 16;
  static constexpr u32 known_index(u32 target) { return target * 0x9e3779b1u >> (32 - k_known_bits); }
  std::array<KnownBlock, 1u << k_known_bits> known_{};
  ir::Block ir_block_;               ///< of translate_block: the memory stays
  mmu::TlbEntry* no_tlb_ = nullptr;  ///< when set, stands for the TLB
  u32 vain_lookups_ = 0;  ///< of find_block, one after the other
  WindowPolicy window_policy_;
  bool windowed_[2] = {};   ///< by privilege: the last view's blocks had k_key_window
  u64 window_changes_ = 0;  ///< SoftTlb::window_changes() that Dispatch::window_ready is of
  /// Loops of a kernel that wait for another vCPU make barriers in quick succession (Linux's cpu_relax): so many in so
  /// little time. (Programs whose threads share a lock come to as many without waiting.)
  static constexpr s32 k_spin_barriers = 1000;
  static constexpr std::chrono::microseconds k_spin_time{40};
  const bool yields_when_spinning_;  ///< the host has fewer CPUs
  std::chrono::steady_clock::time_point barriers_began_;
  bool yield_ = false;   ///< leave run() with Exit::Yield
  bool waited_ = false;  ///< for an interrupt, since the last
  std::atomic<u8> event_{0};
  std::atomic<bool> kicked_{false};
};

}  // namespace armvisor::engine
