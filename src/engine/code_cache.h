#pragma once
// All lowered blocks of a machine, by physical page. Published under one lock; found and executed without it.
//
// Coherence: whoever publishes a block watches its frames (FrameTable::watch_code), has those who may write them unseen
// asked to let go, and then, under the lock, sets the lines, fences, compares the bytes that the block was made from
// with memory, and inserts it. A frame that lost its mark in between begins again. A writer stores, fences, and reads
// the marks. So either the comparison sees the write, or the writer sees the mark, or the writer finds the request to
// let go before its maintenance is done, and then kills what is on the frame (docs/engine/concurrency.md, P2).
//
// Lifetime: a killed block can still be running, or be looked at by a search, which goes on from it. It is freed when
// no BlockHolder holds it any more; likewise what searches begin with.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/adaptive_mutex.h"
#include "base/test_point.h"
#include "engine/backend.h"
#include "engine/block.h"
#include "engine/block_holder.h"
#include "measure/snapshot.h"
#include "mmu/frame_table.h"

namespace armvisor::engine {

inline constexpr u32 k_max_insns = frontend::Limits{}.max_insns;  ///< of a block

/// The bytes that a block was translated from and where they are.
struct CodeSource {
  CodeSource() = default;
  /// What a block at `pc` may be made from: `first` is where its bytes are, `second` where those of the next page are,
  /// for a 32-bit Thumb instruction that lies across its end.
  CodeSource(u32 pc, const u8* at, const u8* next = nullptr)
      : first(at),
        second(next),
        first_bytes(std::min(k_page_size - (pc & k_page_mask), k_max_insns * 4)),
        count(next ? 4 : first_bytes) {}

  const u8* first = nullptr;   ///< host address of pc
  const u8* second = nullptr;  ///< host address of the second page, for a straddling block
  u32 first_bytes = 0;         ///< bytes of `bytes` that lie in the first page
  u32 count = 0;
  u8 bytes[k_max_insns * 4];

  /// Copies `count` bytes of guest code.
  void read();
  bool unchanged(u32 count) const;
};

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
  CodeCache(mmu::FrameTable& frames, Backend& backend) : frames_(frames), backend_(backend) {}
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  /// The block at `pc` that serves the context of `key`. Null: there is none, or others change the cache right now.
  Block* find(GuestPa pa, u32 pc, u32 key, GuestPa second_page) const;
  /// Inserts `block` and returns it, or an equal one that was there first, which gives way only if it is interpreted
  /// and `block` compiled; null when the bytes changed meanwhile.
  Block* publish(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer);
  /// Likewise `block`, which was moved from `origin` and so has its bytes; null when that is dead.
  Block* publish_moved(std::unique_ptr<Block> block, const Block& origin);
  /// Puts `block`, compiled, in the place of the equal one that is interpreted. False: that is not there any more, or
  /// the bytes changed.
  bool publish_hot(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer);
  /// Puts `region`, made from `bytes`, which are at `host`, in the place of the block at its pc. False: that is not
  /// there any more, or the bytes changed. `aside`: by no vCPU's thread.
  bool publish_region(std::unique_ptr<Block> region, const u8* host, std::span<const u8> bytes, bool aside,
                      Claimer& claimer);
  /// A block of the bytes at `pa` that serves `key`, at whatever virtual address, compiled if one is; null if none is
  /// known.
  const Block* find_anywhere(GuestPa pa, u32 key);
  void connect(Link* link, Block* block);

  /// [pa, pa + size) of one frame of RAM was written, then a full fence passed: kills the blocks on those bytes. False
  /// when there were none.
  bool written(GuestPa pa, u32 size);
  /// Kills the blocks on [pa, pa + size), RAM or not.
  bool invalidate(GuestPa pa, u64 size);
  /// Full: kills the blocks of some frames, going round all of them from one call to the next.
  void evict();

  /// Grows when blocks have died. Who reads it finds none of those that died before.
  u64 epoch() const { return epoch_.load(std::memory_order_acquire); }
  u64 dead_bytes() const { return dead_bytes_.load(std::memory_order_relaxed); }  ///< that are not freed yet
  /// True when there is enough to free that vCPUs should pass a quiet point.
  bool wants_reclaim() const { return dead_bytes() > k_reclaim_bytes || (dead_bytes() != 0 && backend_.over_limit()); }
  using Held = std::span<const Block* const>;
  /// There is something that died before `epoch`, is none of `held`, and is not freed yet.
  bool has_dead_before(u64 epoch, Held held = {});
  /// Frees it. Nobody may hold any of it.
  void reclaim(u64 epoch, Held held = {});
  /// True when there is no room, nor will be when what is dead has been freed.
  bool wants_eviction() const {
    const u64 live = bytes_.load(std::memory_order_relaxed);
    return live > k_limit_bytes || (backend_.over_limit() && dead_bytes() < live / (2 * k_eviction_parts));
  }

