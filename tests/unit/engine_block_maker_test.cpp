// Who makes blocks (engine/block_maker.h), without vCPUs: what is published is what memory has.
#include <functional>

#include "base/test_point.h"
#include "engine/block_maker.h"
#include "engine/jit/jit.h"
#include "engine/shared.h"
#include "engine_machine.h"
#include "mmu/exec_epoch.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000;
constexpr u32 k_mov_r0_1 = 0xe3a00001, k_mov_r0_2 = 0xe3a00002, k_return = 0xe12fff1e;

bool is_jit() {
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
  return engine && std::string(engine) == "jit";
}

std::unique_ptr<Backend> make_backend() {
  return is_jit() ? std::move(*jit::make_backend(JitOptions())) : make_interpreter_backend();
}

/// Does something once, where the thread comes by a point.
class AtPoint final : private TestPoints {
 public:
  AtPoint(std::string name, std::function<void()> f) : name_(std::move(name)), f_(std::move(f)) {
    t_test_points = this;
  }
  ~AtPoint() { t_test_points = nullptr; }
  AtPoint(const AtPoint&) = delete;
  AtPoint& operator=(const AtPoint&) = delete;

 private:
  void reached(const char* point) override {
    if (f_ && name_ == point) std::exchange(f_, nullptr)();
  }
  void blocked() override {}

  const std::string name_;
  std::function<void()> f_;
};

class BlockMaking : public testing::Test, protected Claimer {
 protected:
  BlockMaking()
      : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))),
        shared({.vcpus = 1, .ram = &ram, .port = &port, .translator = {}}, make_backend()),
        maker(shared, *this) {}

  void claim(GuestPa pa, u8 writers) override { claims.push_back({pa.value, writers}); }
  void words(u32 pa, std::initializer_list<u32> code) {
    for (const u32 word : code) {
      std::memcpy(ram.host(GuestPa(pa)), &word, sizeof word);
      pa += 4;
    }
  }
  void half(u32 pa, u16 value) { std::memcpy(ram.host(GuestPa(pa)), &value, sizeof value); }
  CodeSite site(u32 pa, u32 pc, bool thumb = false) {
    CodeSite s{.context = {.thumb = thumb}, .pc = pc, .pa = GuestPa(pa), .host = ram.host(GuestPa(pa))};
    s.key = s.context.key();
    return s;
  }
  CodeSite site(u32 pa) { return site(pa, pa); }
  Block* make(const CodeSite& s, u32 cold_runs = 0) { return maker.make(s, cold_runs).block; }
  Block* find(const CodeSite& s) { return shared.code.find(s.pa, s.pc, s.key, s.second_page); }

  GuestRam ram;
  Port port;
  Shared shared;
  BlockMaker maker;
  std::vector<std::pair<u64, u8>> claims;
};

TEST_F(BlockMaking, ABlockIsWhatMemoryHas) {
  words(k_code, {k_mov_r0_1, k_return});
  const CodeSite s = site(k_code);
  Block* const block = make(s);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->insn_count, 2u);
  EXPECT_EQ(block->bytes, 8u);
  EXPECT_EQ(block->pa, GuestPa(k_code));
  EXPECT_EQ(block->compiled, is_jit());
  EXPECT_EQ(find(s), block);
  EXPECT_EQ(make(s), block);  // as if another thread had come first
}

TEST_F(BlockMaking, WhatIsWrittenMeanwhileIsInTheBlock) {
  for (const char* point : {"watch: begun", "watch: marked", "watch: claimed", "publish: lines set"}) {
    words(k_code, {k_mov_r0_1, k_mov_r0_2, k_return});
    const AtPoint at(point, [&] { words(k_code, {k_return}); });
    Block* const block = make(site(k_code));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block->insn_count, 1u) << point;
    EXPECT_EQ(find(site(k_code)), block);
    EXPECT_TRUE(shared.code.invalidate(GuestPa(k_code), 4));
  }
}

TEST_F(BlockMaking, WhoMayWriteTheFrameIsAskedBeforeTheBlockComes) {
  words(k_code, {k_return});
  shared.frames.writers(GuestPa(k_code)) = 0x6;
  bool came = false;
  const AtPoint at("watch: claimed", [&] {
    came = true;
    EXPECT_EQ(claims, (std::vector<std::pair<u64, u8>>{{k_code, 0x6}}));
    EXPECT_EQ(find(site(k_code)), nullptr);
  });
  EXPECT_NE(make(site(k_code)), nullptr);
  EXPECT_TRUE(came);
}

