#pragma once
// A vCPU that runs translated code, interpreted or compiled: the dispatcher, which goes from block to block, and takes
// exceptions and interrupts. What code asks for in the middle of a block has rooms of its own, each above those before
// it:
//   Inbox, Outbox    requests of and to other vCPUs
//   GuestMemory      accesses, and what is kept of translations
//   Windows          guest memory by the host's MMU
//   ViewKeeper       what blocks depend on, made from the state
//   SystemEffects    what system registers and barriers do
// and BlockFinder, which knows the first two only, finds the next block.
//   BlockFinder      the block for a program counter, found or made
#include <algorithm>
#include <array>
#include <optional>

#include "arm/exceptions.h"
#include "engine/block_finder.h"
#include "engine/context.h"
#include "engine/debug_stops.h"
#include "engine/engine.h"
#include "engine/shared.h"
#include "engine/system_effects.h"
#include "frontend/translate.h"

namespace armvisor::engine {

class TranslatingVcpu final : public Vcpu, private Inbox::Owner, private BlockFinder::Owner {
 public:
  TranslatingVcpu(Shared& shared, u32 index);

  // --- Vcpu
  Exit run() override;
  arm::CpuState& state() override { return context_.guest; }
  void state_changed() override { inbox_.request_attention(); }
  void set_line(InputLine line, bool level) override;
  bool line_pending() const override { return context_.dispatch.lines.load() != 0; }
  void kick() override;
  void set_event() override { context_.dispatch.event.store(1); }
  void table_hint(TableHint hint, GuestPa table, u32) override { system_.table_hint(hint, table); }
  void step(bool on, bool interrupts) override { stops_.step(on, interrupts); }
  const DebugStop& debug_stop() const override { return stops_.last(); }
  bool uses_table_hints() const override { return shared_.config.mmu == MmuPolicy::RmapHints; }

  // --- for generated code, between blocks (vcpu.cpp)
  /// State that blocks depend on may have changed: what follows from it is made anew.
  void resync();
  /// Exception return to `pc`, which is left in r15.
  void return_from_exception(u32 pc, u32 psr);
  /// Data Abort of the access at Dispatch::at.
  void enter_data_abort();
  /// SVC whose next instruction is at `next`.
  void supervisor_call(u32 next);

  const measure::Counters& counters() const { return context_.counters; }

 private:
  friend class RunScope;
  // --- dispatcher (vcpu.cpp)
  void enter_run();
  void leave_run();
  bool serve();  ///< true: leave run() as kicked
  void take_interrupts();
  bool run_helper();
  Leave emulate();
  void take_data_abort();
  void take_debug_event();
  std::optional<Exit> leave_block(Leave why);
  Exit stop_for_debugger(u32 pc, u8 it);

  // --- verify.cpp
  Leave run_once(Block* block, bool& asked);
  Leave execute_verified(Block* block);
  void report(const Block& block, const arm::CpuState& before, const std::string& found);

  std::optional<Exit> hypercall(bool smc);
  void raise(arm::Exception exception);
  void tell_absent_extension();
  void count(measure::Counter c, u64 n = 1) { context_.counters.add(c, n); }
  void note_instructions() {
    if (shared_.backend->counts_instructions())
      context_.counters.set(measure::Counter::Instructions, context_.dispatch.instructions);
  }

  // --- BlockFinder::Owner
  bool fetch_page(u32 va, CodePage& page) override;
  void window_block_made() override { windows_.block_made(); }

  // --- Inbox::Owner
  void apply(const Request& request) override {
    count(measure::Counter::FlushRemote);
    system_.apply(request);
  }
  void settle() override { windows_.settle(); }
  void forget_blocks() override { finder_.forget(); }
  bool needs(const Request& request) const override { return memory_.needs(request); }

  Context context_;
  Shared& shared_;
  const u32 index_;
  std::unique_ptr<Journal> journal_;  ///< with --verify
  VcpuStops stops_;
  Inbox inbox_;
  Outbox outbox_;
  GuestMemory memory_;
  Windows windows_;
  ViewKeeper views_;
  SystemEffects system_;
  BlockFinder finder_;
  bool waited_ = false;  ///< for an interrupt, since the last
  std::atomic<bool> kicked_{false};
};

}  // namespace armvisor::engine
