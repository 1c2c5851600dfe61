#pragma once
// A host-MMU window (embedded shadow page tables: ESPT, VEE 2014): 4 GiB of host addresses in which pages of a guest
// address space stand at their guest address, mapped from the RAM's memfd, so that an access at PL0 is one host
// instruction. What is not mapped faults, and the access takes the way through the software TLB.
//
// A page is in a window only while the space could have it in its TLB, with the same rights. What the guest invalidates
// is taken out of the books at once, and out of the host's tables by settle(), before unprivileged code runs again.
// Only the vCPU's own thread may use the object.
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/types.h"

namespace armvisor::mmu {

/// What a window did, in pages and calls of the host.
struct WindowCounts {
  u64 mapped = 0, dropped = 0, protects = 0;
};

class Window {
 public:
  /// Two host mappings a page, at worst, of the 65530 that a Linux process has (vm.max_map_count); see SoftTlb.
  static constexpr u32 k_max_pages = 6000;
  /// Host addresses from base() on that an access can reach: it may begin at the last byte.
  static constexpr u64 k_bytes = (u64{1} << 32) + 64 * 1024;

  /// Null when the host has no addresses to give. At most `max_pages` at a time will be mapped from `memfd`.
  static std::unique_ptr<Window> create(int memfd, u32 max_pages);

  u64 base() const { return reinterpret_cast<u64>(space_.data()); }
  /// The page of `va` is mapped, for writes too if `write`.
  bool has(u32 va, bool write) const;
  /// Maps `count` pages at `va` from `offset` of the memfd on. Those that are there already must have the same
  /// frame; they get the rights given. False when there is no room.
  bool map(u32 va, u64 offset, u32 count, bool writable, bool global);
  /// Takes out the pages of the 2^bits bytes around `va`; with `only_global`, those of them that are.
  void drop(u32 va, u32 bits, bool only_global);
  void drop_all();
  void drop_not_global();
  /// Makes the mappings of the frame at `offset` read-only.
  void drop_writes(u64 offset);
  /// Takes from the host's tables what was dropped, and says how much. Must be called before the window is used again.
  u32 settle();
  bool is_settled() const { return stale_.empty(); }

  u32 size() const { return static_cast<u32>(pages_.size()); }
  const WindowCounts& counts() const { return counts_; }

 private:
  struct Page {
    u32 number;  ///< guest address >> 12
    u32 frame;   ///< offset in the memfd >> 12
    bool writable, global;
  };
  Window(Mapping space, Mapping slots, int memfd, u32 max_pages);
  u16& slot(u32 number) const { return reinterpret_cast<u16*>(slots_.data())[number]; }
  void remove(u32 at);
  u8* host(u32 number) const { return space_.data() + (std::size_t{number} << k_page_bits); }
  [[nodiscard]] bool clear_host(u32 number, u32 count);
  void clear_host();
  template <class F>
  void drop_if(F f);

  Mapping space_, slots_;  ///< slots: per page, its place in pages_ + 1; 0: none
  int memfd_;
  u32 max_pages_;
  std::vector<Page> pages_;
  std::vector<u32> stale_;  ///< numbers of pages that the host still maps
  WindowCounts counts_;
};

}  // namespace armvisor::mmu
