#include "engine/code_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "memory/fence.h"
#include "mmu/soft_tlb.h"

namespace armvisor::engine {
namespace {

/// `block` may come in the place of `there`, which may be null.
bool gives_way(const Block* there, const Block& block, CodeCache::Place place) {
  switch (place) {
    case CodeCache::Place::Open: return !there || (!there->compiled && block.compiled);
    case CodeCache::Place::Interpreted: return there && !there->compiled;
    case CodeCache::Place::Head: return there && !there->region;
  }
  AV_UNREACHABLE();
}

}  // namespace

const Block* CodeCache::find_anywhere(GuestPa pa, u32 key) {
  const std::lock_guard guard(lock_);
  return families_.find(pa, key);
}

void CodeCache::connect(Link* link, Block* block) {
  const std::lock_guard guard(lock_);
  links_.connect(link, block);
}

// --- publishing

// The steps are those of docs/engine/concurrency.md, P2. Step 1, and beginning again with it, is the maker's.
Block* CodeCache::publish(std::unique_ptr<Block> block, const CodeSource& source, Place place, Claimer& claimer) {
  while (true) {
    const u64 unmarked = pages_.unmarked();  // 2
    test_point("watch: begun");
    for (const GuestPa pa : {block->pa, block->second_page}) {
      if (pa == k_no_page || !frames_.ram().contains(pa)) continue;
      if (const u8 writers = frames_.watch_code(pa)) claimer.claim(pa, writers);  // 3
    }
    test_point("watch: claimed");
    const std::lock_guard guard(lock_);
    if (pages_.unmarked() != unmarked) continue;  // 4
    Block* const there = place == Place::Head ? index_.find(block->pa, block->pc, block->key & ~k_key_fp, k_no_page)
                                              : index_.find_equal(*block);
    if (!gives_way(there, *block, place)) {
      refuse(std::move(block));
      return place == Place::Open ? there : nullptr;
    }
    pages_.set_lines(*block);  // 5
    full_fence();              // 6
    test_point("publish: lines set");
    const bool fits = source.unchanged(*block);  // 7
    test_point("publish: compared");
    if (!fits) {
      refuse(std::move(block));
      return nullptr;
    }
    if (there) replace(there);
    return insert(std::move(block));  // 8
  }
}

/// What `origin` is made from is watched, and what kills it, now or when a request to let go is served, kills all that
/// is on these bytes. So a block that has the same needs no more than that it lives.
Block* CodeCache::publish_moved(std::unique_ptr<Block> block, const Block& origin) {
  const std::lock_guard guard(lock_);
  Block* const there = index_.find_equal(*block);
  if (origin.death.has_come() || !gives_way(there, *block, Place::Open)) {
    backend_.release(*block);
    return origin.death.has_come() ? nullptr : there;
  }
  if (there) replace(there);
  return insert(std::move(block));
}

/// `block`, whose frames were watched for it, does not come.
void CodeCache::refuse(std::unique_ptr<Block> block) {
  pages_.tidy(std::array{block.get()});
  backend_.release(*block);
}

/// Kills `block`: another one comes in its place, on bytes that are marked.
void CodeCache::replace(Block* block) {
  kill(block);
  dead_.end_epoch();
}

Block* CodeCache::insert(std::unique_ptr<Block> block) {
  Block* const inserted = block.release();
  inserted->exec_id.store(mmu::exec_id(inserted->pc, inserted->pa), std::memory_order_relaxed);
  bytes_.fetch_add(inserted->footprint(), std::memory_order_relaxed);
  published_.fetch_add(1, std::memory_order_relaxed);
  regions_.fetch_add(inserted->region, std::memory_order_relaxed);
  count_live(*inserted, 1);
  pages_.add(inserted);
  if (auto heads = index_.add(inserted)) {
    dead_.add(std::move(heads));
    dead_.end_epoch();
  }
  if (Block* const oldest = families_.add(inserted)) replace(oldest);
  cold_.add(inserted);
  return inserted;
}

void CodeCache::count_live(const Block& block, s64 n) {
  const auto times = static_cast<u64>(n);
  live_.fetch_add(times, std::memory_order_relaxed);
  guest_bytes_.fetch_add(times * block.bytes, std::memory_order_relaxed);
  host_bytes_.fetch_add(times * block.host_size, std::memory_order_relaxed);
}

void CodeCache::stats(measure::Snapshot& out) const {
  using measure::MachineCounter;
  const auto put = [&out](MachineCounter c, const std::atomic<u64>& n) { out[c] = n.load(std::memory_order_relaxed); };
  put(MachineCounter::BlocksPublished, published_);
  put(MachineCounter::RegionsPublished, regions_);
  put(MachineCounter::BlocksKilled, killed_);
  put(MachineCounter::Evictions, evictions_);
  put(MachineCounter::LiveBlocks, live_);
  put(MachineCounter::LiveGuestBytes, guest_bytes_);
  put(MachineCounter::LiveHostBytes, host_bytes_);
}

// --- dying

/// In every part; but for its lines, which another block may be about to have.
void CodeCache::kill(Block* block) {
  block->exec_id.store(k_dead_block, std::memory_order_relaxed);
  backend_.retire(*block);
  links_.cut(block);
  pages_.remove(block);
  families_.remove(block);
  cold_.remove(block);
  index_.remove(block);
  dead_.add(block);
  bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
  killed_.fetch_add(1, std::memory_order_relaxed);
  count_live(*block, -1);
}

void CodeCache::kill_all(std::span<Block* const> blocks) {
  for (Block* block : blocks)
    if (!block->death.has_come()) kill(block);  // both pages of a block may be one frame
  pages_.tidy(blocks);
}

bool CodeCache::kill_range(GuestPa pa, u64 size) {
  bool any = false;
  const u64 last = pa.value + size - 1;
  for (u64 frame = pa.value >> k_page_bits; frame <= last >> k_page_bits; ++frame) {
    const u64 begin = frame << k_page_bits;
    const std::vector<Block*> hit = pages_.on(std::max(pa.value, begin), std::min(last, begin | k_page_mask));
    kill_all(hit);
    any |= !hit.empty();
  }
  if (any) dead_.end_epoch();
  return any;
}

bool CodeCache::written(GuestPa pa, u32 size) {
  if (!pages_.has_line(pa, size)) return false;
  test_point("written: on a line of code");
  return invalidate(pa, size);
}

bool CodeCache::invalidate(GuestPa pa, u64 size) {
  const std::lock_guard guard(lock_);
  return kill_range(pa, size);
}

void CodeCache::drop_pages(std::span<const u32> pages) {
  const std::lock_guard guard(lock_);
  for (const u64 frame : pages_.frames()) {
    const u64 first = frame << k_page_bits;
    std::vector<Block*> there = pages_.on(first, first | k_page_mask);
    std::erase_if(there,
                  [&](const Block* block) { return !std::ranges::binary_search(pages, block->pc >> k_page_bits); });
    kill_all(there);
  }
  dead_.end_epoch();
}

/// There is no room, nor will be when what is dead has been freed.
bool CodeCache::is_full() const {
  const u64 live = bytes_.load(std::memory_order_relaxed);
  return live > k_limit_bytes || (backend_.over_limit() && dead_bytes() < live / (2 * k_eviction_parts));
}

bool CodeCache::make_room() {
  const bool full = is_full();
  if (full) evict();
  if (cold_.wants_trim()) {
    const std::lock_guard guard(lock_);
    kill_all(cold_.trim());
    dead_.end_epoch();
  }
  return full;
}

void CodeCache::evict() {
  const std::lock_guard guard(lock_);
  evictions_.fetch_add(1, std::memory_order_relaxed);
  std::vector<u64> frames = pages_.frames();
  std::rotate(frames.begin(), std::lower_bound(frames.begin(), frames.end(), eviction_frame_), frames.end());
  const u64 enough = bytes_.load() - bytes_.load() / k_eviction_parts;
  for (const u64 frame : frames) {
    if (bytes_.load() <= enough) break;
    kill_range(GuestPa(frame << k_page_bits), k_page_size);
    eviction_frame_ = frame + 1;
  }
}

bool CodeCache::has_dead_before(u64 epoch, Held held) {
  const std::lock_guard guard(lock_);
  return dead_.any_before(epoch, held);
}

void CodeCache::reclaim(u64 epoch, Held held) {
  std::vector<std::unique_ptr<Block>> free_now;
  const std::lock_guard guard(lock_);
  free_now = dead_.take_before(epoch, held);
  for (const auto& block : free_now) backend_.release(*block);
}

}  // namespace armvisor::engine
