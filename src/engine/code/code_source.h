#pragma once
// Guest code as it was read, and where it is: what a block is made from, and what memory is compared with before the
// block is inserted.
#include <algorithm>
#include <span>

#include "base/types.h"
#include "engine/block.h"
#include "frontend/translate.h"

namespace armvisor::engine {

inline constexpr u32 k_max_insns = frontend::Limits{}.max_insns;  ///< of a block

class CodeSource {
 public:
  /// What a block at `pc` may be made from: its bytes are at `at` on the host; `next` is where those of the next page
  /// are, for a 32-bit Thumb instruction that lies across its end.
  CodeSource(u32 pc, const u8* at, const u8* next = nullptr)
      : first_(at), second_(next), in_first_(std::min(k_page_size - (pc & k_page_mask), k_max_insns * 4)) {
    count_ = next ? 4 : in_first_;
  }
  /// What a region with its head at `pc` may be made from: the page, of which pc's byte is at `at` on the host.
  static CodeSource page_of(u32 pc, const u8* at) { return CodeSource(at, pc & k_page_mask); }

  /// Copies what is there now.
  void read();
  std::span<const u8> bytes() const { return {bytes_, count_}; }
  const u8* at_pc() const { return bytes_ + before_; }
  /// Memory has the bytes that `block` was made from, as they were read.
  bool unchanged(const Block& block) const;

 private:
  CodeSource(const u8* at, u32 before)
      : first_(at - before), in_first_(k_page_size), count_(k_page_size), before_(before) {}
  u8 byte_now(u32 k) const;

  const u8* first_;             ///< host address of the first byte
  const u8* second_ = nullptr;  ///< that of the second page
  u32 in_first_;                ///< so many are in the first page
  u32 count_;
  u32 before_ = 0;  ///< so many lie before pc
  u8 bytes_[k_page_size];
};

}  // namespace armvisor::engine
