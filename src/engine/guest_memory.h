#pragma once
// A vCPU's view of guest memory: what it keeps of the guest's translations (mmu/shadow.h), and all accesses that
// generated code and uops do not do in place. An access asks the tables for each page that it touches before it reads
// or writes anything; then it is done in RAM or ROM, or a device does it, outside guest code.
//
// Only the vCPU's own thread may use the object, but for needs().
#include <array>
#include <optional>

#include "arm/debug_events.h"
#include "arm/page_walk.h"
#include "engine/code_cache.h"
#include "engine/context.h"
#include "engine/journal.h"
#include "engine/outbox.h"
#include "ir/access.h"
#include "measure/clock.h"
#include "mmu/shadow.h"

namespace armvisor::engine {

struct Shared;

class GuestMemory final : public Claimer, private arm::WalkMemory, private mmu::Peers {
 public:
  /// `journal`: with --verify, else null. It and all that is referred to must outlive the object.
  GuestMemory(Context& context, Shared& shared, u32 index, Inbox& inbox, Outbox& outbox, measure::VcpuClock& clock,
              Journal* journal);

  // --- Accesses of the uop at Dispatch::at. False: fault() says why. attr is ir::MemAttr.
  bool load(u32 va, u8 attr, u8 attr2, u64& value);
  bool store(u32 va, u8 attr, u8 attr2, u64 value);
  bool load_exclusive(u32 va, u8 attr, u64& value);
  bool store_exclusive(u32 va, u8 attr, u64 value, u32& result);
  const arm::Fault& fault() const { return fault_; }

  // --- Translations
  /// What the tables in force say. Nothing is kept.
  arm::Fault walk(u32 va, arm::Access access, bool privileged, arm::Translation& out);
  /// The instruction at `pc`, of T32 the first halfword of two above the second; nothing where it cannot be fetched
  /// from RAM or ROM. For messages.
  std::optional<u32> instruction(u32 pc, bool thumb);
  /// The page of an address.
  struct Page {
    GuestPa frame;
    u8* host = nullptr;   ///< of its first byte; null: a device. ROM's must not be written.
    bool normal = false;  ///< Normal memory
    bool ram = false;
    bool kept = false;  ///< the TLB has it: the next access hits, if it is one that may
  };
  /// Walks the tables for an access and enters in the TLB what may be kept. (Dispatch::views may not hold afterwards:
  /// views_hold().) What is kept is right by any later walk: other vCPUs that make maintenance see this one walk (P8),
  /// and with the policies that follow tables, writes to the tables that it came from are followed from before the walk
  /// that is kept (P6).
  arm::Fault find_page(u32 va, arm::Access access, bool privileged, Page& out);
  /// What is kept; its current space is that of Dispatch::views, which generated code changes by itself.
  mmu::Shadow& tlb() {
    if (context_.dispatch.views) tlb_.set_current(*context_.dispatch.views->space);
    return tlb_;
  }
  /// The same, for who chooses the views: its current space is the one that was selected last.
  mmu::Shadow& shadow() { return tlb_; }
  /// Nothing has changed of what the views were made from.
  bool views_hold() const { return tlb_.changes() == context_.dispatch.views_changes; }
  /// (any thread) As Inbox::Owner::needs.
  bool needs(const Request& request) const { return tlb_.needs(request); }
  /// Does what maintenance or another vCPU asks.
  void apply(const Request& request);
  /// What was kept when everything was flushed is to be right by the tables that are in force now, too: guests that
  /// flush right before they change tables may count on a TLB that has nothing yet, though the architecture does not
  /// promise them one (B3.10.1).
  void keep_by_new_tables();
  /// Lets go of write entries for the frame of `pa`. Writes through them since the frame was marked were not seen: what
  /// was derived from its bytes goes, too (P1).
  void drop_writes(GuestPa pa);
  /// Of who makes blocks on this vCPU's thread.
  void claim(GuestPa pa, u8 writers) override;

 private:
  /// Where an access goes.
  struct Place {
    u64 host = 0;  ///< host address, or 0 for a device
    GuestPa pa;
    bool normal = false;  ///< Normal memory: may be unaligned
    bool ram = false;
  };
  /// What an access has in one page.
  struct Part {
    u32 va = 0, size = 0;  ///< bytes; 0: nothing
    Place place;
  };
  /// A whole access: the second part is in the page behind the first.
  struct Span {
    Part parts[2];
    u32 unit = 1;  ///< bytes that are read or written in one piece in RAM
    u32 step = 1;  ///< bytes of each access that a device gets
  };

  bool fail(arm::FaultType type, u32 va, bool write);
  bool is_privileged(bool unprivileged) const { return context_.guest.privileged() && !unprivileged; }
  void count(measure::Counter c, u64 n = 1) { context_.counters.add(c, n); }

  bool resolve(u32 va, bool write, bool unprivileged, Place& out);
  bool cached_place(u32 va, bool write, bool unprivileged, Place& out);
  bool resolve(u32 va, const ir::Access& access, bool write, bool unprivileged, Span& out);
  /// False: the access is a Watchpoint debug event, or an external debugger stops before it.
  bool check_watchpoints(u32 va, u32 size, bool write, bool unprivileged) {
    const arm::DebugState& debug = context_.guest.cp15.debug;
    return (debug.armed | debug.external) == 0 || !is_watched(va, size, write, unprivileged);
  }
  bool is_watched(u32 va, u32 size, bool write, bool unprivileged);
  bool page_is_watched(u32 va, bool privileged) const;
  bool load_part(const Span& span, const Part& part, u64& value);
  bool store_part(const Span& span, const Part& part, u64 value);
  bool device(GuestPa pa, u32 size, bool write, u64& value);
  bool mmio(u32 va, GuestPa pa, u32 size, bool write, u64& value);
  void store_ram(const Place& place, u32 size, u32 unit, u64 value);
  void written(GuestPa pa, u32 size);

  template <class F>
  void with_tables(F f);
  std::array<u64, 2> bases() const { return {context_.guest.cp15.ttbr0, context_.guest.cp15.ttbr1}; }
  u64 descriptor(GuestPa pa, u32 size);

  // --- arm::WalkMemory
  bool read32(GuestPa pa, u32& value) override;
  bool read64(GuestPa pa, u64& value) override;

  // --- mmu::Peers
  u64 ask(u32 vcpu, const Request& request) override { return outbox_.ask(vcpu, request); }
  bool has_served(u32 vcpu, u64 ticket) const override { return outbox_.has_served(vcpu, ticket); }
  void wrote_unseen(GuestPa pa) override;

  Context& context_;
  Shared& shared_;
  const u32 index_;
  Inbox& inbox_;
  Outbox& outbox_;
  measure::VcpuClock& clock_;
  Journal* const journal_;
  mmu::Shadow tlb_;
  mmu::WalkPath path_;  ///< of the last walk
  arm::Fault fault_;    ///< of the last access that failed
};

}  // namespace armvisor::engine
