#pragma once
// What a vCPU keeps of the guest's translations, and when it lets go of it (Policy).
//
// With the coherent policies an entry is kept only if the vCPU will hear of any write to a descriptor that it came
// from:
//   1. The frames of these tables are marked (FrameTable::use_table). From then on no vCPU makes a write entry for
//      them, and those that have some are asked to drop them.
//   2. Once they have, or are outside guest code, the frame is guarded, and the tables are walked anew. Before that,
//      translations are used but not kept.
//   3. A vCPU that writes a marked frame stores, fences, and then asks the frame's users to drop what was derived from
//      the written bytes. So either the walk saw the write, or the walker gets the request. A barrier of the writer
//      waits for it, and the architecture promises nothing before that barrier (B3.10.1); device writes ask likewise,
//      and a maintenance operation waits for what was asked before it.
// So maintenance operations find nothing that is stale.
//
// Only the vCPU's own thread may use the object.
#include <array>
#include <vector>

#include "measure/counters.h"
#include "mmu/request.h"
#include "mmu/soft_tlb.h"
#include "mmu/table_map.h"

namespace armvisor::mmu {

/// The other vCPUs of the machine, as one of them sees them.
class Peers {
 public:
  /// Asks vCPU `vcpu`; the asker's next barrier waits for it. Returns a ticket.
  virtual u64 ask(u32 vcpu, const Request& request) = 0;
  /// It has served the request, or is outside guest code and will serve it before it enters.
  virtual bool has_served(u32 vcpu, u64 ticket) const = 0;
  /// The asker held write entries for the frame of `pa` while others held something derived from its bytes.
  virtual void wrote_unseen(GuestPa pa) = 0;

 protected:
  ~Peers() = default;
};

/// Where a table walk read descriptors, first level first.
struct WalkPath {
  u32 count = 0;
  std::array<GuestPa, 3> descriptors;
  void add(GuestPa pa) {
    if (count < descriptors.size()) descriptors[count++] = pa;
  }
};

class Shadow {
 public:
  Shadow(FrameTable& frames, Peers& peers, u32 vcpu, Policy policy, measure::Counters& counters)
      : frames_(frames),
        peers_(peers),
        bit_(static_cast<u8>(1u << vcpu)),
        policy_(policy),
        counters_(counters),
        tlb_(frames, vcpu) {}

  Policy policy() const { return policy_; }
  bool is_coherent() const { return mmu::is_coherent(policy_); }

  /// Selects the space of the state's translation context, making or recycling one. The result is valid until the
  /// next call.
  Space& select(const arm::CpuState& s);
  Space& current() { return *tlb_.current(); }
  // As SoftTlb's.
  void set_current(Space& space) { tlb_.set_current(space); }
  u32 exec_number(bool privileged, u32 key) { return tlb_.exec_number(privileged, key); }
  u64 changes() const { return tlb_.changes(); }
  bool numbers_wrapped() { return tlb_.numbers_wrapped(); }

  enum class Keep { Yes, No, WalkAgain };
  /// May the result of a walk along `path` be entered?
  Keep may_keep(u32 va, const arm::Translation& t, const WalkPath& path);
  void fill_data(u32 va, const arm::Translation& t, bool privileged, u8* host, bool ram) {
    tlb_.fill_data(va, t, privileged, host, ram);
  }
  bool fill_exec(u32 va, const arm::Translation& t, bool privileged) { return tlb_.fill_exec(va, t, privileged); }

  /// Does what a request asks, but for DropWrites. `tables`: those in force, for what may stay when all is flushed.
  void apply(const Request& r, const Tables* tables = nullptr);
  /// Nothing in [va, va + (1 << bits)) hits any more until it is filled again.
  void drop_translations(u32 va, u32 bits) {
    if (bits <= k_page_bits)
      tlb_.drop_pages(va, 1, nullptr);
    else
      apply({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()});
  }
  bool drop_writes(GuestPa pa) { return tlb_.drop_writes(pa); }
  void keep_global(const Tables& tables) { tlb_.keep_global(&tables); }
  bool kept_by_others(const std::array<u64, 2>& bases) const { return tlb_.kept_by_others(bases); }

