#include "engine/code_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/bits.h"
#include "engine/guest_access.h"
#include "memory/fence.h"
#include "mmu/soft_tlb.h"

namespace armvisor::engine {
namespace {

u8 byte_at(const CodeSource& source, u32 k) {
  const u8* p = k < source.first_bytes ? source.first + k : source.second + (k - source.first_bytes);
  return guest_load<u8>(reinterpret_cast<u64>(p));
}

bool same_bytes(const u8* host, std::span<const u8> bytes) {
  for (u32 k = 0; k < bytes.size(); ++k)
    if (guest_load<u8>(reinterpret_cast<u64>(host) + k) != bytes[k]) return false;
  return true;
}

}  // namespace

void CodeSource::read() {
  u32 k = 0;
  if (!second)
    for (; k + 2 <= count; k += 2) {  // what an instruction is made of
      const u16 half = guest_load<u16>(reinterpret_cast<u64>(first + k));
      std::memcpy(bytes + k, &half, sizeof half);
    }
  for (; k < count; ++k) bytes[k] = byte_at(*this, k);
}

bool CodeSource::unchanged(u32 n) const {
  for (u32 k = 0; k < n; ++k)
    if (bytes[k] != byte_at(*this, k)) return false;
  return true;
}

const Block* CodeCache::find_anywhere(GuestPa pa, u32 key) {
  const std::lock_guard guard(lock_);
  return families_.find(pa, key);
}

void CodeCache::connect(Link* link, Block* block) {
  const std::lock_guard guard(lock_);
  links_.connect(link, block);
}

// --- publishing

/// Step one, without the lock: writes to the frames of `block` must be seen, and who may write them unseen is asked to
/// let go. This holds while the count that is returned stays as it is.
u64 CodeCache::watch(const Block& block, Claimer& claimer) {
  const u64 unmarked = pages_.unmarked();
  test_point("watch: begun");
  for (const GuestPa pa : {block.pa, block.second_page}) {
    if (pa == k_no_page || !frames_.ram().contains(pa)) continue;
    if (const u8 writers = frames_.watch_code(pa)) claimer.claim(pa, writers);
  }
  test_point("watch: claimed");
  return unmarked;
}

/// Step two, under the lock: may `block` be inserted, which was watched when as many frames had lost their mark as
/// `unmarked` says? `unchanged` says whether memory has the bytes that it was made from.
template <class F>
CodeCache::Verdict CodeCache::judge(const Block& block, u64 unmarked, F unchanged) {
  if (pages_.unmarked() != unmarked) return Verdict::ClaimAgain;
  pages_.set_lines(block);
  full_fence();
  test_point("publish: lines set");
  const bool fits = unchanged();
  test_point("publish: compared");
  return fits ? Verdict::Fits : Verdict::Changed;
}

/// `block`, which was watched, does not come.
void CodeCache::refuse(std::unique_ptr<Block> block) {
  pages_.tidy(std::array{block.get()});
  backend_.release(*block);
}

Block* CodeCache::publish(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer) {
  while (true) {
    const u64 unmarked = watch(*block, claimer);
    const std::lock_guard guard(lock_);
    Block* const there = index_.find_equal(*block);
    if (there && (there->compiled || !block->compiled)) {
      backend_.release(*block);
      return there;
    }
    const Verdict verdict = judge(*block, unmarked, [&] { return source.unchanged(block->bytes); });
    if (verdict == Verdict::ClaimAgain) continue;
    if (verdict == Verdict::Changed) {
      refuse(std::move(block));
      return nullptr;
    }
    if (there) replace(there);
    return insert(std::move(block));
  }
}

/// What `origin` is made from is watched, and what kills it, now or when a request to let go is served, kills all that
/// is on these bytes. So a block that has the same needs no more than that it lives.
Block* CodeCache::publish_moved(std::unique_ptr<Block> block, const Block& origin) {
  const std::lock_guard guard(lock_);
  Block* const there = index_.find_equal(*block);
  const bool stays = there && (there->compiled || !block->compiled);
  if (origin.death.has_come() || stays) {
    backend_.release(*block);
    return origin.death.has_come() ? nullptr : there;
  }
  if (there) replace(there);
  return insert(std::move(block));
}

bool CodeCache::publish_hot(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer) {
  while (true) {
    const u64 unmarked = watch(*block, claimer);
    const std::lock_guard guard(lock_);
    Block* const there = index_.find_equal(*block);
    Verdict verdict = Verdict::Changed;
    if (there && !there->compiled) verdict = judge(*block, unmarked, [&] { return source.unchanged(block->bytes); });
    if (verdict == Verdict::ClaimAgain) continue;
    if (verdict == Verdict::Changed) {
      refuse(std::move(block));
      return false;
    }
    replace(there);
    insert(std::move(block));
    aside_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
}

bool CodeCache::publish_region(std::unique_ptr<Block> region, const u8* host, std::span<const u8> bytes, bool aside,
                               Claimer& claimer) {
  while (true) {
    const u64 unmarked = watch(*region, claimer);
    const std::lock_guard guard(lock_);
    Block* const there = find(region->pa, region->pc, region->key & ~k_key_fp, k_no_page);
    Verdict verdict = Verdict::Changed;
    if (there && !there->region) verdict = judge(*region, unmarked, [&] { return same_bytes(host, bytes); });
    if (verdict == Verdict::ClaimAgain) continue;
    if (verdict == Verdict::Changed) {
      refuse(std::move(region));
      return false;
    }
    replace(there);
    insert(std::move(region));
    regions_aside_.fetch_add(aside, std::memory_order_relaxed);
    return true;
  }
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
  put(MachineCounter::BlocksAside, aside_);
  put(MachineCounter::RegionsAside, regions_aside_);
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