/// A frame that loses its mark while a block for it is made is watched again, and its writers are asked again.
TEST_F(BlockMaking, AFrameThatLosesItsMarkIsClaimedAgain) {
  words(k_code, {k_return});
  words(k_code + 0x100, {k_return});
  EXPECT_NE(make(site(k_code + 0x100)), nullptr);
  shared.frames.writers(GuestPa(k_code)) = 0x2;
  const AtPoint at("watch: claimed", [&] { EXPECT_TRUE(shared.code.invalidate(GuestPa(k_code + 0x100), 4)); });
  EXPECT_NE(make(site(k_code)), nullptr);
  EXPECT_EQ(claims.size(), 2u);
  EXPECT_TRUE(ram.marks(GuestPa(k_code)).load() & k_frame_code);
}

/// What begins at the end of a page may become an instruction that lies across it, or cease to be one, while it is
/// looked at: the guest's doing, so it is looked at again.
TEST_F(BlockMaking, AnInstructionThatComesToLieAcrossThePagesEndIsLookedForAgain) {
  constexpr u32 k_end = k_code + k_page_size - 2;
  constexpr u16 k_nop = 0xbf00, k_first = 0xf3af, k_second = 0x8000;  // NOP.W has two halves
  half(k_end, k_nop);
  half(k_end + 2, k_second);
  const CodeSite one = site(k_end, k_end, true);
  CodeSite both = one;
  both.second_page = GuestPa(k_end + 2);
  both.second = ram.host(both.second_page);
  {
    const AtPoint at("publish: lines set", [&] { half(k_end, k_first); });
    EXPECT_EQ(make(one), nullptr);
  }
  EXPECT_EQ(find(one), nullptr);
  Block* const block = make(both);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->bytes, 4u);
  EXPECT_EQ(block->second_id, mmu::exec_id(k_end + 2, both.second_page));
  EXPECT_TRUE(shared.code.invalidate(both.second_page, 2));
  {
    const AtPoint at("publish: lines set", [&] { half(k_end, k_nop); });
    EXPECT_EQ(make(both), nullptr);
  }
  EXPECT_EQ(find(both), nullptr);
  Block* const narrow = make(one);
  ASSERT_NE(narrow, nullptr);
  EXPECT_EQ(narrow->bytes, 2u);
}

// --- with a compiler

class Compiling : public BlockMaking {
 protected:
  void SetUp() override {
    if (!is_jit()) GTEST_SKIP() << "the interpreter's blocks are made once";
  }
};

TEST_F(Compiling, WhatWasInterpretedIsCompiledInItsPlace) {
  words(k_code, {k_mov_r0_1, k_return});
  const CodeSite s = site(k_code);
  EXPECT_FALSE(maker.make_hot(s));  // nothing is there
  const BlockMaker::Made cold = maker.make(s, 16);
  EXPECT_EQ(cold.how, BlockMaker::How::Interpreted);
  EXPECT_FALSE(cold.block->compiled);
  EXPECT_EQ(cold.block->cold_runs.load(), 16u);
  {
    const AtPoint at("publish: lines set", [&] { words(k_code, {k_mov_r0_2}); });
    EXPECT_FALSE(maker.make_hot(s));
    EXPECT_EQ(find(s), cold.block);
  }
  EXPECT_TRUE(maker.make_hot(s));
  EXPECT_TRUE(cold.block->death.has_come());
  EXPECT_TRUE(find(s)->compiled);
  EXPECT_FALSE(maker.make_hot(s));
}

TEST_F(Compiling, WhatIsKnownElsewhereIsMoved) {
  words(k_code, {k_mov_r0_1, k_return});
  EXPECT_EQ(maker.make(site(k_code, 0x10000), 0).how, BlockMaker::How::Compiled);
  const CodeSite there = site(k_code, 0x20000);
  const BlockMaker::Made moved = maker.make(there, 16);
  EXPECT_EQ(moved.how, BlockMaker::How::Moved);
  EXPECT_TRUE(moved.block->compiled);
  EXPECT_EQ(moved.block->pc, 0x20000u);
  EXPECT_EQ(find(there), moved.block);
}

TEST_F(Compiling, WhatIsInterpretedElsewhereIsCompiledSooner) {
  words(k_code, {k_mov_r0_1, k_return});
  make(site(k_code, 0x10000), 16);
  EXPECT_EQ(make(site(k_code, 0x20000), 16)->cold_runs.load(), 8u);
  EXPECT_EQ(make(site(k_code, 0x30000), 16)->cold_runs.load(), 4u);
}

TEST_F(Compiling, ALoopBecomesARegion) {
  words(k_code, {k_mov_r0_1, 0xe2500001, 0x1afffffd, k_return});  // subs r0, r0, #1; bne -1
  const CodeSite head = site(k_code + 4), before = site(k_code);
  EXPECT_FALSE(maker.make_region(head));  // there is no block
  make(before);
  make(head);
  EXPECT_FALSE(maker.make_region(before));  // nothing comes back to it
  EXPECT_TRUE(maker.make_region(head));
  EXPECT_TRUE(find(head)->region);
  EXPECT_FALSE(maker.make_region(head));
}

}  // namespace
}  // namespace armvisor::engine::test
