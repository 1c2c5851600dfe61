#include "engine/code/copy_families.h"

#include <utility>

namespace armvisor::engine {

Block** CopyFamilies::place_of(GuestPa pa, u32 key) {
  const u64 h = (pa.value ^ u64{base_key(key)} << 40) * 0x9e3779b97f4a7c15ull;
  Block** place = &heads_[(h >> 32) & (heads_.size() - 1)];
  while (*place && ((*place)->pa != pa || base_key((*place)->key) != base_key(key)))
    place = &(*place)->family.next_family_;
  return place;
}

const Block* CopyFamilies::find(GuestPa pa, u32 key) {
  const Block* found = nullptr;
  const Block* const newest = *place_of(pa, key);
  for (const Block* b = newest; b; b = b->family.older_ != newest ? b->family.older_ : nullptr) {
    if (!b->serves(key)) continue;
    if (b->compiled) return b;
    if (!found) found = b;
  }
  return found;
}

Block* CopyFamilies::add(Block* block) {
  if (block->is_fixed()) return nullptr;
  FamilyHook& own = block->family;
  Block** const place = place_of(block->pa, block->key);
  Block* const newest = std::exchange(*place, block);
  if (!newest) {
    own.older_ = own.newer_ = block;
    own.next_family_ = nullptr;
    own.count_ = 1;
    if (++families_ > heads_.size() / 2) grow();
    return nullptr;
  }
  Block* const oldest = newest->family.newer_;
  own.older_ = newest;
  own.newer_ = oldest;
  newest->family.newer_ = oldest->family.older_ = block;
  own.next_family_ = newest->family.next_family_;
  own.count_ = static_cast<u8>(newest->family.count_ + 1);
  return own.count_ > k_most ? oldest : nullptr;
}

void CopyFamilies::remove(Block* block) {
  if (block->is_fixed()) return;
  const FamilyHook& own = block->family;
  Block** const place = place_of(block->pa, block->key);
  if (own.older_ == block) {
    *place = own.next_family_;
    --families_;
    return;
  }
  own.newer_->family.older_ = own.older_;
  own.older_->family.newer_ = own.newer_;
  if (*place == block) {
    *place = own.older_;
    own.older_->family.next_family_ = own.next_family_;
    own.older_->family.count_ = own.count_;
  }
  --(*place)->family.count_;
}

void CopyFamilies::grow() {
  std::vector<Block*> old(2 * heads_.size());
  old.swap(heads_);
  for (Block* newest : old)
    while (newest) {
      Block* const rest = std::exchange(newest->family.next_family_, nullptr);
      *place_of(newest->pa, newest->key) = newest;
      newest = rest;
    }
}

}  // namespace armvisor::engine
