#include "engine/block_holder.h"

#include <algorithm>

#include "engine/code_cache.h"

namespace armvisor::engine {

/// What died from `quiet` on, and `blocks`.
struct BlockHolders::Held {
  u64 quiet;
  std::vector<const Block*> blocks;
};

BlockHolders::Held BlockHolders::look(const CodeCache& code) const {
  Held all{code.epoch(), {}};
  full_fence();
  for (const BlockHolder* holder : holders_) {
    const u64 quiet = holder->quiet();
    test_point("reclaim: at a holder");
    if (quiet == BlockHolder::k_none) all.blocks.push_back(holder->held());
    all.quiet = std::min(all.quiet, quiet);
  }
  return all;
}

void BlockHolders::reclaim(CodeCache& code) {
  const Held before = look(code);
  if (!code.has_dead_before(before.quiet, before.blocks)) return;
  // Before the holders are looked at: one that enters afterwards sees the count, or is seen to have entered.
  reclaims_.fetch_add(1);
  test_point("reclaim: counted");
  const Held all = look(code);
  code.reclaim(all.quiet, all.blocks);
}

}  // namespace armvisor::engine
