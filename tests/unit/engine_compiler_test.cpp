// What the compiler does with code, whatever the instruction set: a code generator that emits nothing that could run
// fills the interface and notes what it is asked for.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/jit/compiler.h"
#include "engine/uop_functions.h"

namespace armvisor::engine::jit {
namespace {

constexpr u32 k_pc = 0x40008000, k_other_pc = 0x40008100, k_elsewhere = 0x7fff3000;
constexpr u8 k_filler = 0xee;
constexpr s32 k_unlinked = 0x0badcafe;
constexpr std::size_t k_shared_bytes = 96, k_lookup = 16, k_miss = 48;

/// What the compiler asked for, in order. Generators and emitters share it with the test.
struct Log {
  struct Range {
    const u8* exec;
    std::size_t size;
    bool operator==(const Range&) const = default;
  };
  std::vector<std::string> calls;
  std::vector<std::size_t> rooms;  ///< that emitters were given
  std::vector<Range> flushed;
  std::vector<Relocs> placed;  ///< the relocations of each place()
  std::vector<u32> distances;  ///< of each place()
  std::vector<const void*> run;
  std::vector<Range> windows;           ///< watched
  std::vector<const u8*> window_tables;  ///< of these
  std::size_t block_bytes = 40;         ///< that the next block takes
  bool can_window = false;
  const u8* shared = nullptr;
};

/// Code that is filler but for a jump for each link of the page, and the address of each link.
class FakeEmitter final : public BlockEmitter {
 public:
  explicit FakeEmitter(Log& log) : log_(log) {}
  Emitted emit(std::span<u8> rw, const ir::Block&, Block& out, Relocs& relocs) override {
    log_.calls.push_back("emit");
    log_.rooms.push_back(rw.size());
    // Where there is no room, what has been written by then stays behind.
    std::fill_n(rw.begin(), std::min(rw.size(), log_.block_bytes), k_filler);
    std::size_t at = 8;
    for (u32 k = 0; k < out.link_count; ++k, at += 16) {
      Link& link = out.links[k];
      relocs.push_back({static_cast<u32>(at + 8), static_cast<u16>(k), Reloc::Kind::Link});
      if (!link.same_page) continue;
      link.patch = rw.data() + at;
      link.unlinked = k_unlinked;
      write_field(link.patch, k_unlinked);
    }
    if (rw.size() < log_.block_bytes) return {};
    return {.size = log_.block_bytes, .linked_entry = 4, .window_table = out.key & k_key_window ? 20u : 0u};
  }

 private:
  Log& log_;
};

class FakeGenerator final : public CodeGenerator {
 public:
  explicit FakeGenerator(Log& log) : log_(log) {}

  bool start_windows(const u8*, std::size_t) override {
    log_.calls.push_back("windows");
    return log_.can_window;
  }
  Shared emit_shared(std::span<u8> rw, const u8* exec) override {
    log_.calls.push_back("shared");
    log_.shared = exec;
    std::fill_n(rw.begin(), k_shared_bytes, k_filler);
    return {.size = k_shared_bytes, .lookup = k_lookup, .miss = k_miss};
  }
  std::unique_ptr<BlockEmitter> make_emitter(const WindowSites&) const override {
    return std::make_unique<FakeEmitter>(log_);
  }
  void place(u8* code, const Relocs& relocs, const Block& block, u32 by) const override {
    log_.calls.push_back("place");
    log_.placed.push_back(relocs);
    log_.distances.push_back(by);
    for (const Reloc& r : relocs)
      if (r.in_code()) write_field(code + r.at, value_of(r, block));
  }
  s32 jump(const u8* exec, const void* target) const override {
    return static_cast<s32>(static_cast<const u8*>(target) - exec);
  }
  void flush(const u8* exec, std::size_t size) const override {
    log_.calls.push_back("flush");
    log_.flushed.push_back({exec, size});
  }
  Leave run(Context*, const void* code) const override {
    log_.run.push_back(code);
    return Leave::Wfi;
  }
  void watch_window(const u8* exec, std::size_t size, const u8* table) override {
    log_.windows.push_back({exec, size});
    log_.window_tables.push_back(table);
  }

 private:
  Log& log_;
};

/// A block that ends with a jump to `target`.
ir::Block block_at(u32 pc, u32 target) {
  ir::Block block;
  block.pc = pc;
  block.guest_bytes = 4;
  block.insn_count = 1;
  block.insts.push_back({.op = ir::Op::Insn, .attr = 4, .moves = ir::Moves::imm, .imm = pc});
  block.insts.push_back({.op = ir::Op::ExitJump, .moves = ir::Moves::imm, .imm = target});
  return block;
}

class EngineCompiler : public testing::Test {
 protected:
  void start(u64 code_bytes = 1 << 20) {
    options_.code_bytes = code_bytes;
    auto made = Compiler::create(options_, std::make_unique<FakeGenerator>(log_));
    ASSERT_TRUE(made);
    backend_ = std::move(*made);
  }
  std::unique_ptr<Block> make(u32 pc = k_pc, u32 target = k_other_pc, u32 key = 0) {
    return backend_->make(block_at(pc, target), key);
  }
  static const u8* code(const Block& block) { return static_cast<const u8*>(block.host); }
  /// What the jump of its link is, as it will be executed.
  static s32 jump_of(const Block& block) {
    const Link& link = block.links[0];
    return read_field<s32>(code(block) + (link.patch - block.patch_base));
  }
  static const u8* exec_of(const Link& link) { return code(*link.owner) + (link.patch - link.owner->patch_base); }

