#include "engine/code/page_index.h"

#include <algorithm>

namespace armvisor::engine {
namespace {

u64 frame_of(GuestPa pa) { return pa.value >> k_page_bits; }

/// Bytes of a block that lie in one page: physical addresses.
struct Bytes {
  u64 first, last;
  u64 lines() const { return mmu::FrameTable::line_mask(GuestPa(first), static_cast<u32>(last - first + 1)); }
};

Bytes bytes_in_page(const Block& block, u32 which) {
  if (which != 0) {
    const u64 in_first = k_page_size - (block.pa.value & k_page_mask), base = block.second_page.value;
    return {base, base + block.bytes - in_first - 1};
  }
  const u64 first = block.pa.value - block.before;
  return {first, std::min(first + block.bytes - 1, first | k_page_mask)};
}

}  // namespace

void PageIndex::set_lines(const Block& block) {
  for (u32 which = 0; which <= block.straddles(); ++which) {
    const Bytes bytes = bytes_in_page(block, which);
    if (const GuestPa pa(bytes.first); frames_.ram().contains(pa))
      frames_.code_lines(pa).fetch_or(bytes.lines(), std::memory_order_relaxed);
  }
}

void PageIndex::add(Block* block) {
  add(block, 0, block->pa);
  if (block->straddles()) add(block, 1, block->second_page);
}

void PageIndex::add(Block* block, u32 which, GuestPa pa) {
  Page& page = pages_[frame_of(pa)];
  block->page.places_[which] = static_cast<u32>(page.size());
  page.push_back({block, which});
}

void PageIndex::remove(Block* block) {
  remove(block, 0, block->pa);
  if (block->straddles()) remove(block, 1, block->second_page);
}

void PageIndex::remove(Block* block, u32 which, GuestPa pa) {
  Page& page = pages_.at(frame_of(pa));
  const u32 place = block->page.places_[which];
  page[place] = page.back();
  page[place].block->page.places_[page[place].which] = place;
  page.pop_back();
}

void PageIndex::tidy(std::span<Block* const> gone) {
  std::vector<u64> frames;
  for (const Block* block : gone) {
    frames.push_back(frame_of(block->pa));
    if (block->straddles()) frames.push_back(frame_of(block->second_page));
  }
  std::ranges::sort(frames);
  frames.erase(std::unique(frames.begin(), frames.end()), frames.end());
  for (const u64 frame : frames) tidy(frame);
}

void PageIndex::tidy(u64 frame) {
  u64 lines = 0;
  const auto page = pages_.find(frame);
  const bool empty = page == pages_.end() || page->second.empty();
  if (!empty)
    for (const Member& member : page->second) lines |= bytes_in_page(*member.block, member.which).lines();
  else if (page != pages_.end())
    pages_.erase(page);
  const GuestPa pa(frame << k_page_bits);
  if (!frames_.ram().contains(pa)) return;
  frames_.code_lines(pa).store(lines, std::memory_order_relaxed);
  if (!empty) return;
  // Who has watched the frame for a block that is yet to come begins again.
  frames_.ram().marks(pa).fetch_and(static_cast<u8>(~k_frame_code));
  unmarked_.fetch_add(1, std::memory_order_release);
}

std::vector<Block*> PageIndex::on(u64 first, u64 last) const {
  std::vector<Block*> found;
  const auto page = pages_.find(first >> k_page_bits);
  if (page == pages_.end()) return found;
  for (const Member& member : page->second)
    if (const Bytes bytes = bytes_in_page(*member.block, member.which); bytes.first <= last && bytes.last >= first)
      found.push_back(member.block);
  return found;
}

std::vector<u64> PageIndex::frames() const {
  std::vector<u64> all;
  for (const auto& page : pages_) all.push_back(page.first);
  std::ranges::sort(all);
  return all;
}

}  // namespace armvisor::engine
