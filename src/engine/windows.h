#pragma once
// Who has a host-MMU window (mmu/window.h), and what happens at an access that the window did not serve. There are
// windows of address spaces, for unprivileged accesses, and one of a vCPU's privileged accesses, with global pages. Who
// should have one is said by window_policy.h.
//
// Blocks with k_key_window run only when the window is settled and the GS base is its own. Generated code enters
// unprivileged code when Dispatch::window_ready says so; it is taken back whenever a window loses something. The window
// of privileged code, which goes on after TLB maintenance, is settled at the next barrier, or before another vCPU is
// told that its request has been served: until then what was flushed may still be used (B3.10.5).
//
// Only the vCPU's own thread may use the object.
#include "engine/guest_memory.h"
#include "engine/window_policy.h"

namespace armvisor::engine {

class Windows {
 public:
  Windows(Context& context, Shared& shared, GuestMemory& memory, Inbox& inbox)
      : context_(context), shared_(shared), memory_(memory), tlb_(memory.shadow()), inbox_(inbox) {}

  /// run() begins, perhaps on another thread: whose GS base it is isn't known.
  void thread_changed();

  // --- Views are being chosen (ViewKeeper), and the space that is current has been selected.
  /// The state is of this privilege: what its window lost goes from the host's tables.
  void prepare(bool privileged);
  /// Views::window for blocks that have `key`. Blocks that check alignment use none, nor do accesses that watchpoints
  /// may be for.
  u64 base_for(bool privileged, u32 key);
  /// Dispatch::views has been chosen.
  void chosen();

  // --- Between two blocks, or in a service.
  /// What the window of privileged code has lost goes from the host's tables.
  void settle() {
    memory_.tlb();  // generated code may have chosen another view
    settle_global();
  }
  /// An interrupt came, or a loop is hot.
  void tick();
  /// A block that goes by way of the window was made, which there is beside the one that does not.
  void block_made();
  /// An access by way of the window has faulted and was done by way of the TLB. The next one to that page is to hit. An
  /// instruction that goes again and again where no window can help is translated anew, without.
  void missed(u32 va, u32 size, bool write);

 private:
  bool attach(bool privileged);
  void charge(s32 cost, bool privileged);
  void charge(const mmu::Window::Settled& done, bool privileged);
  void settle_global() {
    if (!tlb_.global_window_is_settled()) check_global();
  }
  void check_global();
  void look_ahead(u32 va);
  void count(measure::Counter c, u64 n = 1) { context_.counters.add(c, n); }

  Context& context_;
  Shared& shared_;
  GuestMemory& memory_;
  mmu::Shadow& tlb_;  ///< the memory's
  Inbox& inbox_;
  WindowPolicy policy_;
  bool windowed_[2] = {};  ///< by privilege: the last view's blocks had k_key_window
  u64 changes_ = 0;        ///< SoftTlb::window_changes() that Dispatch::window_ready is of
};

}  // namespace armvisor::engine
