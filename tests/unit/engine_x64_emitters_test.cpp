// What must hold of the emitters one by one, whatever code they emit: what they share stays right, and what others read
// of a block (links, the table of accesses by window) fits its code. The code itself is pinned in tests/ir/*.x64.
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "engine/jit/side_tables.h"
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/window_faults.h"
#include "ir_case.h"

namespace armvisor::engine::jit {
namespace {

constexpr u32 k_pc = 0x40008000;

HostFeatures all_features() {
  HostFeatures host;
#define HOST_FEATURE(member, name, use) host.member = true;
#include "engine/jit/x64/host_features.inc"
#undef HOST_FEATURE
  return host;
}

/// A block, and the emitters, with code that nobody runs.
class EmittersTest : public testing::Test {
 protected:
  void begin(const std::string& text, u32 key = 0) {
    std::string error;
    ASSERT_TRUE(ir::parse(text, block_, error)) << error;
    ASSERT_EQ(ir::verify(block_), "");
    relocs_.clear();
    out_ = make_tables(block_, key, relocs_);
    make_plan({block_, key, host_, options_}, plan_);
    at_.block = &block_;
    at_.key = key;
    at_.index = 0;
    code_.start(memory_.data(), memory_.size(), relocs_);
    xmm_.begin_block();
    cold_.begin_block();
    calls_.begin_block();
    fp_.begin_block();
    flags_.begin_block();
    memory_emitter_.begin_block();
    exits_.begin_block(out_->links);
  }
  const ir::Inst& inst(u32 index) {
    at_.index = index;
    return block_.insts[index];
  }
  template <class F>
  std::size_t emitted(F emit) {
    const std::size_t before = code_.getSize();
    emit();
    return code_.getSize() - before;
  }
  void complete() {
    cold_.emit_all();
    code_.finish_code();
  }
  bool is_noted(Reloc::Kind kind, std::size_t at) const {
    for (const Reloc& r : relocs_)
      if (r.kind == kind && r.at == at) return true;
    return false;
  }

