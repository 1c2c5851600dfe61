#pragma once
// What is known of each frame of guest RAM beyond GuestRam's marks: which vCPUs may hold a TLB entry that writes it
// without being seen, and which of its 64-byte lines hold translated code.
//
// Two orders keep code and writes coherent. A vCPU that makes a write entry first sets its writer bit, then reads
// k_frame_code; a vCPU that makes code first sets k_frame_code, then reads the writer bits. Whichever comes second
// sees the other. All methods may be called by any thread.
#include <atomic>
#include <memory>

#include "memory/fence.h"
#include "memory/guest_ram.h"

namespace armvisor::mmu {

inline constexpr u32 k_code_line_bits = 6;

class FrameTable {
 public:
  explicit FrameTable(GuestRam& ram)
      : ram_(ram),
        writers_(std::make_unique<std::atomic<u8>[]>(ram.size() >> k_page_bits)),
        lines_(std::make_unique<std::atomic<u64>[]>(ram.size() >> k_page_bits)) {}

  GuestRam& ram() const { return ram_; }

  /// Bit n: vCPU n may hold a live write entry for the frame of `pa`.
  std::atomic<u8>& writers(GuestPa pa) { return writers_[index(pa)]; }
  /// Bit n: line n of the frame of `pa` holds bytes of some block.
  std::atomic<u64>& code_lines(GuestPa pa) { return lines_[index(pa)]; }

  /// Announces that vCPU `bit` is about to write the frame of `pa` freely. False when the frame holds code, and so
  /// every write must be seen.
  bool allow_unseen_writes(GuestPa pa, u8 bit) {
    auto& w = writers(pa);
    if (!(w.load(std::memory_order_relaxed) & bit)) w.fetch_or(bit);
    full_fence();
    return !(ram_.marks(pa).load(std::memory_order_relaxed) & k_frame_code);
  }

  /// The lines that [pa, pa + size), inside one frame, touches.
  static u64 line_mask(GuestPa pa, u32 size) {
    const u32 first = (static_cast<u32>(pa.value) & k_page_mask) >> k_code_line_bits;
    const u32 last = ((static_cast<u32>(pa.value) & k_page_mask) + size - 1) >> k_code_line_bits;
    return (~u64{0} >> (63 - (last - first))) << first;
  }

 private:
  u64 index(GuestPa pa) const { return (pa.value - ram_.base().value) >> k_page_bits; }
  GuestRam& ram_;
  std::unique_ptr<std::atomic<u8>[]> writers_;
  std::unique_ptr<std::atomic<u64>[]> lines_;
};

}  // namespace armvisor::mmu
