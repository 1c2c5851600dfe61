#pragma once
// Families: blocks of the same bytes under the same key, of those that can be moved, at different virtual addresses.
// One that is compiled is copied to the next address where the bytes are met (Backend::move), and one that is
// interpreted says how soon the next is to be compiled.
//
// Programs at random addresses come and go; without a bound what they leave would fill the memory. So of a family the
// newest k_most are kept.
//
// All of it is under the code cache's lock. The blocks are the index's.
#include <vector>

#include "engine/block.h"

namespace armvisor::engine {

class CopyFamilies {
 public:
  static constexpr u32 k_most = 8;

  /// A block of the bytes at `pa` that serves `key`: the newest that is compiled, else the newest; null if there is
  /// none.
  const Block* find(GuestPa pa, u32 key);
  /// `block` becomes the newest of its family, if it is to be in one. Returns the oldest, if there are too many now: it
  /// is to be removed.
  Block* add(Block* block);
  void remove(Block* block);

 private:
  /// Where the newest of the blocks of these bytes is, or would be.
  Block** place_of(GuestPa pa, u32 key);
  void grow();

  std::vector<Block*> heads_{1u << 14};  ///< by a hash, a power of two: the newest of each family
  u64 families_ = 0;
};

}  // namespace armvisor::engine