  HostFeatures host_ = all_features();
  JitOptions options_;
  const WindowSites sites_;
  const Stubs stubs_;
  ir::Block block_;
  std::unique_ptr<Block> out_;
  Plan plan_;
  Position at_{plan_};
  alignas(16) std::array<u8, 8192> memory_{};
  Relocs relocs_;
  Code code_;
  Operands operands_{code_, at_};
  XmmRegisters xmm_{code_, at_, operands_};
  ColdPaths cold_{at_, xmm_};
  Calls calls_{code_, at_, operands_, xmm_, cold_, stubs_};
  FpEmitter fp_{code_, at_, operands_, xmm_, cold_, calls_, host_};
  FlagEmitter flags_{code_, at_, operands_, fp_, options_.fuse_compare};
  IntegerEmitter integers_{code_, at_, operands_, cold_, flags_, host_};
  MemoryEmitter memory_emitter_{code_, at_, operands_, xmm_, cold_, calls_, flags_, host_, options_, sites_};
  Exits exits_{code_, at_, cold_, calls_, stubs_, options_.regions};
  Traps traps_{code_, at_, cold_, calls_, flags_, exits_, stubs_, options_};
  BankEmitter banks_{code_, at_, operands_, cold_, traps_, options_};
};

// --- flags

constexpr const char* k_and_set =
    "block pc=0x40008000 bytes=12 insns=3 temps=2 labels=0\n"
    "  Insn attr=4 imm=0x40008000\n"
    "  r1 = And r2, r3\n"
    "  Insn attr=4 imm=0x40008004\n"
    "  SetC #1 attr=2\n"
    "  SetNZ r1 attr=12\n"
    "  r4 = Mul r2, r3\n"
    "  SetNZ r1 attr=12\n"
    "  ExitJump imm=0x4000800c\n";

using FlagEmitterTest = EmittersTest;

TEST_F(FlagEmitterTest, NAndZOfAResultAreTheHostsUntilOtherCodeChangesThem) {
  options_.dead_flags = options_.lazy_flags = false;
  begin(k_and_set);
  const auto begins_with_test = [&](u32 index) {
    const std::size_t at = code_.getSize();
    flags_.emit(inst(index));
    EXPECT_GT(code_.getSize(), at);
    return memory_[at] == 0x85;
  };
  integers_.emit(inst(1));
  flags_.emit(inst(3));
  EXPECT_FALSE(begins_with_test(4));
  integers_.emit(inst(5));
  EXPECT_TRUE(begins_with_test(6));
}

TEST_F(FlagEmitterTest, WhatTheLastBlockLeftInTheHostsFlagsIsForgotten) {
  options_.dead_flags = false;
  begin(k_and_set);
  integers_.emit(inst(1));
  const std::size_t at_hand = emitted([&] { flags_.emit(inst(4)); });
  begin(k_and_set);
  EXPECT_GT(emitted([&] { flags_.emit(inst(4)); }), at_hand);
}

TEST_F(FlagEmitterTest, RecoveringLeavesTheAddressOfAnAccess) {
  begin(
      "block pc=0x40008000 bytes=12 insns=3 temps=0 labels=0\n"
      "  Insn attr=4 imm=0x40008000\n"
      "  SubF r1, r2 attr=15\n"
      "  Insn attr=4 imm=0x40008004\n"
      "  r3 = Load r4 attr=4\n"
      "  Insn attr=4 imm=0x40008008\n"
      "  r5 = AddF r5, #1 attr=15\n"
      "  ExitJump imm=0x4000800c\n");
  ASSERT_TRUE(plan_.flags.recovers(3));
  inst(3);
  const ScratchEax address(code_.scratch);
  EXPECT_GT(emitted([&] { flags_.recover(3); }), 0u);
  EXPECT_EQ(emitted([&] { flags_.recover(6); }), 0u);
}

// --- exits

constexpr const char* k_two_exits =
    "block pc=0x40008000 bytes=8 insns=2 temps=0 labels=1\n"
    "  Insn attr=4 imm=0x40008000\n"
    "  SkipUnless attr=0 imm=0\n"
    "  ExitJump imm=0x40008040\n"
    "  Label imm=0\n"
    "  Insn attr=4 imm=0x40008004\n"
    "  ExitJump imm=0x40008008\n";

using ExitsTest = EmittersTest;

TEST_F(ExitsTest, AJumpIsPatchedAtAMultipleOfFourAndLeadsToTheLinkUntilThen) {
  for (u32 before = 0; before < 8; ++before) {
    begin(k_two_exits);
    code_.nop(before, false);
    Link *const first = exits_.link_of(2), *const second = exits_.link_of(5);
    ASSERT_EQ(first, &out_->links[0]);
    ASSERT_EQ(second, &out_->links[1]);
    exits_.jump_if(4, *first);
    exits_.jump(second, {0x40008008, false}, 0x40008004);
    complete();
    for (const Link* const link : {first, second}) {
      EXPECT_EQ(reinterpret_cast<u64>(link->patch) % 4, 0u);
      EXPECT_EQ(read_field<s32>(link->patch), link->unlinked);
      const u8* const cold = link->patch + 4 + link->unlinked;
      ASSERT_LT(cold, memory_.data() + code_.getSize());
      EXPECT_TRUE(is_noted(Reloc::Kind::Link, static_cast<std::size_t>(cold - memory_.data()) + 2));  // mov rdx, imm64
    }
  }
}

TEST_F(ExitsTest, NoExitOfABlockThatGoesOnInsideAnItBlockHasALink) {
  begin(
      "block pc=0x40008000 bytes=2 insns=1 temps=0 labels=0\n"
      "  Insn attr=2 imm=0x40008000\n"
      "  SetIt imm=8\n"
      "  ExitJump imm=0x40008002\n");
  EXPECT_EQ(exits_.link_of(2), nullptr);
  exits_.jump(exits_.link_of(2), {0x40008002, false}, k_pc);
  complete();
  EXPECT_EQ(out_->links[0].patch, nullptr);
}

TEST_F(ExitsTest, AWriteOfCpsrHasTheLinkOfTheExitBehindIt) {
  begin(
      "block pc=0x40008000 bytes=12 insns=2 temps=1 labels=1\n"
      "  Insn attr=4 imm=0x40008000\n"
      "  SkipUnless attr=0 imm=0\n"
      "  ExitJump imm=0x40008040\n"
      "  Label imm=0\n"
      "  Insn attr=4 imm=0x40008004\n"
      "  WriteCpsr r0 imm=1\n"
      "  ExitSync imm=0x40008008\n");
  ASSERT_EQ(out_->link_count, 2u);
  EXPECT_EQ(exits_.link_of(2), &out_->links[0]);
  EXPECT_EQ(exits_.link_of(6), &out_->links[1]);
  EXPECT_EQ(exits_.link_of(6)->pc, 0x40008008u);
}

// --- memory

constexpr const char* k_accesses =
    "block pc=0x40008000 bytes=12 insns=3 temps=0 labels=0\n"
    "  Insn attr=4 imm=0x40008000\n"
    "  r1 = Load r0 attr=4\n"
    "  r2 = Load r0 attr=4 disp=4\n"
    "  Insn attr=4 imm=0x40008004\n"
    "  Store r3, r2 attr=4\n"
    "  Insn attr=4 imm=0x40008008\n"
    "  r4 = Load r3 attr=36\n"
    "  ExitJump imm=0x4000800c\n";

using MemoryEmitterTest = EmittersTest;

TEST_F(MemoryEmitterTest, AGroupIsDoneAtOnce) {
  begin(k_accesses);
  inst(1);
  memory_emitter_.emit();
  EXPECT_EQ(at_.index, 2u);
  inst(4);
  memory_emitter_.emit();
  EXPECT_EQ(at_.index, 4u);
  complete();
  EXPECT_EQ(memory_emitter_.emit_window_table(), 0u);
}

TEST_F(MemoryEmitterTest, TheTableNamesEachAccessByWindowAndTheColdPathOfItsGroup) {
  begin(k_accesses, k_key_window);
  for (const u32 index : {1u, 4u}) inst(index), memory_emitter_.emit();
  const std::size_t hot = code_.getSize();
  complete();
  const std::size_t at = memory_emitter_.emit_window_table();
  ASSERT_NE(at, 0u);
  EXPECT_EQ(at % 4, 0u);
  const u8* const table = &memory_[at];
  ASSERT_EQ(read_field<u32>(table), 3u);
  std::vector<std::size_t> accesses, colds;
  for (u32 k = 0; k < 3; ++k) {
    const auto site = read_field<WindowSite>(table + 4 + k * sizeof(WindowSite));
    accesses.push_back(at - site.access);
    colds.push_back(at - site.cold);
    EXPECT_EQ(memory_[accesses.back()], 0x65);  // GS
    EXPECT_LT(accesses.back(), hot);
    EXPECT_GE(colds.back(), hot);
  }
  EXPECT_TRUE(std::is_sorted(accesses.begin(), accesses.end()));
  EXPECT_EQ(colds[0], colds[1]);
  EXPECT_NE(colds[0], colds[2]);
}

// --- traps

TEST_F(EmittersTest, BankedRegistersThatAreWrittenInARowAreDoneAtOnce) {
  begin(
      "block pc=0x40008000 bytes=4 insns=1 temps=0 labels=0\n"
      "  Insn attr=4 imm=0x40008000\n"
      "  WriteModeReg r0 imm=0x1308\n"
      "  WriteModeReg r1 imm=0x130d\n"
      "  WriteModeReg r2 imm=0x120d\n"
      "  ExitJump imm=0x40008004\n");
  EXPECT_TRUE(banks_.emit(inst(1)));
  EXPECT_EQ(at_.index, 2u);  // the third is of another mode
  EXPECT_TRUE(banks_.emit(inst(3)));
  EXPECT_EQ(at_.index, 3u);
  complete();
}

TEST_F(EmittersTest, AnOperationThatPrecedesATrapOfItsInstructionIsNotCounted) {
  begin(
      "block pc=0x40008000 bytes=8 insns=2 temps=1 labels=0\n"
      "  Insn attr=4 imm=0x40008000\n"
      "  t0 = ReadCpsr\n"
      "  WriteCpsr t0 imm=1\n"
      "  ExitSync imm=0x40008004\n");
  EXPECT_EQ(emitted([&] { traps_.count(measure::Counter::FastPsrRead, 1); }), 0u);
  EXPECT_GT(emitted([&] { traps_.count(measure::Counter::FastPsrWrite, 2); }), 0u);
  options_.count_traps = false;
  EXPECT_EQ(emitted([&] { traps_.count(measure::Counter::FastPsrWrite, 2); }), 0u);
}

// --- all of them

/// A case of tests/ir and tests/plan, and what is emitted of it.
struct Emission {
  std::vector<u8> code;
  std::size_t linked, table;
  Relocs relocs;
  std::vector<std::pair<std::size_t, s32>> links;
  bool operator==(const Emission&) const = default;
};

std::vector<test::IrCase> all_cases() {
  std::vector<test::IrCase> cases;
  for (const char* const folder : {"ir", "plan"})
    for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(ARMVISOR_TESTS) / folder))
      if (file.path().extension() == ".ir")
        for (test::IrCase& c : test::read_ir_cases(file.path().string())) cases.push_back(std::move(c));
  return cases;
}

