#pragma once
// The software TLB of one vCPU: a set of tables per guest address space, so that a context switch only changes a
// pointer and an address space keeps what it knew. Tables are direct-mapped and laid out for inline hits by
// generated code:
//
//   e = &table[(va >> 12) & (k_tlb_entries - 1)];
//   offset = va - e->read_tag;   hit = offset <= 0x1000 - size;   host address = e->host + offset
//
// so accesses that cross a page miss, and so do pages whose accesses must be seen: devices, ROM and code (writes).
// Unaligned accesses hit: pages with the MMU on that are not
// Normal memory never have a tag, and with the MMU off every access is checked for alignment first
// (frontend::Context::align_strict).
//
// What a space stands for, and when its entries go, is the business of Shadow. Only the vCPU's own thread may use the
// object.
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "arm/cpu_state.h"
#include "arm/page_walk.h"
#include "mmu/exec_epoch.h"
#include "mmu/frame_table.h"
#include "mmu/global_code.h"
#include "mmu/space_key.h"
#include "mmu/window.h"

namespace armvisor::mmu {

struct TlbEntry {
  u32 read_tag, write_tag;  ///< address of the page, or tag_none of the entry's place
  u64 host;                 ///< of the page's first byte
};
static_assert(sizeof(TlbEntry) == 16);

inline constexpr u32 k_tlb_entries = 512;
/// The tag that no address looked up in place k is in the page of.
constexpr u32 tag_none(u32 k) { return (k ^ 1) << k_page_bits; }

/// What the engine's choice of who has a window is made from (engine/windows.h).
struct WindowUse {
  u32 ticks = 0;   ///< times that code was found running that would use it, since translations were last dropped
  s32 credit = 0;  ///< microseconds that may be spent on the window
  bool on = false;
};

/// Tables that are in force: what a space of `key` could have of the page of `va` for privileged execution; false:
/// none.
struct Tables {
  SpaceKey key;
  std::array<u64, 2> bases;  ///< TTBR0 and TTBR1
  std::function<bool(u32 va, arm::Translation& out)> translate_code;
};

/// The tables of one guest address space. Index 1 is for privileged accesses, 0 for unprivileged ones.
struct Space {
  TlbEntry data[2][k_tlb_entries];
  u64 exec[2][k_exec_entries];
  struct Meta {
    u8 page_bits;  ///< of the descriptor that the entry came from
    bool global : 1;
    bool normal : 1;    ///< data side: Normal memory, so that unaligned accesses are allowed
    bool writable : 1;  ///< data side: RAM that may be written, seen or unseen
    u8 domain : 4;
  };
  Meta data_meta[2][k_tlb_entries];
  Meta exec_meta[2][k_exec_entries];
  // Bit per entry: made since the space was last cleared.
  std::array<u64, k_tlb_entries / 64> data_used[2]{};
  std::array<u64, k_exec_entries / 64> exec_used[2]{};
  SpaceKey key;
  u32 id = 0;  ///< place among the vCPU's spaces
  u64 last_use = 0;
  ExecEpoch epoch[2];                 ///< [1], as exec[1], only when `own_privileged`
  GlobalCode* global_code = nullptr;  ///< which privileged code runs by, but when `own_privileged`
  bool own_privileged = false;        ///< privileged code runs on pages of this ASID alone
  bool shares_code(bool privileged) const { return privileged && !own_privileged; }
  ExecEpoch& epoch_of(bool privileged) { return shares_code(privileged) ? global_code->epoch() : epoch[privileged]; }
  u64* exec_of(bool privileged) { return shares_code(privileged) ? global_code->entries() : exec[privileged]; }
  bool empty = true;  ///< no entry was made in its own tables since it was last cleared
  MibSet large{};     ///< an entry in it came from a descriptor of more than 4 KiB
  u32 largest = 0;    ///< page_bits of the largest of these
  /// Bit per MiB (coherent policies): writes to all tables on the way to it are followed, so what a walk finds there
  /// may be kept.
  std::array<u64, 64> covered{};

