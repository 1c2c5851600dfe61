// Who owns which host register while code is emitted: scratch registers are objects, of which there is one at a time;
// xmm registers go to temps and copies of extension registers, and back when something else needs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/jit/x64/cold_paths.h"

namespace armvisor::engine::jit {
namespace {

TEST(ScratchRegisters, AreFreeAgainWhenTheirOwnerIsGone) {
  ScratchRegisters all;
  {
    const ScratchEax eax(all);
    const ScratchXmm0 xmm0(all);  // of the same number, and another register
    EXPECT_EQ(eax.getIdx(), 0);
    EXPECT_TRUE(xmm0.isXMM());
  }
  const ScratchEax eax(all);
  const ScratchXmm0 xmm0(all);
  SUCCEED();
}

using ScratchRegistersDeathTest = testing::Test;

TEST(ScratchRegistersDeathTest, UsesThatOverlapAreFound) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto twice = [] {
    ScratchRegisters all;
    const ScratchXmm1 one(all), another(all);
  };
  EXPECT_DEATH(twice(), "taken_");
}

/// A block, and what emitters share, with code that nobody runs.
class XmmRegistersTest : public testing::Test {
 protected:
  void begin(const std::string& text) {
    std::string error;
    ASSERT_TRUE(ir::parse(text, block_, error)) << error;
    at_.block = &block_;
    at_.index = 0;
    make_plan({block_, 0, host_, options_}, plan_);
    code_.start(memory_.data(), memory_.size(), relocs_);
    xmm_.begin_block();
  }
  std::size_t emitted() {
    const std::size_t before = size_;
    size_ = code_.getSize();
    return size_ - before;
  }

  static HostFeatures with_avx() {
    HostFeatures host;
    host.avx = true;
    return host;
  }
  const HostFeatures host_ = with_avx();
  const JitOptions options_;
  ir::Block block_;
  Plan plan_;
  Position at_{plan_};
  std::vector<u8> memory_ = std::vector<u8>(4096);
  Relocs relocs_;
  Code code_;
  Operands operands_{code_, at_};
  XmmRegisters xmm_{code_, at_, operands_};
  std::size_t size_ = 0;
};

constexpr const char* k_sum =
    "block pc=0x40008000 bytes=4 insns=1 temps=3 labels=0\n"
    "  Insn attr=4 imm=0x40008000\n"
    "  t0 = GetQ imm=1\n"
    "  t1 = GetQ imm=2\n"
    "  t2 = Vector t0, t1 imm=0x10509\n"
    "  SetQ t2 imm=3\n"
    "  ExitJump imm=0x40008004\n";

TEST_F(XmmRegistersTest, WhatIsHeldGoesToNobodyElseUntilTheNextInstruction) {
  begin(k_sum);
  xmm_.begin();
  std::vector<int> taken;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x) taken.push_back(xmm_.take().getIdx());
  std::sort(taken.begin(), taken.end());
  EXPECT_EQ(std::unique(taken.begin(), taken.end()), taken.end());
  EXPECT_GE(taken.front(), static_cast<int>(XmmCache::k_first));
  xmm_.begin();
  xmm_.take();
  EXPECT_EQ(emitted(), 0u);  // nothing was anybody's value
}

TEST_F(XmmRegistersTest, ATempThatMakesRoomIsInItsSlotAndComesBack) {
  begin(k_sum);
  const ir::Value t0 = ir::Value::temp(0);
  ASSERT_TRUE(xmm_.holds(t0));
  at_.index = 1;
  xmm_.begin();
  const int x = xmm_.result(t0).getIdx();
  EXPECT_EQ(xmm_.cache.of_temp(0), x);
  at_.index = 2;
  xmm_.begin();
  for (u32 k = XmmCache::k_first; k < XmmCache::k_end; ++k) xmm_.take();
  EXPECT_GT(emitted(), 0u);  // to the frame
  EXPECT_TRUE(xmm_.state(t0).spilled);
  EXPECT_EQ(xmm_.cache.of_temp(0), -1);
  at_.index = 3;
  xmm_.begin();
  const ScratchXmm0 scratch(code_.scratch);
  xmm_.use(block_.insts[3], t0, ir::Type::V128, scratch);
  EXPECT_GT(emitted(), 0u);  // from the frame
}

TEST_F(XmmRegistersTest, WhatIsUsedUpIsReleasedWithTheNextInstruction) {
  begin(k_sum);
  at_.index = 1;
  xmm_.begin();
  xmm_.result(ir::Value::temp(0));
  at_.index = 3;  // the last use
  xmm_.begin();
  EXPECT_GE(xmm_.cache.of_temp(0), 0);
  at_.index = 4;
  const u32 changes = xmm_.changes();
  xmm_.begin();
  EXPECT_EQ(xmm_.cache.of_temp(0), -1);
  EXPECT_GT(xmm_.changes(), changes);
}

TEST_F(XmmRegistersTest, ColdPathsComeInOrderAndMayAddMore) {
  begin(k_sum);
  ColdPaths cold(at_, xmm_);
  std::string order;
  std::string* const said = &order;
  ColdPaths* const paths = &cold;
  cold.begin_block();
  EXPECT_EQ(cold.dirty(), nullptr);
  cold.add([said, paths] {
    *said += "a";
    paths->add([said] { *said += "c"; });
  });
  cold.add([said, paths] { *said += paths->dirty() ? "b" : "?"; });
  cold.emit_all();
  EXPECT_EQ(order, "abc");
}

TEST_F(XmmRegistersTest, AColdPathIsEmittedAtTheInstructionThatItCameFrom) {
  begin(k_sum);
  ColdPaths cold(at_, xmm_);
  std::vector<u32> at;
  const auto note = [to = &at, position = &at_] { to->push_back(position->index); };
  cold.begin_block();
  at_.index = 2;
  cold.add([note, paths = &cold, position = &at_] {
    note();
    position->index = 3;  // the next of its group
    paths->add(note);
  });
  at_.index = 4;
  cold.add(note);
  at_.index = 5;
  cold.emit_all();
  EXPECT_EQ(at, (std::vector<u32>{2, 4, 3}));
}

}  // namespace
}  // namespace armvisor::engine::jit
