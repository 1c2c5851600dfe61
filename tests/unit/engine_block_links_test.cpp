// Direct exits from block to block (engine/code/block_links.h).
#include <gtest/gtest.h>

#include <set>

#include "code_blocks.h"
#include "engine/code/block_links.h"
#include "engine/code/dead_blocks.h"

namespace armvisor::engine::test {
namespace {

class LinkedBackend final : public NoBackend {
 public:
  void link(Link& link, const Block& block) override {
    EXPECT_EQ(link.target.load(), &block);
    EXPECT_TRUE(linked.insert(&link).second);
  }
  void unlink(Link& link) override {
    EXPECT_EQ(link.target.load(), nullptr);
    EXPECT_EQ(linked.erase(&link), 1u);
  }
  std::set<const Link*> linked;  ///< as generated code has it
};

class BlockLinksAlone : public testing::Test {
 protected:
  static constexpr u32 k_exits = 3;

  static std::unique_ptr<Block> make(bool compiled = true) {
    auto block = make_block(0x1000, 8, compiled);
    block->make_tables(0, k_exits, 0);
    for (u32 k = 0; k < k_exits; ++k) block->links[k].owner = block.get();
    return block;
  }

  LinkedBackend backend;
  BlockLinks links{backend};
};

TEST_F(BlockLinksAlone, ALinkIsMadeOnce) {
  const auto a = make(), b = make(), c = make();
  links.connect(&a->links[0], b.get());
  EXPECT_EQ(a->links[0].target.load(), b.get());
  links.connect(&a->links[0], c.get());
  EXPECT_EQ(a->links[0].target.load(), b.get());
  EXPECT_EQ(backend.linked, (std::set<const Link*>{&a->links[0]}));
}

TEST_F(BlockLinksAlone, NothingLeadsToWhatIsCutNorFromIt) {
  const auto a = make(), b = make(), c = make();
  links.connect(&a->links[0], b.get());
  links.connect(&c->links[0], b.get());
  links.connect(&c->links[1], a.get());
  links.connect(&b->links[0], b.get());  // itself
  links.connect(&b->links[2], c.get());
  links.cut(b.get());
  EXPECT_EQ(backend.linked, (std::set<const Link*>{&c->links[1]}));
  for (const Link* link : {&a->links[0], &c->links[0], &b->links[0], &b->links[2]})
    EXPECT_EQ(link->target.load(), nullptr);
  links.cut(c.get());  // which `b` does not lead to any more
  EXPECT_TRUE(backend.linked.empty());
}

TEST_F(BlockLinksAlone, DeadBlocksAreNotLinked) {
  DeadBlocks dead;
  const auto a = make();
  Block* const b = make().release();
  dead.add(b);
  links.connect(&a->links[0], b);
  links.connect(&b->links[0], a.get());
  EXPECT_TRUE(backend.linked.empty());
}

TEST_F(BlockLinksAlone, InterpretedAndCompiledBlocksAreNotLinked) {
  const auto compiled = make(true), interpreted = make(false), other = make(false);
  links.connect(&compiled->links[0], interpreted.get());
  links.connect(&interpreted->links[0], compiled.get());
  EXPECT_TRUE(backend.linked.empty());
  links.connect(&interpreted->links[0], other.get());
  EXPECT_EQ(backend.linked.size(), 1u);
}

}  // namespace
}  // namespace armvisor::engine::test