  /// Of unprivileged accesses, or null. Holds nothing that the space could not have in `data`.
  Window* window = nullptr;
  WindowUse window_use;

  u32 clear();  ///< drops every entry; returns how many there were, or 0 for an empty space
  bool covers(u32 va) const { return covered[va >> 26] >> (va >> 20 & 63) & 1; }
  void cover(u32 va) {
    empty = false;
    covered[va >> 26] |= u64{1} << (va >> 20 & 63);
  }
  /// Takes cover() back for [va, va + 1 << bits); true when something there was covered.
  bool uncover(u32 va, u32 bits);
  bool has_large(u32 va) const { return in_mib(large, va); }
  void note_size(u32 va, u32 page_bits) {
    empty = false;
    if (page_bits <= k_page_bits) return;
    if (page_bits > largest) largest = page_bits;
    mark_mib(large, va, page_bits, true);
  }
  void forget_large(u32 va) { mark_mib(large, va, largest, false); }
};

class SoftTlb {
 public:
  static constexpr u32 k_max_spaces = 32, k_max_windows = 4;

  SoftTlb(FrameTable& frames, u32 vcpu);

  Space* current() { return current_; }
  u32 space_count() const { return static_cast<u32>(spaces_.size()); }
  Space& space(u32 id) { return *spaces_[id]; }
  /// Makes the space of `key` the current one. It may be a recycled one, which was given to `recycle` before.
  template <class F>
  Space& select(const SpaceKey& key, F recycle) {
    if (!current_ || !(current_->key == key)) {
      current_ = find(key);
      if (!current_) {
        current_ = &room();
        if (!current_->empty) recycle(*current_);
        begin(*current_, key);
      }
    }
    current_->last_use = ++clock_;
    return *current_;
  }
  Space& select(const SpaceKey& key) {
    return select(key, [](Space&) {});
  }
  /// Makes `space`, which an earlier select() gave and no call of it has recycled since (changes()), the current one.
  void set_current(Space& space) { current_ = &space; }

  /// The number that stands for all execute-side translations of the current space and privilege, and for `key`.
  u32 exec_number(bool privileged, u32 key);
  /// Grows when numbers are given up or a space is recycled.
  u64 changes() const { return changes_; }
  /// True once after numbers have begun again from 1: entries with old ones must go.
  bool numbers_wrapped() { return std::exchange(wrapped_, false); }

  /// Enters a translation for data accesses of privilege `privileged` to the page of `va`, whose first byte is at
  /// `host`. `ram`: the page is RAM, which may be written.
  void fill_data(u32 va, const arm::Translation& t, bool privileged, u8* host, bool ram);
  /// Code in the page is known by the number of `privileged` from now on. False: numbers and tables have just changed.
  bool fill_exec(u32 va, const arm::Translation& t, bool privileged);

  // Dropping entries. Each returns how many.
  u32 drop_all();
  u32 drop_entries(const Tables* tables);  ///< all of them, but for global pages see keep_global()
  /// What the global window has is only suspect, and privileged code on global pages stays if `tables` say of it what
  /// they said before.
  void keep_global(const Tables* tables);
  /// All was dropped, and what was kept then was right by tables at other bases; the first change of each counts.
  bool kept_by_others(const std::array<u64, 2>& bases) const {
    return (kept_[0] && bases[0] != kept_by_[0]) || (kept_[1] && bases[1] != kept_by_[1]);
  }
  u32 drop_not_global(Asid asid);           ///< of the spaces of this ASID
  u32 drop_page(u32 va, const Asid* asid);  ///< TLBIMVA, or without an ASID TLBIMVAA: large pages go whole
  u32 drop_pages(u32 va, u32 pages, const Asid* asid);
  u32 drop_space(Space& s);
  u32 drop_range(Space& s, u32 va, u32 bits);  ///< [va, va + 1 << bits), aligned, of one space