  /// True when there are many blocks that have been interpreted a few times, and the last trim() was a while ago.
  bool wants_trim() const {
    return cold_bytes_.load(std::memory_order_relaxed) > k_cold_bytes && Clock::now() > next_trim_.load();
  }
  /// Drops of these what has not run since the last time.
  void trim();

  void stats(measure::Snapshot& out) const;  ///< (any thread)

 private:
  static constexpr u64 k_reclaim_bytes = 2u << 20, k_limit_bytes = 384u << 20;
  /// Half of all code runs a few times, much of it never again; the interpreted form takes a kilobyte a block. (By size
  /// alone large programs would lose what they run again soon.)
  using Clock = std::chrono::steady_clock;
  static constexpr u64 k_cold_bytes = 12u << 20;
  static constexpr std::chrono::seconds k_trim_interval{2};
  static constexpr u64 k_eviction_parts = 8;  ///< one of so many goes at a time

  /// A block with a byte in a frame, which is its first or its second.
  struct Member {
    Block* block;
    u32 which;
  };
  using Page = std::vector<Member>;
  /// So many blocks of the same bytes under the same key, of those that can be moved, at different virtual addresses.
  /// Programs at random addresses come and go; without a bound what they leave would fill the memory.
  static constexpr u32 k_most_copies = 8;

  /// Heads of lists by Block::chain, a power of two.
  using Buckets = std::vector<std::atomic<Block*>>;
  static std::atomic<Block*>& bucket_of(Buckets& buckets, GuestPa pa, u32 pc, u32 key) {
    const u64 h = (pa.value ^ u64{pc} << 20 ^ u64{base_key(key)} << 52) * 0x9e3779b97f4a7c15ull;
    return buckets[(h >> 32) & (buckets.size() - 1)];
  }
  std::atomic<Block*>& bucket_of(GuestPa pa, u32 pc, u32 key) const {
    return bucket_of(*buckets_.load(std::memory_order_acquire), pa, pc, key);
  }
  Block** family_of(GuestPa pa, u32 key);
  void grow();
  void count_live(const Block& block, s64 n);
  Block* find_equal(const Block& block);
  Block* insert(std::unique_ptr<Block> block);
  void note_copy(Block* block);
  void kill_copy(Block* block);
  enum class Verdict : u8 { Fits, Changed, ClaimAgain };
  u64 watch(const Block& block, Claimer& claimer);
  template <class F>
  Verdict judge(const Block& block, u64 unmarked, F unchanged);
  void refuse(const Block& block);
  void set_lines(GuestPa pa, u32 size);
  void unmark(GuestPa pa);
  void remark(u64 frame, const Page& page);
  void kill(Block* block);
  void replace(Block* block);
  bool kill_range(GuestPa pa, u64 size);
  bool kill_on_page(u64 frame, u64 first, u64 last);
  void join_page(Block* block, u32 which, GuestPa pa);
  static void leave_page(Block* block, u32 which, Page& page);
  void leave_pages(Block* block);
  void unlink(Block* block);
  void warm(Block* block);
  void forget_cold(Block* block);

  mmu::FrameTable& frames_;
  Backend& backend_;
  using Lock = PointMutex<AdaptiveMutex>;
  Lock lock_;
  std::atomic<Buckets*> buckets_{new Buckets(1u << 14)};
  /// That were in use before, and the epochs in which they ceased to be.
  std::vector<std::pair<u64, std::unique_ptr<Buckets>>> old_buckets_;
  /// Those that are not fixed, by what copies have in common: the newest of each such family, chained by
  /// Block::next_family. A family is a ring by Block::older_copy and newer_copy.
  std::vector<Block*> families_{1u << 14};
  u64 block_count_ = 0;
  std::unordered_map<u64, Page> pages_;            ///< blocks with a byte in the frame
  Block *coldest_ = nullptr, *warmest_ = nullptr;  ///< of those that may yet be compiled
  std::atomic<u64> cold_bytes_{0};                 ///< that these take
  std::atomic<Clock::time_point> next_trim_{Clock::now() + k_trim_interval};
  u64 eviction_frame_ = 0;  ///< from which evict() goes on
  std::vector<std::unique_ptr<Block>> dead_;
  std::atomic<u64> epoch_{1}, bytes_{0}, dead_bytes_{0};
  std::atomic<u64> unmarked_{0};  ///< how often a frame lost its mark
  // What stats() tells; changed under the lock, read without.
  std::atomic<u64> published_{0}, regions_{0}, aside_{0}, regions_aside_{0}, killed_{0}, evictions_{0}, live_{0},
      guest_bytes_{0}, host_bytes_{0};
};

}  // namespace armvisor::engine
