#pragma once
// Direct exits of blocks that lead to others (Link), and which lead to a block, so that none does when it dies. What
// generated code does by them is the back end's.
//
// Changes are made under the code cache's lock. vCPUs read Link::target, or jump by it, without.
#include "engine/backend.h"
#include "engine/block.h"

namespace armvisor::engine {

class BlockLinks {
 public:
  explicit BlockLinks(Backend& backend) : backend_(backend) {}

  /// `link` leads to `block` from now on, if both blocks live and it leads nowhere yet.
  void connect(Link* link, Block* block);
  /// Nothing leads to `block`, which dies, nor from it anywhere.
  void cut(Block* block);

 private:
  Backend& backend_;
};

}  // namespace armvisor::engine