  /// Dropping the page of `va` would change nothing.
  bool has_nothing_of(u32 va) const {
    const GlobalWindow& g = global_;
    if (may_have(va)) return false;
    return !g.window || (g.large.has(va) ? in_mib(g.suspect, va) : !g.window->has(va, false));
  }

  // Does maintenance by another vCPU concern this one? Its own thread says when it is about to walk tables, and, with
  // full fences between, either its walk sees what the other wrote before, or the other sees that it walks.
  void begin_walk() {
    walking_.store(1, std::memory_order_relaxed);
    full_fence();
  }
  void end_walk() { walking_.store(0, std::memory_order_release); }
  /// (any thread) May have entries for [va, va + pages), or be about to enter what it read earlier. The asker has made
  /// a full fence.
  bool may_have_any(u32 va, u32 pages) const;

  /// Drops write permission for the frame of `pa` from every entry; true when there may have been one since the last
  /// time: the frame may have been written unseen.
  bool drop_writes(GuestPa pa);

  // Windows (soft_tlb_window.cpp). attach_window() gives the current space one for unprivileged accesses, taking it
  // from the space that has not run for longest if need be; false when there is none. Spaces lose it with their last
  // translation.
  bool attach_window(u32 max_pieces);
  void detach_window(Space& space);
  /// Makes the window of privileged accesses that of the current space. It has global pages only, so it is the same for
  /// all ASIDs, as entries of a TLB for global pages are (B3.9.1).
  bool attach_global_window(u32 max_pieces);
  /// The window of the current space's accesses of privilege `privileged`, or null.
  Window* window(bool privileged) { return privileged ? global_window() : current_->window; }
  /// What its use is decided from; also while the space has none.
  WindowUse& window_use(bool privileged) { return privileged ? global_.use : current_->window_use; }
  enum class Mapped : u8 { Already, Now, No, Full };
  /// Puts the page of `va` into the current space's window, if the TLB has it for accesses of that kind. Pages beside
  /// it come along, if they are of the same section, or the TLB has them too, with the frames that follow. After Full
  /// it is empty.
  Mapped map_window(u32 va, bool write, bool privileged);
  /// To be called before code that uses the current space's window runs on when something may have been dropped.
  Window::Settled settle_window() { return current_->window ? current_->window->settle() : Window::Settled(); }
  bool global_window_is_settled() const {
    return !global_.window ||
           (!global_.any_suspect && global_.window->is_settled() && !unsettled_.load(std::memory_order_relaxed));
  }
  /// Likewise for the global window. Where all was flushed, or a section, its pages are kept for which the tables say
  /// the same as before: look(va) is a Window::Extent.
  template <class F>
  Window::Settled settle_global_window(F look) {
    GlobalWindow& g = global_;
    if (!g.window) return {};
    if (g.any_suspect && !global_window()) drop_global_window();
    if (g.any_suspect) {
      g.window->keep_what_holds(g.suspect, look);
      g.suspect.fill(0);
      g.any_suspect = false;
    }
    const Window::Settled done = g.window->settle();
    unsettled_.store(false);
    return done;
  }
  /// A page of the global window that has become part of what `t` translates may stay: what the window knows of domains
  /// and sizes covers it.
  bool fits_global_window(u32 va, const arm::Translation& t) const {
    const GlobalWindow& g = global_;
    return (g.domains >> (2 * t.domain) & 3) == 3 &&
           (t.page_bits <= k_page_bits || (g.large.has(va) && t.page_bits <= g.largest));
  }
  /// Grows when a window lost pages, or a space its window; changes() grows with it.
  u64 window_changes() const { return window_changes_; }
  void window_changed() {
    ++window_changes_;
    ++changes_;
  }
  WindowCounts window_counts() const;

