#pragma once
// A host-MMU window (embedded shadow page tables: ESPT, VEE 2014): 4 GiB of host addresses in which pages of a guest
// address space stand at their guest address, mapped from the RAM's memfd, so that an access is one host instruction.
// What is not mapped faults, and the access takes the way through the software TLB.
//
// A page is in a window only while the space could have it in its TLB, with the same rights. What the guest invalidates
// is taken out of the books at once, and out of the host's tables by settle(), before code that uses it runs again.
// Only the vCPU's own thread may use the object.
#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "base/bits.h"
#include "base/fd.h"
#include "base/types.h"
#include "mmu/mib_set.h"

namespace armvisor::mmu {

/// What a window did, in pages and calls of the host.
struct WindowCounts {
  u64 mapped = 0, dropped = 0, protects = 0;
};

class Window {
 public:
  /// Host addresses from base() on that an access can reach: it may begin at the last byte.
  static constexpr u64 k_bytes = (u64{1} << 32) + 64 * 1024;

  /// Null when the host has no addresses to give. Will take at most `max_pieces` of the 65530 mappings that a Linux
  /// process may have (vm.max_map_count), all from `memfd`, of `size` bytes.
  static std::unique_ptr<Window> create(int memfd, u64 size, u32 max_pieces);

  u64 base() const { return reinterpret_cast<u64>(space_.data()); }
  /// The page of `va` is mapped, for writes too if `write`.
  bool has(u32 va, bool write) const;
  /// Maps `count` pages at `va` from `offset` of the memfd on, `populate`: into the host's tables, too. Those that are
  /// there already are replaced. False when there is no room: there will be when everything has been dropped.
  bool map(u32 va, u64 offset, u32 count, bool writable, bool global, bool populate);
  /// Takes out the pages of the 2^bits bytes around `va`; with `only_global`, those of them that are.
  void drop(u32 va, u32 bits, bool only_global);
  void drop_all();
  /// What tables say of the addresses first to last: they are at these plus `origin` in the memfd, if anywhere.
  struct Extent {
    u32 first = 1, last = 0;
    u64 origin = 0;
    bool mapped = false, writable = false;
  };
  /// Of the MiBs given, takes out the pages of which look(va), the Extent that `va` is in, does not say what is mapped.
  template <class F>
  void keep_what_holds(const MibSet& mibs, F look);
  /// Makes the mappings of the frame at `offset` read-only.
  void drop_writes(u64 offset);
  struct Settled {
    u32 calls = 0, pages = 0;
  };
  /// Takes from the host's tables what was dropped. Must be called before the window is used again.
  Settled settle();
  bool is_settled() const { return stale_.empty(); }

  u32 size() const { return size_; }
  const WindowCounts& counts() const { return counts_; }

 private:
  // Of a page: its frame << k_frame_shift and what follows, or 0.
  static constexpr u32 k_mapped = 1, k_writable = 2, k_global = 4, k_frame_shift = 3;
  static constexpr u32 k_page_count = 1u << 20, k_pages_per_mib = 256;
  static constexpr u32 k_many = ~u32{0};
  struct Mib {
    u16 pages = 0;          ///< that are mapped
    bool even = true;       ///< all of them at their address plus `origin` in the memfd
    bool writable = false;  ///< perhaps some
    bool section = true;    ///< a guess: one descriptor maps all of it
    u64 origin = 0;
  };

  Window(Mapping space, Mapping pages, Mapping places, int memfd, u32 max_pieces);
  u32& page(u32 number) const { return reinterpret_cast<u32*>(pages_.data())[number]; }
  u32& place(u64 frame) const { return reinterpret_cast<u32*>(places_.data())[frame]; }
  void add(u32 number, u64 origin);
  void remove(u32 number);
  bool protect(u32 number);
  u8* host(u32 number) const { return space_.data() + (std::size_t{number} << k_page_bits); }
  [[nodiscard]] bool clear_host(u32 number, u32 count);
  void clear_host();
  /// f(number) for each page of [first, end) that is mapped.
  template <class F>
  void for_each(u32 first, u32 end, F f) const {
    while (first < end) {
      const u32 mib = first / k_pages_per_mib, next = std::min(end, (mib + 1) * k_pages_per_mib);
      for (; mibs_[mib].pages != 0 && first < next; ++first)
        if (page(first) != 0) f(first);
      first = next;
    }
  }

  Mapping space_;
  Mapping pages_;   ///< u32 per page of the guest's addresses
  Mapping places_;  ///< u32 per frame: number of the page that it is mapped at + 1, 0: at none, k_many: perhaps at more
  std::array<Mib, 4096> mibs_{};
  MibSet used_{};  ///< those with pages
  int memfd_;
  u32 size_ = 0;
  u32 pieces_ = 0;  ///< the host has at most so many mappings for it
  const u32 max_pieces_;
  std::vector<u32> stale_;  ///< numbers of pages that the host still maps
  WindowCounts counts_;
};

template <class F>
void Window::keep_what_holds(const MibSet& mibs, F look) {
  constexpr u32 k_last_of_mib = (1u << k_mib_bits) - 1;
  MibSet left;
  std::ranges::transform(mibs, used_, left.begin(), std::bit_and());
  Extent now;
  for_each_bit(left, [&](u32 mib) {
    const u32 start = mib << k_mib_bits;
    Mib& m = mibs_[mib];
    if (m.section) {
      now = look(start);
      m.section = now.mapped && now.first <= start && now.last >= start + k_last_of_mib;
      if (m.section && m.even && m.origin == now.origin && (now.writable || !m.writable)) return;
    }
    for_each(mib * k_pages_per_mib, (mib + 1) * k_pages_per_mib, [&](u32 number) {
      const u32 p = page(number), va = number << k_page_bits;
      if (va < now.first || va > now.last) now = look(va);
      const u64 origin = (u64{p >> k_frame_shift} << k_page_bits) - va;
      if (!now.mapped || origin != now.origin || (!now.writable && (p & k_writable))) remove(number);
    });
  });
}

}  // namespace armvisor::mmu
