#include "engine/code_cache.h"

#include <algorithm>
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

/// Bytes of `block` inside its first or second page, as [first, last] physical addresses.
std::pair<u64, u64> bytes_in_page(const Block& block, u32 which) {
  if (which != 0) {
    const u64 in_first = k_page_size - (block.pa.value & k_page_mask), base = block.second_page.value;
    return {base, base + block.bytes - in_first - 1};
  }
  const u64 first = block.pa.value - block.before;
  return {first, std::min(first + block.bytes - 1, first | k_page_mask)};
}

bool may_free(const Block& block, u64 epoch, CodeCache::Held held) {
  return block.death_epoch < epoch && std::ranges::find(held, &block) == held.end();
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

Block* CodeCache::find(GuestPa pa, u32 pc, u32 key, GuestPa second_page) const {
  Block* found = nullptr;
  for (Block* b = bucket_of(pa, pc, key).load(std::memory_order_acquire); b;
       b = b->chain.load(std::memory_order_acquire)) {
    test_point("search: at a block");
    if (b->pc != pc || b->pa != pa || b->second_page != second_page || !b->serves(key)) continue;
    found = b;
    if (b->key & k_key_fp) break;  // a region with members of both kinds stands beside its head
  }
  return found;
}

Block* CodeCache::find_equal(const Block& block) {
  for (Block* b = bucket_of(block.pa, block.pc, block.key).load(); b; b = b->chain.load())
    if (b->pc == block.pc && b->pa == block.pa && b->key == block.key && b->second_page == block.second_page) return b;
  return nullptr;
}

const Block* CodeCache::find_anywhere(GuestPa pa, u32 key) {
  const std::lock_guard guard(lock_);
  const Block* found = nullptr;
  const Block* const newest = *family_of(pa, key);
  for (const Block* b = newest; b; b = b->older_copy != newest ? b->older_copy : nullptr) {
    if (!b->serves(key)) continue;
    if (b->compiled) return b;
    if (!found) found = b;
  }
  return found;
}

/// Where the newest of the blocks of these bytes is chained, or would be.
Block** CodeCache::family_of(GuestPa pa, u32 key) {
  const u64 h = (pa.value ^ u64{base_key(key)} << 40) * 0x9e3779b97f4a7c15ull;
  Block** place = &families_[(h >> 32) & (families_.size() - 1)];
  while (*place && ((*place)->pa != pa || base_key((*place)->key) != base_key(key))) place = &(*place)->next_family;
  return place;
}

/// Becomes the newest of its family. Of too many the oldest goes.
void CodeCache::note_copy(Block* block) {
  if (block->is_fixed()) return;
  Block** const place = family_of(block->pa, block->key);
  Block* const newest = std::exchange(*place, block);
  if (!newest) {
    block->older_copy = block->newer_copy = block;
    block->next_family = nullptr;
    block->copies = 1;
    return;
  }
  Block* const oldest = newest->newer_copy;
  block->older_copy = newest;
  block->newer_copy = oldest;
  newest->newer_copy = oldest->older_copy = block;
  block->next_family = newest->next_family;
  block->copies = static_cast<u8>(newest->copies + 1);
  if (block->copies > k_most_copies) replace(oldest);
}

/// `block` dies.
void CodeCache::kill_copy(Block* block) {
  if (block->is_fixed()) return;
  Block** const place = family_of(block->pa, block->key);
  Block* newest = *place;
  if (block->older_copy == block) {
    *place = block->next_family;
    return;
  }
  block->newer_copy->older_copy = block->older_copy;
  block->older_copy->newer_copy = block->newer_copy;
  if (newest == block) {
    newest = *place = block->older_copy;
    newest->next_family = block->next_family;
    newest->copies = block->copies;
  }
  --newest->copies;
}

// --- publishing

/// Step one, without the lock: writes to the frames of `block` must be seen, and who may write them unseen is asked to
/// let go. This holds while the count that is returned stays as it is.
u64 CodeCache::watch(const Block& block, Claimer& claimer) {
  const u64 unmarked = unmarked_.load(std::memory_order_acquire);
  test_point("watch: begun");
  for (const GuestPa pa : {block.pa, block.second_page}) {
    if (pa == k_no_page || !frames_.ram().contains(pa)) continue;
    if (const u8 writers = frames_.watch_code(pa)) claimer.claim(pa, writers);
  }
  test_point("watch: claimed");
  return unmarked;
}

/// Step two, under the lock: may `block` be inserted, which was watched when unmarked_ was `unmarked`? `unchanged` says
/// whether memory has the bytes that it was made from.
template <class F>
CodeCache::Verdict CodeCache::judge(const Block& block, u64 unmarked, F unchanged) {
  if (unmarked_.load(std::memory_order_relaxed) != unmarked) return Verdict::ClaimAgain;
  for (const u32 which : {0u, 1u}) {
    if (which == 1 && !block.straddles()) break;
    const auto [first, last] = bytes_in_page(block, which);
    set_lines(GuestPa(first), static_cast<u32>(last - first + 1));
  }
  full_fence();
  test_point("publish: lines set");
  const bool fits = unchanged();
  test_point("publish: compared");
  return fits ? Verdict::Fits : Verdict::Changed;
}

/// `block`, which was watched, does not come.
void CodeCache::refuse(const Block& block) {
  for (const GuestPa pa : {block.pa, block.second_page}) {
    if (pa == k_no_page) continue;
    const auto page = pages_.find(pa.value >> k_page_bits);
    remark(pa.value >> k_page_bits, page != pages_.end() ? page->second : Page());
  }
}

Block* CodeCache::publish(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer) {
  while (true) {
    const u64 unmarked = watch(*block, claimer);
    const std::lock_guard guard(lock_);
    Block* const there = find_equal(*block);
    if (there && (there->compiled || !block->compiled)) {
      backend_.release(*block);
      return there;
    }
    const Verdict verdict = judge(*block, unmarked, [&] { return source.unchanged(block->bytes); });
    if (verdict == Verdict::ClaimAgain) continue;
    if (verdict == Verdict::Changed) {
      refuse(*block);
      backend_.release(*block);
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
  Block* const there = find_equal(*block);
  const bool stays = there && (there->compiled || !block->compiled);
  if (origin.dead || stays) {
    backend_.release(*block);
    return origin.dead ? nullptr : there;
  }
  if (there) replace(there);
  return insert(std::move(block));
}

bool CodeCache::publish_hot(std::unique_ptr<Block> block, const CodeSource& source, Claimer& claimer) {
  while (true) {
    const u64 unmarked = watch(*block, claimer);
    const std::lock_guard guard(lock_);
    Block* const there = find_equal(*block);
    Verdict verdict = Verdict::Changed;
    if (there && !there->compiled) verdict = judge(*block, unmarked, [&] { return source.unchanged(block->bytes); });
    if (verdict == Verdict::ClaimAgain) continue;
    if (verdict == Verdict::Changed) {
      refuse(*block);
      backend_.release(*block);
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
      refuse(*region);
      backend_.release(*region);
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
  leave_pages(block);
  kill(block);
  epoch_.fetch_add(1);
}

void CodeCache::join_page(Block* block, u32 which, GuestPa pa) {
  Page& page = pages_[pa.value >> k_page_bits];
  block->page_index[which] = static_cast<u32>(page.size());
  page.push_back({block, which});
}

void CodeCache::leave_page(Block* block, u32 which, Page& page) {
  const u32 index = block->page_index[which];
  page[index] = page.back();
  page[index].block->page_index[page[index].which] = index;
  page.pop_back();
}

void CodeCache::leave_pages(Block* block) {
  leave_page(block, 0, pages_.at(block->pa.value >> k_page_bits));
  if (block->straddles()) leave_page(block, 1, pages_.at(block->second_page.value >> k_page_bits));
}

Block* CodeCache::insert(std::unique_ptr<Block> block) {
  Block* const inserted = block.release();
  inserted->exec_id.store(mmu::exec_id(inserted->pc, inserted->pa), std::memory_order_relaxed);
  bytes_.fetch_add(inserted->footprint(), std::memory_order_relaxed);
  published_.fetch_add(1, std::memory_order_relaxed);
  regions_.fetch_add(inserted->region, std::memory_order_relaxed);
  count_live(*inserted, 1);
  join_page(inserted, 0, inserted->pa);
  if (inserted->straddles()) join_page(inserted, 1, inserted->second_page);
  if (++block_count_ > buckets_.load()->size() / 2) grow();  // what is not there is looked for often
  auto& bucket = bucket_of(inserted->pa, inserted->pc, inserted->key);
  inserted->chain.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
  bucket.store(inserted, std::memory_order_release);
  note_copy(inserted);
  if (inserted->may_get_hot()) warm(inserted);
  return inserted;
}

/// Becomes the last of those that trim() looks at.
void CodeCache::warm(Block* block) {
  block->runs_seen = block->cold_runs.load(std::memory_order_relaxed);
  block->colder = warmest_;
  block->warmer = nullptr;
  (warmest_ ? warmest_->warmer : coldest_) = block;
  warmest_ = block;
  cold_bytes_.fetch_add(block->footprint(), std::memory_order_relaxed);
}

void CodeCache::forget_cold(Block* block) {
  if (!block->colder && coldest_ != block) return;
  (block->colder ? block->colder->warmer : coldest_) = block->warmer;
  (block->warmer ? block->warmer->colder : warmest_) = block->colder;
  block->colder = block->warmer = nullptr;
  cold_bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
}

void CodeCache::trim() {
  const std::lock_guard guard(lock_);
  next_trim_ = Clock::now() + k_trim_interval;
  std::vector<u64> frames;
  Block* const last = warmest_;
  for (bool more = coldest_ != nullptr; more && cold_bytes_.load() > k_cold_bytes / 2;) {
    Block* const block = coldest_;
    more = block != last && block->warmer;
    if (block->cold_runs.load(std::memory_order_relaxed) != block->runs_seen) {
      forget_cold(block);
      warm(block);
      continue;
    }
    leave_pages(block);
    frames.push_back(block->pa.value >> k_page_bits);
    if (block->straddles()) frames.push_back(block->second_page.value >> k_page_bits);
    kill(block);
  }
  std::sort(frames.begin(), frames.end());
  frames.erase(std::unique(frames.begin(), frames.end()), frames.end());
  for (const u64 frame : frames) {
    const auto page = pages_.find(frame);
    remark(frame, page->second);
    if (page->second.empty()) pages_.erase(page);
  }
  epoch_.fetch_add(1);
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

void CodeCache::grow() {
  Buckets& old = *buckets_.load();
  auto wider = std::make_unique<Buckets>(2 * old.size());
  std::vector<Block*> old_families(2 * families_.size());
  old_families.swap(families_);
  // (A search that goes on from a block which is in its new chain already may miss what it looks for.)
  for (auto& chain : old)
    for (Block* b = chain.load(std::memory_order_relaxed); b;) {
      auto& bucket = bucket_of(*wider, b->pa, b->pc, b->key);
      Block* const rest = b->chain.exchange(bucket.load(std::memory_order_relaxed), std::memory_order_acq_rel);
      bucket.store(b, std::memory_order_relaxed);
      b = rest;
    }
  buckets_.store(wider.release(), std::memory_order_release);
  old_buckets_.emplace_back(epoch_.fetch_add(1), &old);
  for (Block* newest : old_families)
    while (newest) {
      Block* const rest = std::exchange(newest->next_family, nullptr);
      *family_of(newest->pa, newest->key) = newest;
      newest = rest;
    }
}

void CodeCache::set_lines(GuestPa pa, u32 size) {
  if (frames_.ram().contains(pa, size))
    frames_.code_lines(pa).fetch_or(mmu::FrameTable::line_mask(pa, size), std::memory_order_relaxed);
}

/// Nothing is on the frame: vCPUs may write it unseen again. Who watched it for a block that is yet to come begins
/// again.
void CodeCache::unmark(GuestPa pa) {
  if (!frames_.ram().contains(pa)) return;
  frames_.code_lines(pa).store(0, std::memory_order_relaxed);
  frames_.ram().marks(pa).fetch_and(static_cast<u8>(~k_frame_code));
  unmarked_.fetch_add(1, std::memory_order_release);
}

/// Lets go of the lines that no block of the frame is on any more.
void CodeCache::remark(u64 frame, const Page& page) {
  const GuestPa pa(frame << k_page_bits);
  if (page.empty()) return unmark(pa);
  if (!frames_.ram().contains(pa)) return;
  u64 lines = 0;
  for (const Member& member : page) {
    const auto [first, last] = bytes_in_page(*member.block, member.which);
    lines |= mmu::FrameTable::line_mask(GuestPa(first), static_cast<u32>(last - first + 1));
  }
  frames_.code_lines(pa).store(lines, std::memory_order_relaxed);
}

void CodeCache::connect(Link* link, Block* block) {
  const std::lock_guard guard(lock_);
  if (link->owner->dead || block->dead || link->target.load(std::memory_order_relaxed)) return;
  // (Where there was no room for code, the dispatcher stands between generated code and the block that is interpreted.)
  if (link->owner->compiled != block->compiled) return;
  link->target.store(block, std::memory_order_release);
  backend_.link(*link, *block);
  block->incoming.push_back(link);
}

void CodeCache::unlink(Block* block) {
  for (Link* link : block->incoming) {
    link->target.store(nullptr, std::memory_order_relaxed);
    backend_.unlink(*link);
  }
  block->incoming.clear();
  for (u32 k = 0; k < block->link_count; ++k) {
    Link& link = block->links[k];
    if (Block* target = link.target.exchange(nullptr, std::memory_order_relaxed)) {
      std::erase(target->incoming, &link);
      backend_.unlink(link);
    }
  }
}

/// The caller has taken the block out of its pages.
void CodeCache::kill(Block* block) {
  block->dead = true;
  kill_copy(block);
  forget_cold(block);
  block->exec_id.store(k_dead_block, std::memory_order_relaxed);
  backend_.retire(*block);
  unlink(block);
  block->death_epoch = epoch_.load();
  dead_bytes_.fetch_add(block->footprint(), std::memory_order_relaxed);
  bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
  killed_.fetch_add(1, std::memory_order_relaxed);
  count_live(*block, -1);
  auto* place = &bucket_of(block->pa, block->pc, block->key);
  while (place->load(std::memory_order_relaxed) != block) place = &place->load(std::memory_order_relaxed)->chain;
  place->store(block->chain.load(std::memory_order_relaxed), std::memory_order_release);
  dead_.emplace_back(block);
  --block_count_;
}

bool CodeCache::kill_on_page(u64 frame, u64 first, u64 last) {
  const auto it = pages_.find(frame);
  if (it == pages_.end()) return false;
  std::vector<Block*> hit;
  for (const Member& member : it->second) {
    const auto [begin, end] = bytes_in_page(*member.block, member.which);
    if (begin <= last && end >= first) hit.push_back(member.block);
  }
  if (hit.empty()) return false;
  for (Block* block : hit) {
    if (block->dead) continue;  // both its pages are this frame
    leave_pages(block);
    for (const GuestPa pa : {block->pa, block->second_page}) {
      const u64 other = pa.value >> k_page_bits;
      if (pa != k_no_page && other != frame) remark(other, pages_.at(other));
    }
    kill(block);
  }
  remark(frame, it->second);
  if (it->second.empty()) pages_.erase(it);
  return true;
}

bool CodeCache::kill_range(GuestPa pa, u64 size) {
  bool any = false;
  const u64 last = pa.value + size - 1;
  for (u64 frame = pa.value >> k_page_bits; frame <= last >> k_page_bits; ++frame)
    any |= kill_on_page(frame, std::max(pa.value, frame << k_page_bits),
                        std::min(last, (frame << k_page_bits) + k_page_mask));
  if (any) epoch_.fetch_add(1);
  return any;
}

bool CodeCache::written(GuestPa pa, u32 size) {
  if (!(frames_.code_lines(pa).load(std::memory_order_relaxed) & mmu::FrameTable::line_mask(pa, size))) return false;
  test_point("written: on a line of code");
  return invalidate(pa, size);
}

bool CodeCache::invalidate(GuestPa pa, u64 size) {
  const std::lock_guard guard(lock_);
  return kill_range(pa, size);
}

void CodeCache::evict() {
  const std::lock_guard guard(lock_);
  evictions_.fetch_add(1, std::memory_order_relaxed);
  std::vector<u64> frames;
  for (const auto& page : pages_) frames.push_back(page.first);
  std::sort(frames.begin(), frames.end());
  std::rotate(frames.begin(), std::lower_bound(frames.begin(), frames.end(), eviction_frame_), frames.end());
  const u64 enough = bytes_.load() - bytes_.load() / k_eviction_parts;
  for (const u64 frame : frames) {
    if (bytes_.load() <= enough) break;
    kill_range(GuestPa(frame << k_page_bits), k_page_size);
    eviction_frame_ = frame + 1;
  }
}

CodeCache::~CodeCache() {
  const std::unique_ptr<Buckets> buckets(buckets_.load());
  for (auto& chain : *buckets)
    for (Block* b = chain.load(); b;) delete std::exchange(b, b->chain.load());
}

bool CodeCache::has_dead_before(u64 epoch, Held held) {
  const std::lock_guard guard(lock_);
  return (!old_buckets_.empty() && old_buckets_.front().first < epoch) ||
         std::ranges::any_of(dead_, [&](const auto& block) { return may_free(*block, epoch, held); });
}

void CodeCache::reclaim(u64 epoch, Held held) {
  std::vector<std::unique_ptr<Block>> free_now;
  const std::lock_guard guard(lock_);
  std::erase_if(old_buckets_, [epoch](const auto& old) { return old.first < epoch; });
  std::erase_if(dead_, [&](std::unique_ptr<Block>& block) {
    if (!may_free(*block, epoch, held)) return false;
    dead_bytes_.fetch_sub(block->footprint(), std::memory_order_relaxed);
    backend_.release(*block);
    free_now.push_back(std::move(block));
    return true;
  });
}

}  // namespace armvisor::engine
