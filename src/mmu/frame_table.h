#pragma once
// What is known of each frame of guest RAM beyond GuestRam's marks: which vCPUs may hold a TLB entry that writes it
// without being seen, which of its 64-byte lines hold translated code, and which vCPUs hold entries derived from
// translation tables in it.
//
// Two orders keep code, tables and writes coherent. A vCPU that makes a write entry first sets its writer bit, fences,
// and reads the frame's marks; a vCPU that makes code first sets k_frame_code, one that derives entries from a table
// first sets k_frame_table, fences, and reads the writer bits. Whichever fence comes second, who made it sees the other
// (docs/engine/concurrency.md, P1). All methods may be called by any thread.
#include <atomic>
#include <memory>
#include <mutex>

#include "base/platform.h"
#include "base/test_point.h"
#include "memory/fence.h"
#include "memory/guest_ram.h"

namespace armvisor::mmu {

inline constexpr u32 k_code_line_bits = 6;

class FrameTable {
  static_assert(k_max_vcpus <= 8, "a set of vCPUs is a byte here");

 public:
  explicit FrameTable(GuestRam& ram)
      : ram_(ram),
        writers_(std::make_unique<std::atomic<u8>[]>(ram.size() >> k_page_bits)),
        lines_(std::make_unique<std::atomic<u64>[]>(ram.size() >> k_page_bits)),
        tables_(std::make_unique<std::atomic<u16>[]>(ram.size() >> k_page_bits)) {}

  GuestRam& ram() const { return ram_; }
  u64 index(GuestPa pa) const { return (pa.value - ram_.base().value) >> k_page_bits; }

  /// Bit n: vCPU n may hold a live write entry for the frame of `pa`.
  std::atomic<u8>& writers(GuestPa pa) { return writers_[index(pa)]; }
  /// Writes to the frame of `pa` must be seen from now on, for it is to hold code. Who may write it unseen until asked
  /// is told, as `writers`, by a fence that has passed.
  u8 watch_code(GuestPa pa) {
    std::atomic<u8>& marks = ram_.marks(pa);
    if (!(marks.load(std::memory_order_relaxed) & k_frame_code))
      marks.fetch_or(k_frame_code, std::memory_order_relaxed);
    full_fence();
    test_point("watch: marked");
    return writers(pa).load(std::memory_order_relaxed);
  }
  /// Bit n: line n of the frame of `pa` holds bytes of some block.
  std::atomic<u64>& code_lines(GuestPa pa) { return lines_[index(pa)]; }

  /// Announces that vCPU `bit` is about to write the frame of `pa` freely. False when the frame holds code or a table,
  /// and so every write must be seen.
  bool allow_unseen_writes(GuestPa pa, u8 bit) {
    if (writes_are_seen(pa)) return false;
    test_point("write entry: unmarked");
    auto& w = writers(pa);
    if (!(w.load(std::memory_order_relaxed) & bit)) w.fetch_or(bit, std::memory_order_relaxed);
    full_fence();
    test_point("write entry: noted");
    return !writes_are_seen(pa);
  }
  bool writes_are_seen(GuestPa pa) const {
    return ram_.marks(pa).load(std::memory_order_relaxed) & (k_frame_code | k_frame_table);
  }

  // Tables. A frame is one in use while some vCPU may hold entries derived from it; it is guarded when moreover no
  // vCPU can write it unseen any more.

  /// Bit n: vCPU n may hold entries derived from the frame of `pa`.
  u8 table_users(GuestPa pa) const { return static_cast<u8>(tables_[index(pa)].load()); }
  bool is_guarded(GuestPa pa) const { return tables_[index(pa)].load() & k_guarded; }
  /// vCPU `bit` is about to derive entries from the frame. A full fence has passed on return. True when it is guarded.
  bool use_table(GuestPa pa, u8 bit) {
    const std::lock_guard guard(table_lock_);
    const u16 before = tables_[index(pa)].fetch_or(bit);
    if (!(before & k_users)) ram_.marks(pa).fetch_or(k_frame_table);
    full_fence();
    return before & k_guarded;
  }
  /// No vCPU can write the frame unseen since use_table().
  void guard_table(GuestPa pa) { tables_[index(pa)].fetch_or(k_guarded); }
  /// vCPU `bit` holds nothing derived from the frame any more.
  void release_table(GuestPa pa, u8 bit) {
    const std::lock_guard guard(table_lock_);
    auto& t = tables_[index(pa)];
    const u16 users = static_cast<u16>(t.fetch_and(static_cast<u16>(~bit)) & ~bit & k_users);
    if (users) return;
    t.fetch_and(static_cast<u16>(~k_guarded));
    ram_.marks(pa).fetch_and(static_cast<u8>(~k_frame_table));
  }
  /// The guest says that the frame is a table (TableHint).
  bool is_announced(GuestPa pa) const { return tables_[index(pa)].load() & k_announced; }
  void announce_table(GuestPa pa, bool is) {
    if (is)
      tables_[index(pa)].fetch_or(k_announced);
    else
      tables_[index(pa)].fetch_and(static_cast<u16>(~k_announced));
  }

  /// vCPUs that wait for a table to become guarded: while there are any, TLB maintenance must reach every vCPU.
  std::atomic<u32> unguarded{0};

  /// The lines that [pa, pa + size), inside one frame, touches.
  static u64 line_mask(GuestPa pa, u32 size) {
    const u32 first = (static_cast<u32>(pa.value) & k_page_mask) >> k_code_line_bits;
    const u32 last = ((static_cast<u32>(pa.value) & k_page_mask) + size - 1) >> k_code_line_bits;
    return (~u64{0} >> (63 - (last - first))) << first;
  }

 private:
  static constexpr u16 k_users = 0xff, k_guarded = 1u << 8, k_announced = 1u << 9;

  GuestRam& ram_;
  std::unique_ptr<std::atomic<u8>[]> writers_;
  std::unique_ptr<std::atomic<u64>[]> lines_;
  std::unique_ptr<std::atomic<u16>[]> tables_;
  std::mutex table_lock_;  ///< users and k_frame_table change together; a leaf
};

}  // namespace armvisor::mmu
