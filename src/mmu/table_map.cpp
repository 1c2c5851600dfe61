#include "mmu/table_map.h"

#include <algorithm>
#include <bit>

namespace armvisor::mmu {

u32 TableUse::reach_bits() const {
  return std::min<u32>(32, shift + std::bit_width(static_cast<u32>(bytes >> size_shift)) - 1u);
}

bool TableMap::add(u64 frame, const TableUse& use) {
  auto& uses = frames_[frame];
  if (std::ranges::find(uses, use) != uses.end()) return false;
  uses.push_back(use);
  if (of_space_.size() <= use.space) of_space_.resize(use.space + 1);
  of_space_[use.space].push_back({frame, use});
  return true;
}

const std::vector<TableMap::Derived>& TableMap::derived(u64 frame, u32 offset, u32 size) {
  derived_.clear();
  const auto it = frames_.find(frame);
  if (it == frames_.end()) return derived_;
  for (const TableUse& use : it->second) {
    const u32 begin = std::max<u32>(offset, use.first), end = std::min<u32>(offset + size, use.first + use.bytes);
    if (begin >= end) continue;
    const u32 last = (end - 1 - use.first) >> use.size_shift;
    for (u32 k = (begin - use.first) >> use.size_shift; k <= last; ++k)
      derived_.push_back({use.space, use.va + (k << use.shift), use.shift});
  }
  return derived_;
}

std::vector<TableUse> TableMap::take(u64 frame) {
  const auto it = frames_.find(frame);
  if (it == frames_.end()) return {};
  std::vector<TableUse> uses = std::move(it->second);
  frames_.erase(it);
  for (const TableUse& use : uses)
    std::erase_if(of_space_[use.space], [&](const Placed& p) { return p.frame == frame; });
  return uses;
}

}  // namespace armvisor::mmu