/// An emission that had no room ends anywhere; scratch registers were owned, cold paths were being emitted.
TEST(Emitter, ABlockThatHadNoRoomLeavesNothingToTheNext) {
  const HostFeatures host = all_features();
  const JitOptions options;
  const WindowSites sites;
  const Stubs stubs;
  Emitter used(stubs, host, options, sites);
  std::vector<u8> memory(16384);
  const u32 key = k_key_window;
  const auto emit = [&](Emitter& emitter, const ir::Block& ir, std::size_t room) {
    Emission e;
    const std::unique_ptr<Block> out = make_tables(ir, key, e.relocs);
    std::fill(memory.begin(), memory.end(), u8{0xcc});
    const Emitted emitted = emitter.emit({memory.data(), room}, ir, *out, e.relocs);
    e.code.assign(memory.begin(), memory.begin() + static_cast<s64>(emitted.size));
    e.linked = emitted.linked_entry;
    e.table = emitted.window_table;
    for (u32 k = 0; k < out->link_count; ++k)
      e.links.emplace_back(out->links[k].patch ? out->links[k].patch - memory.data() : 0, out->links[k].unlinked);
    return e;
  };
  std::size_t tried = 0;
  for (const test::IrCase& c : all_cases()) {
    ir::Block ir;
    std::string error;
    ASSERT_TRUE(ir::parse(c.text, ir, error)) << c.name << ": " << error;
    Emitter fresh(stubs, host, options, sites);
    const Emission right = emit(fresh, ir, memory.size());
    ASSERT_FALSE(right.code.empty()) << c.name;
    for (std::size_t room = 0; room < right.code.size(); room += 1 + right.code.size() / 16)
      ASSERT_TRUE(emit(used, ir, room).code.empty()) << c.name;
    ASSERT_EQ(emit(used, ir, memory.size()), right) << c.name;
    ++tried;
  }
  EXPECT_GT(tried, 50u);
}

}  // namespace
}  // namespace armvisor::engine::jit
