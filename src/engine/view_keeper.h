#pragma once
// What blocks and inline TLB hits depend on beside the guest's bytes (Dispatch::now and the views), made from the
// architectural state: the space of the translation context, by privilege its tables, keys and window, and the number
// that entries of the jump cache have. Only the vCPU's own thread may use the object.
#include "engine/windows.h"

namespace armvisor::engine {

class ViewKeeper {
 public:
  ViewKeeper(Context& context, GuestMemory& memory, Windows& windows)
      : context_(context), memory_(memory), tlb_(memory.shadow()), windows_(windows) {}

  /// The state may have changed, or what is kept of translations: all that follows is made anew. Earlier loads are
  /// ordered before it, as before the guest's context synchronisation.
  void sync();
  /// Until the next call, `entries` stand for the TLB of the current view; null: its own do.
  void replace_tlb(mmu::TlbEntry* entries);

 private:
  Views& views_for(mmu::Space& space, const u32 (&keys)[2]);

  Context& context_;
  GuestMemory& memory_;
  mmu::Shadow& tlb_;  ///< the memory's
  Windows& windows_;
  mmu::SpaceKey key_;                     ///< of Dispatch::kept_views, but for DACR
  mmu::TlbEntry* replacement_ = nullptr;  ///< see replace_tlb
};

}  // namespace armvisor::engine
