#include "engine/code/block_links.h"

#include <vector>

namespace armvisor::engine {

void BlockLinks::connect(Link* link, Block* block) {
  const Block& owner = *link->owner;
  if (owner.death.has_come() || block->death.has_come() || link->target.load(std::memory_order_relaxed)) return;
  // (Where there was no room for code, the dispatcher stands between generated code and the block that is interpreted.)
  if (owner.compiled != block->compiled) return;
  link->target.store(block, std::memory_order_release);
  backend_.link(*link, *block);
  block->linking.incoming_.push_back(link);
}

void BlockLinks::cut(Block* block) {
  for (Link* link : block->linking.incoming_) {
    link->target.store(nullptr, std::memory_order_relaxed);
    backend_.unlink(*link);
  }
  block->linking.incoming_.clear();
  for (u32 k = 0; k < block->link_count; ++k) {
    Link& link = block->links[k];
    if (Block* target = link.target.exchange(nullptr, std::memory_order_relaxed)) {
      std::erase(target->linking.incoming_, &link);
      backend_.unlink(link);
    }
  }
}

}  // namespace armvisor::engine