  // Windows, as SoftTlb's.
  bool attach_window(u32 max_pieces) { return tlb_.attach_window(max_pieces); }
  /// (Only entries that belong to ASIDs are shared by all that has global pages.)
  bool attach_global_window(u32 max_pieces) { return policy_ == Policy::Asid && tlb_.attach_global_window(max_pieces); }
  Window* window(bool privileged) { return tlb_.window(privileged); }
  WindowUse& window_use(bool privileged) { return tlb_.window_use(privileged); }
  SoftTlb::Mapped map_window(u32 va, bool write, bool privileged) { return tlb_.map_window(va, write, privileged); }
  Window::Settled settle_window() { return tlb_.settle_window(); }
  bool fits_global_window(u32 va, const arm::Translation& t) const { return tlb_.fits_global_window(va, t); }
  bool global_window_is_settled() const { return tlb_.global_window_is_settled(); }
  template <class F>
  Window::Settled settle_global_window(F look) {
    return tlb_.settle_global_window(look);
  }
  u64 window_changes() const { return tlb_.window_changes(); }
  void window_changed() { tlb_.window_changed(); }
  WindowCounts window_counts() const { return tlb_.window_counts(); }

  /// (any thread) Maintenance of these pages has to reach this vCPU. The asker has made a full fence after its writes
  /// to tables.
  bool needs(const Request& r) const { return policy_ != Policy::Asid || tlb_.may_have_any(r.va, r.pages); }
  /// While there is one, translations are looked up that will be entered.
  class Walk {
   public:
    /// `others`: there are some who may ask needs().
    Walk(Shadow& shadow, bool others) : tlb_(shadow.tlb_), others_(others) {
      if (others_) tlb_.begin_walk();
    }
    ~Walk() {
      if (others_) tlb_.end_walk();
    }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;

   private:
    SoftTlb& tlb_;
    const bool others_;
  };

  /// Maintenance of a page that has nothing to do here. (Kernels flush long ranges, most of which nobody has used.)
  bool has_nothing_of(const Request& r) const {
    const bool page = r.kind == Request::Kind::FlushVa || r.kind == Request::Kind::FlushVaAllAsids;
    return page && policy_ == Policy::Asid && tlb_.has_nothing_of(r.va);
  }
  /// True when TLB maintenance for all vCPUs must reach their shadows.
  bool needs_broadcast() const { return !is_coherent() || frames_.unguarded.load() != 0; }

  /// This vCPU wrote [pa, pa + size), inside one frame with k_frame_table, and a full fence has passed.
  void table_written(GuestPa pa, u32 size);
  /// Lets go of all that any vCPU derived from the frame of `pa`.
  void release_table(GuestPa pa) { tell({.kind = Request::Kind::DropTable, .asid = Asid(), .pa = pa}); }
  void hint(TableHint what, GuestPa pa);

 private:
  /// A frame that is not guarded yet, and the requests to wait for.
  struct Claim {
    u64 frame;
    std::array<u64, 8> tickets;
  };

  bool prepare(GuestPa pa);
  void claim(GuestPa pa);
  bool settle(GuestPa pa);
  bool drop_claim(u64 frame);  ///< true: there was one
  void released(u64 frame);
  void tell(const Request& r);
  void flush(const Request& r, const Tables* tables);
  void drop_derived(GuestPa pa, u32 size);
  void drop_table(GuestPa pa);
  bool became_data(u64 frame);
  GuestPa pa_of(u64 frame) const { return frames_.ram().base() + (frame << k_page_bits); }

  FrameTable& frames_;
  Peers& peers_;
  const u8 bit_;
  const Policy policy_;
  measure::Counters& counters_;
  SoftTlb tlb_;
  TableMap map_;
  std::vector<Claim> claims_;
  u64 written_frame_ = 0;  ///< of the last write to a table
  u32 writes_ = 0;         ///< to it, since a walk went through it
  bool batch_ = false;
};

}  // namespace armvisor::mmu
