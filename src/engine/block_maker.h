#pragma once
// Makes blocks, whoever wants them: reads what is there, translates it and verifies the IR, has the back end make a
// block of it, and publishes that; or copies what is known at another address. A block that changes under its maker is
// not published (CodeCache::publish), and is made again, or not, as each function says.
//
// Each thread that makes blocks has a maker of its own, and holds blocks meanwhile (block_holder.h).
#include "engine/code_cache.h"
#include "frontend/translate.h"
#include "ir/ir.h"

namespace armvisor::engine {

struct Shared;

/// Where a block begins, for whom, and where its bytes are.
struct CodeSite {
  frontend::Context context;
  u32 pc = 0, key = 0;       ///< key: what a search for it asks for
  GuestPa pa;                ///< of pc
  const u8* host = nullptr;  ///< where the byte at pc is
  // Of a 32-bit Thumb instruction that lies across the end of a page, which is a block of its own.
  GuestPa second_page = k_no_page;
  const u8* second = nullptr;  ///< where the next page's bytes are
};

class BlockMaker {
 public:
  /// `claimer` asks for the thread who may write what it makes blocks from.
  BlockMaker(Shared& shared, Claimer& claimer) : shared_(shared), claimer_(claimer) {}

  enum class How : u8 { Moved, Interpreted, Compiled };
  struct Made {
    Block* block = nullptr;
    How how = How::Moved;
  };
  /// The block at `site`, which others may have made meanwhile. It is to be interpreted `cold_runs` times before it is
  /// compiled, or fewer times if it is known elsewhere; 0: it is compiled now. Null: what memory has now begins, or
  /// does not, with an instruction that lies across the page's end, so `site` is not how to come by it.
  Made make(const CodeSite& site, u32 cold_runs);
  /// Puts a compiled block in the place of the one at `site` that is interpreted. False: that is not there any more,
  /// memory has changed, or there is no room for code.
  bool make_hot(const CodeSite& site);
  /// Puts a region in the place of the block at `site`. False: that is the head of no loop that is worth it, or as
  /// make_hot().
  bool make_region(const CodeSite& site);

 private:
  frontend::Context whole_context(const CodeSite& site) const;
  bool may_move_to(const CodeSite& site, const Block& known) const;
  Block* move(const Block& known, const CodeSite& site);
  bool translate(const CodeSite& site, u32 max_insns, CodeSource& source);
  std::unique_ptr<Block> lower(const CodeSite& site, u32 cold_runs, CodeSource& source);
  void keep_for_verifier(Block& block, const CodeSite& site, const CodeSource& source);

  Shared& shared_;
  Claimer& claimer_;
  ir::Block ir_;  ///< what was translated last: the memory stays
};

}  // namespace armvisor::engine