 private:
  /// What map_window would map for `va`: false when the TLB does not have it.
  struct Mappable {
    u64 offset;
    bool writable, global;
    u32 page_bits, domain;
    bool operator==(const Mappable&) const = default;
  };
  bool mappable(u32 va, bool privileged, Mappable& out) const;
  void widen_in_section(const Window& window, const Space::Meta& meta, u32& first, u32& count, Mappable& here);
  void note_global(u32 va, const Space::Meta& meta);
  Window* global_window();
  void drop_in_window(Space& space, u32 va, u32 bits, bool only_global);
  void drop_in_global_window(u32 va);
  void drop_global_window();
  bool may_write(GuestPa frame, u32 page);
  u32 clear(Space& space);
  Space* find(const SpaceKey& key);
  Space& room();
  void begin(Space& space, const SpaceKey& key);
  GlobalCode& code_for(const SpaceKey& key);
  void renew(Space& space, bool privileged);
  void renew(GlobalCode& code);
  bool fill_global_code(u32 va, const arm::Translation& t);
  void renew_all();
  void renew_range(Space& space, u32 va, u32 bits);
  void renew_page(u32 va, const Asid* asid);

  /// True when a space may have entries that maintenance of `va` is to drop.
  bool may_have(u32 va) const { return (filled_word(va) >> (va >> k_page_bits & 63) & 1) || large_.has(va); }
  u64 filled_word(u32 va) const { return filled_[va >> 18].load(std::memory_order_acquire); }
  void write_filled(u32 va, bool in) {
    const u64 bit = u64{1} << (va >> k_page_bits & 63), now = filled_word(va);
    filled_[va >> 18].store(in ? now | bit : now & ~bit, std::memory_order_release);
  }
  void note_filled(u32 va, u32 page_bits) {
    write_filled(va, true);
    if (page_bits > k_page_bits) large_.mark(va, page_bits, true);
  }

  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  /// By frame, the page whose entries write it: 0 none, address | 1 one, k_many: more than one.
  static constexpr u32 k_many = 2;

  FrameTable& frames_;
  u8 writer_bit_;
  Space* current_ = nullptr;
  std::vector<std::unique_ptr<Space>> spaces_;
  std::unique_ptr<u32[], Free> written_at_;
  /// Bit per page of the address space: entries were made for it since maintenance for all ASIDs last named it. Kernels
  /// flush long ranges, most of whose pages nobody has used.
  std::unique_ptr<std::atomic<u64>[]> filled_;
  SharedMibSet large_;  ///< likewise, from a descriptor of more than 4 KiB
  std::atomic<u32> walking_{0};
  std::atomic<bool> unsettled_{false};  ///< the host may still map pages of the global window that were flushed
  std::vector<std::unique_ptr<GlobalCode>> global_code_;
  ExecEpoch noted_;  ///< what all of them together know, or have known: most flushes need look no further
  std::vector<std::unique_ptr<Window>> windows_;
  /// The window of privileged accesses.
  struct GlobalWindow {
    std::unique_ptr<Window> window;
    SpaceKey key;               ///< what its pages are of, but for ASID and DACR
    u32 dacr = 0, domains = 0;  ///< fields of DACR that its pages depend on, and their mask
    SharedMibSet large;         ///< a page in it came from a descriptor of more than 4 KiB
    MibSet suspect{};           ///< flushed as a whole; what is there may still be right
    bool any_suspect = false;
    u32 largest = 0;  ///< page_bits of the largest of these
    WindowUse use;
  } global_;
  std::vector<Window*> free_windows_;
  u64 clock_ = 0, changes_ = 0, window_changes_ = 0;
  u32 next_number_ = 0;
  bool wrapped_ = false;
  std::array<u64, 2> kept_by_{};  ///< bases of the tables that keep_global() was asked with when all was dropped
  bool kept_[2] = {};             ///< it has not been asked with another since then
};

}  // namespace armvisor::mmu