  Log log_;
  JitOptions options_;
  std::unique_ptr<Backend> backend_;
};

TEST_F(EngineCompiler, CodeIsPlacedAndThenFlushedBeforeAnybodyGetsIt) {
  start();
  const auto block = make();
  ASSERT_TRUE(block && block->compiled);
  EXPECT_EQ(log_.calls, (std::vector<std::string>{"windows", "shared", "flush", "emit", "place", "flush"}));
  EXPECT_EQ(log_.flushed[0], (Log::Range{log_.shared, k_shared_bytes}));
  EXPECT_EQ(log_.flushed[1], (Log::Range{code(*block), log_.block_bytes}));
  EXPECT_EQ(block->host_size, log_.block_bytes);
  EXPECT_EQ(block->linked, code(*block) + 4);
  EXPECT_EQ(block->indirect.load(), block->linked);
  EXPECT_EQ(log_.distances, std::vector<u32>{0});
  // What was written is what is executed.
  EXPECT_EQ(code(*block)[0], k_filler);
  EXPECT_EQ(read_field<u64>(code(*block) + 16), reinterpret_cast<u64>(&block->links[0]));
}

TEST_F(EngineCompiler, WithoutRoomAnEmitterGetsMoreAndNothingOfTheFirstTryStays) {
  start();
  log_.block_bytes = 100000;  // more than the compiler takes of the memory at a time
  const auto block = make();
  ASSERT_TRUE(block && block->compiled);
  ASSERT_GT(log_.rooms.size(), 1u);
  for (std::size_t k = 1; k < log_.rooms.size(); ++k) EXPECT_GT(log_.rooms[k], log_.rooms[k - 1]);
  ASSERT_EQ(log_.placed.size(), 1u);
  const auto in_code = std::count_if(log_.placed[0].begin(), log_.placed[0].end(), [](const Reloc& r) { return r.in_code(); });
  EXPECT_EQ(in_code, 1);
  EXPECT_EQ(block->links[0].patch, block->patch_base + 8);
}

TEST_F(EngineCompiler, ALinkIsAJumpToWhereItsTargetIsEntered) {
  start();
  const auto from = make(k_pc, k_other_pc), to = make(k_other_pc, k_pc);
  Link& link = from->links[0];
  EXPECT_EQ(jump_of(*from), k_unlinked);
  backend_->link(link, *to);
  EXPECT_EQ(exec_of(link) + jump_of(*from), to->linked);
  EXPECT_EQ(log_.flushed.back(), (Log::Range{exec_of(link), 4}));
  log_.flushed.clear();
  backend_->unlink(link);
  EXPECT_EQ(jump_of(*from), k_unlinked);
  EXPECT_EQ(log_.flushed.back(), (Log::Range{exec_of(link), 4}));
}

TEST_F(EngineCompiler, ALinkToAnotherPageAndOneToAnInterpretedBlockAreNoJumps) {
  start();
  const auto far = make(k_pc, k_pc + 0x1000), near = make(k_pc, k_other_pc);
  const auto target = make(k_other_pc, k_pc), cold = backend_->make_cold(block_at(k_other_pc, k_pc), 0, 5);
  log_.flushed.clear();
  backend_->link(far->links[0], *target);
  backend_->unlink(far->links[0]);
  backend_->link(near->links[0], *cold);
  EXPECT_EQ(jump_of(*near), k_unlinked);
  EXPECT_TRUE(log_.flushed.empty());
}

TEST_F(EngineCompiler, AMovedBlockIsACopyWithItsOwnFieldsAndIsNotLinked) {
  start();
  const auto from = make(k_pc, k_other_pc), to = make(k_other_pc, k_pc);
  backend_->link(from->links[0], *to);
  ASSERT_TRUE(from->can_move());
  const auto moved = backend_->move(*from, k_elsewhere);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->pc, k_elsewhere);
  EXPECT_EQ(moved->links[0].pc, k_elsewhere + (k_other_pc - k_pc));
  EXPECT_EQ(log_.distances.back(), k_elsewhere - k_pc);
  EXPECT_EQ(log_.flushed.back(), (Log::Range{code(*moved), log_.block_bytes}));
  EXPECT_NE(moved->host, from->host);
  EXPECT_EQ(jump_of(*moved), k_unlinked);
  EXPECT_EQ(read_field<u64>(code(*moved) + 16), reinterpret_cast<u64>(&moved->links[0]));
  EXPECT_EQ(code(*moved)[30], k_filler);
  EXPECT_EQ(backend_->check_move(*from, block_at(k_elsewhere, k_elsewhere + (k_other_pc - k_pc))), "");
}

/// So tables can be copied, and kept, as they are.
TEST_F(EngineCompiler, HelpersAreNamedByNumber) {
  start();
  ir::Block ir = block_at(k_pc, k_other_pc);
  for (const ir::Op op : {ir::Op::Usad8, ir::Op::ReadCpsr, ir::Op::FAdd64})
    ir.insts.insert(ir.insts.end() - 1, {.op = op, .dst = ir::Value::reg(0), .a = ir::Value::reg(1), .b = ir::Value::reg(2)});
  const auto block = backend_->make(ir, 0), moved = backend_->move(*block, k_elsewhere);
  ASSERT_TRUE(block && moved);
  for (const Block* b : {block.get(), moved.get()}) {
    EXPECT_EQ(helper_by_number(b->code[1].helper_number), helper_of(ir::Op::Usad8));
    EXPECT_EQ(helper_by_number(b->code[2].helper_number), helper_of(ir::Op::ReadCpsr));
    EXPECT_EQ(helper_by_number(b->code[3].helper_number), helper_of(ir::Op::FAdd64));
  }
  EXPECT_EQ(helper_by_number(helper_number(ir::Op::ExitReturn)), exit_return);
}

TEST_F(EngineCompiler, WhatDiffersWhereABlockIsMovedIsFound) {
  start();
  const auto from = make(k_pc, k_other_pc);
  EXPECT_EQ(backend_->check_move(*from, block_at(k_elsewhere, k_elsewhere + 8)), "uop 0x1");
  from->patch_base[30] = 1;
  EXPECT_EQ(backend_->check_move(*from, block_at(k_elsewhere, k_elsewhere + (k_other_pc - k_pc))), "code at 0x1e");
}

TEST_F(EngineCompiler, WithFullMemoryBlocksAreInterpretedUntilOneIsReleased) {
  start(256 << 10);
  log_.block_bytes = 50000;
  std::vector<std::unique_ptr<Block>> blocks;
  while (true) {
    auto block = make();
    ASSERT_TRUE(block);
    if (!block->compiled) {
      EXPECT_EQ(block->host, log_.shared + k_lookup);
      EXPECT_EQ(block->indirect.load(), log_.shared + k_miss);
      break;
    }
    EXPECT_FALSE(backend_->over_limit());
    ASSERT_LT(blocks.size(), 6u);
    blocks.push_back(std::move(block));
  }
  ASSERT_FALSE(blocks.empty());
  EXPECT_TRUE(backend_->over_limit());
  EXPECT_EQ(backend_->move(*blocks[0], k_elsewhere), nullptr);
  backend_->release(*blocks[0]);
  EXPECT_FALSE(backend_->over_limit());
  log_.block_bytes = 30000;
  EXPECT_TRUE(make()->compiled);
}

TEST_F(EngineCompiler, ARetiredBlockLeadsToTheDispatcher) {
  start();
  const auto block = make();
  backend_->retire(*block);
  EXPECT_EQ(block->indirect.load(), log_.shared + k_miss);
}

TEST_F(EngineCompiler, CompiledBlocksRunFromTheirStart) {
  start();
  const auto block = make();
  EXPECT_EQ(backend_->execute(nullptr, block.get()), Leave::Wfi);
  EXPECT_EQ(log_.run, std::vector<const void*>{block->host});
}

TEST_F(EngineCompiler, WindowsAreAskedForOnlyWithATlbAndWatchedOnlyWhereThereAreAny) {
  options_.inline_tlb = false;
  start();
  EXPECT_EQ(std::count(log_.calls.begin(), log_.calls.end(), "windows"), 0);
  options_.inline_tlb = true;
  start();
  EXPECT_EQ(std::count(log_.calls.begin(), log_.calls.end(), "windows"), 1);
  EXPECT_EQ(backend_->windows(), Backend::Windows::Off);
  log_.can_window = true;
  start();
  EXPECT_EQ(backend_->windows(), Backend::Windows::On);
  const auto without = make();
  EXPECT_TRUE(log_.windows.empty());
  const auto with = make(k_pc, k_other_pc, k_key_window);
  EXPECT_FALSE(with->can_move());
  backend_->release(*without);
  backend_->release(*with);
  const Log::Range range{code(*with), log_.block_bytes};
  EXPECT_EQ(log_.windows, (std::vector<Log::Range>{range, range}));
  EXPECT_EQ(log_.window_tables, (std::vector<const u8*>{code(*with) + 20, nullptr}));
}

}  // namespace
}  // namespace armvisor::engine::jit
