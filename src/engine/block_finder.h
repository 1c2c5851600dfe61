#pragma once
// From the program counter to a block. First by the jump cache, which generated code looks at too, and where an entry
// holds while no flush has touched what it depends on (JumpEntry); then, by way of the tables, among the blocks that
// this vCPU knows, whatever the address space; then in the code cache; and what is nowhere is made.
//
// All of it is for the vCPU's thread. It remembers blocks that may be dead: forget() comes before the vCPU passes a
// quiet point, and when it comes back to what may have been freed (docs/engine/concurrency.md, P5).
#include <array>

#include "engine/block_maker.h"
#include "engine/context.h"
#include "engine/inbox.h"

namespace armvisor::engine {

struct Shared;

/// The frame that a page of code is in, and where its bytes are on the host.
struct CodePage {
  GuestPa frame;
  const u8* host = nullptr;
};

class BlockFinder {
 public:
  /// The vCPU, as its finder sees it.
  class Owner {
   public:
    /// Translates the page of `va` for execution. False: the Prefetch Abort has been taken, or a debugger's step ends.
    virtual bool fetch_page(u32 va, CodePage& page) = 0;
    /// A block with k_key_window was made, or is being made.
    virtual void window_block_made() = 0;

   protected:
    ~Owner() = default;
  };

  BlockFinder(Owner& owner, Context& context, Inbox& inbox, Shared& shared, Claimer& claimer)
      : owner_(owner), context_(context), inbox_(inbox), shared_(shared), maker_(shared, claimer) {}

  /// The block at r15, or null when r15 is to be looked at again: a Prefetch Abort was taken, a debugger's step
  /// ends, or there is attention to pay. ITSTATE is in the block from then on.
  Block* find();
  /// A loop has come back to r15 many times: it becomes a region, if it is worth it, now or later. False: a Prefetch
  /// Abort was taken, or a step ends.
  bool make_region();
  /// No block is remembered.
  void forget();

 private:
  /// What r15 asks for.
  struct Wanted {
    u32 pc, target;  ///< target: with CPSR.T in bit 0
    u32 key;
    bool in_it;  ///< inside an IT block; such blocks are in the jump cache by no name
  };
  struct KnownBlock {
    u32 target = 0;
    Block* block = nullptr;
  };
  static constexpr u32 k_known_bits = 16, k_most_vain_lookups = 8;
  static constexpr u32 known_index(u32 target) { return target * 0x9e3779b1u >> (32 - k_known_bits); }

  Wanted wanted() const;
  JumpEntry& jump_entry(u32 target) {
    return context_.jump[jump_index(target, static_cast<u32>(context_.dispatch.now.salt))];
  }
  Block* in_jump_cache(const Wanted& wanted);
  Block* look_up(const Wanted& wanted, Block* cached);
  bool fetch(const Wanted& wanted, CodeSite& site);
  Block* make(const CodeSite& site, u32 cold_runs);
  bool offer(const CodeSite& site, bool region);
  bool compile_later(Block& hot, const CodeSite& site);
  void enter_in_jump_cache(u32 target, Block* block);

  Owner& owner_;
  Context& context_;
  Inbox& inbox_;
  Shared& shared_;
  BlockMaker maker_;
  u32 vain_lookups_ = 0;  ///< one after the other
  std::array<KnownBlock, 1u << k_known_bits> known_{};
};

}  // namespace armvisor::engine
