#pragma once
// All lowered blocks of a machine. Published under one lock; found and executed without it.
//
// Its parts are in engine/code: each has a header that says what it keeps, in fields of the block that are its own. The
// cache has the lock that they are under, and the order between them.
//
// Coherence: whoever publishes a block watches its frames (FrameTable::watch_code), has those who may write them unseen
// asked to let go, and then, under the lock, sets the lines, fences, compares the bytes that the block was made from
// with memory, and inserts it. A frame that lost its mark in between begins again. A writer stores, fences, and reads
// the marks. So either the comparison sees the write, or the writer sees the mark, or the writer finds the request to
// let go before its maintenance is done, and then kills what is on the frame (docs/engine/concurrency.md, P2).
//
// Lifetime: a killed block can still be running, or be looked at by a search, which goes on from it. It is freed when
// no BlockHolder holds it any more.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/adaptive_mutex.h"
#include "base/test_point.h"
#include "engine/backend.h"
#include "engine/block.h"
#include "engine/block_holder.h"
#include "engine/code/block_index.h"
#include "engine/code/block_links.h"
#include "engine/code/code_source.h"
#include "engine/code/cold_list.h"
#include "engine/code/copy_families.h"
#include "engine/code/dead_blocks.h"
#include "engine/code/page_index.h"
#include "measure/snapshot.h"
#include "mmu/frame_table.h"

namespace armvisor::engine {

/// Who publishes blocks, as the code cache sees it.
class Claimer {
 public:
  /// vCPU n, for each bit n of `writers`, may write the frame of `pa` unseen until it has served a request to let go of
  /// its entries (DropWrites), and before that kills what is on the frame. Makes these requests; what the caller has of
  /// its own goes at once.
  virtual void claim(GuestPa pa, u8 writers) = 0;

 protected:
  ~Claimer() = default;
};

class CodeCache {
 public:
  CodeCache(mmu::FrameTable& frames, Backend& backend)
      : frames_(frames), backend_(backend), pages_(frames), links_(backend) {}
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  /// The block at `pc` that serves the context of `key`. Null: there is none, or others change the cache right now.
  Block* find(GuestPa pa, u32 pc, u32 key, GuestPa second_page) const { return index_.find(pa, pc, key, second_page); }
  /// What a new block comes in the place of.
  enum class Place : u8 {
    Open,         ///< of nothing; or, compiled, of the equal block, if that is interpreted
    Interpreted,  ///< of the equal block, which must be there and interpreted
    Head,         ///< of the block at its pc, which must be there and no region
  };
  /// Inserts `block`, which was made from `source` (P2). Returns what is there now: `block`, or with Place::Open an
  /// equal one that was there first and stays. Null: nothing is inserted, since the bytes have changed or the place is
  /// not as it must be.
  Block* publish(std::unique_ptr<Block> block, const CodeSource& source, Place place, Claimer& claimer);
  /// Likewise, with Place::Open, `block` that was moved from `origin` and so has its bytes; null when that is dead.
  Block* publish_moved(std::unique_ptr<Block> block, const Block& origin);
  /// A block of the bytes at `pa` that serves `key`, at whatever virtual address, compiled if one is; null if none is
  /// known.
  const Block* find_anywhere(GuestPa pa, u32 key);
  void connect(Link* link, Block* block);

  /// [pa, pa + size) of one frame of RAM was written, then a full fence passed: kills the blocks on those bytes. False
  /// when there were none.
  bool written(GuestPa pa, u32 size);
  /// Kills the blocks on [pa, pa + size), RAM or not.
  bool invalidate(GuestPa pa, u64 size);
  /// Kills the blocks that begin in virtual pages, wherever these are mapped: `pages` are their numbers, in order.
  void drop_pages(std::span<const u32> pages);
  /// Drops blocks where there are too many: those of some frames, going round all of them from one call to the next, if
  /// all is full; and interpreted ones that have not run for a while. True: it is to be freed soon.
  bool make_room();

  /// Grows when blocks have died. Who reads it finds none of those that died before.
  u64 epoch() const { return dead_.epoch(); }
  u64 dead_bytes() const { return dead_.bytes(); }  ///< that are not freed yet
  /// True when there is enough to free that vCPUs should pass a quiet point.
  bool wants_reclaim() const { return dead_bytes() > k_reclaim_bytes || (dead_bytes() != 0 && backend_.over_limit()); }
  using Held = DeadBlocks::Held;
  /// There is something that died before `epoch`, is none of `held`, and is not freed yet.
  bool has_dead_before(u64 epoch, Held held = {});
  /// Frees it. Nobody may hold any of it.
  void reclaim(u64 epoch, Held held = {});

  void stats(measure::Snapshot& out) const;  ///< (any thread)

 private:
  static constexpr u64 k_reclaim_bytes = 2u << 20, k_limit_bytes = 384u << 20;
  static constexpr u64 k_eviction_parts = 8;  ///< one of so many goes at a time

  void count_live(const Block& block, s64 n);
  Block* insert(std::unique_ptr<Block> block);
  void refuse(std::unique_ptr<Block> block);
  void kill(Block* block);
  void kill_all(std::span<Block* const> blocks);
  void replace(Block* block);
  bool kill_range(GuestPa pa, u64 size);
  bool is_full() const;
  void evict();

  mmu::FrameTable& frames_;
  Backend& backend_;
  using Lock = PointMutex<AdaptiveMutex>;
  Lock lock_;
  BlockIndex index_;
  PageIndex pages_;
  CopyFamilies families_;
  ColdList cold_;
  BlockLinks links_;
  DeadBlocks dead_;
  u64 eviction_frame_ = 0;     ///< from which evict() goes on
  std::atomic<u64> bytes_{0};  ///< of what lives
  // What stats() tells; changed under the lock, read without.
  std::atomic<u64> published_{0}, regions_{0}, killed_{0}, evictions_{0}, live_{0}, guest_bytes_{0}, host_bytes_{0};
};

}  // namespace armvisor::engine
