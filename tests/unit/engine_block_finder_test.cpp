// Who finds blocks (engine/block_finder.h), without a vCPU: its tables are a map of pages.
#include <functional>

#include "engine/block_finder.h"
#include "engine/shared.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

using measure::Counter;

constexpr u32 k_va = 0x8000, k_frame = k_ram + 0x8000;
constexpr u32 k_mov_r0_1 = 0xe3a00001, k_return = 0xe12fff1e;

class Finding : public testing::Test, protected BlockFinder::Owner, protected Inbox::Owner, protected Claimer {
 protected:
  Finding()
      : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))),
        shared({.vcpus = 1, .ram = &ram, .port = &port, .translator = {}}, make_interpreter_backend()),
        context(std::make_unique<Context>()),
        inbox(*this, context->dispatch, shared.holders, true),
        finder(new BlockFinder(*this, *context, inbox, shared, *this)),
        exec(mmu::k_exec_entries, mmu::k_exec_none) {
    context->guest = arm::reset_state(0, 1);
    View& now = context->dispatch.now;
    now.exec = exec.data();
    now.tag = u64{1} << 32;
    const u32 key = frontend::Context::of(context->guest).key();
    now.key[0] = base_key(key);
    now.key[1] = base_key(key) | 1;
    now.fp = key & frontend::Context::k_fp_key;
    map(k_va, k_frame);
    words(k_frame, {k_mov_r0_1, k_return});
    context->guest.r[15] = k_va;
  }

  // --- BlockFinder::Owner
  bool fetch_page(u32 va, CodePage& page) override {
    ++fetches;
    if (on_fetch) on_fetch();
    const auto found = pages.find(va >> k_page_bits);
    if (found == pages.end()) return false;
    page = {found->second, ram.host(found->second)};
    exec[(va >> k_page_bits) % mmu::k_exec_entries] = mmu::exec_id(va, page.frame);
    return true;
  }
  void window_block_made() override { FAIL(); }
  // --- Inbox::Owner
  void apply(const Request&) override { flush(); }
  void settle() override {}
  void forget_blocks() override { finder->forget(); }
  bool needs(const Request&) const override { return false; }
  // --- Claimer
  void claim(GuestPa, u8) override { FAIL(); }

  void map(u32 va, u32 frame) { pages[va >> k_page_bits] = GuestPa(frame); }
  void words(u32 pa, std::initializer_list<u32> code) {
    for (const u32 word : code) {
      std::memcpy(ram.host(GuestPa(pa)), &word, sizeof word);
      pa += 4;
    }
  }
  /// Maintenance has renewed the numbers that code is known by.
  void flush() { context->dispatch.now.tag += u64{1} << 32; }
  u64 lookups() { return context->counters.get(Counter::CodeLookup); }

  GuestRam ram;
  Port port;
  Shared shared;
  std::unique_ptr<Context> context;
  Inbox inbox;
  std::unique_ptr<BlockFinder> finder;
  std::vector<u64> exec;
  std::map<u32, GuestPa> pages;
  u32 fetches = 0;
  std::function<void()> on_fetch;
};

TEST_F(Finding, WhatWasFoundIsAtHand) {
  Block* const block = finder->find();
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->pc, k_va);
  EXPECT_EQ(block->pa, GuestPa(k_frame));
  EXPECT_EQ(context->counters.get(Counter::CodeTranslation), 1u);
  EXPECT_EQ(fetches, 1u);
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 1u);
  EXPECT_EQ(lookups(), 1u);
}

TEST_F(Finding, AfterAFlushTheTablesAreAskedAndTheBlockIsKnown) {
  Block* const block = finder->find();
  flush();
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 2u);
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 2u);
  EXPECT_EQ(context->counters.get(Counter::CodeTranslation), 1u);
}

TEST_F(Finding, AnotherFrameIsAnotherBlock) {
  Block* const block = finder->find();
  flush();
  map(k_va, k_frame + k_page_size);
  words(k_frame + k_page_size, {k_return});
  Block* const other = finder->find();
  EXPECT_NE(other, block);
  EXPECT_EQ(other->insn_count, 1u);
  flush();
  map(k_va, k_frame);
  EXPECT_EQ(finder->find(), block);
}

TEST_F(Finding, WhatDiedIsMadeAgain) {
  Block* const block = finder->find();
  words(k_frame, {k_return});
  EXPECT_TRUE(shared.code.invalidate(GuestPa(k_frame), 4));
  Block* const again = finder->find();
  EXPECT_NE(again, block);
  EXPECT_EQ(again->insn_count, 1u);
}

TEST_F(Finding, NothingIsRememberedWhenItForgets) {
  Block* const block = finder->find();
  finder->forget();
  for (const JumpEntry& entry : context->jump) ASSERT_EQ(entry.block, nullptr);
  EXPECT_EQ(finder->find(), block);  // the code cache has it
  EXPECT_EQ(fetches, 2u);
}

TEST_F(Finding, APrefetchAbortEndsTheSearch) {
  pages.clear();
  context->guest.psr |= arm::k_psr_t;
  context->guest.it = 0x88;
  EXPECT_EQ(finder->find(), nullptr);
  EXPECT_EQ(context->guest.it, 0x88);
  EXPECT_EQ(lookups(), 0u);
}

/// The block has ITSTATE from then on. By its address alone it would be found in other states, too.
TEST_F(Finding, InsideAnItBlockTheStateIsInTheBlock) {
  words(k_frame, {0xbf00bf00, 0xbf00bf00});
  context->guest.psr |= arm::k_psr_t;
  Block* const plain = finder->find();
  for (u32 k = 1; k < 3; ++k) {
    context->guest.it = 0x88;
    Block* const inside = finder->find();
    EXPECT_NE(inside, plain);
    EXPECT_EQ(context->guest.it, 0);
    EXPECT_EQ(frontend::Context::it_of(inside->key), 0x88);
    EXPECT_EQ(fetches, 1 + k);
  }
  EXPECT_EQ(finder->find(), plain);
}

/// Generated code asks the execute-side table for the page of such a link, so the page must get there.
TEST_F(Finding, ALinkToAnotherPageGoesByTheTables) {
  Block* const block = finder->find();
  Link link;
  context->dispatch.link = &link;
  link.same_page = false;
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 2u);
  link.same_page = true;
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 2u);
}

TEST_F(Finding, TheSecondPageOfAnInstructionIsLookedAtEachTime) {
  constexpr u32 k_end = k_page_size - 2;
  const u16 first = 0xf3af, second = 0x8000;  // NOP.W
  std::memcpy(ram.host(GuestPa(k_frame + k_end)), &first, sizeof first);
  const u32 elsewhere = k_frame + 4 * k_page_size, moved = k_frame + 5 * k_page_size;
  for (const u32 frame : {elsewhere, moved}) std::memcpy(ram.host(GuestPa(frame)), &second, sizeof second);
  map(k_va + k_page_size, elsewhere);
  context->guest.psr |= arm::k_psr_t;
  context->guest.r[15] = k_va + k_end;
  Block* const block = finder->find();
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->second_page, GuestPa(elsewhere));
  EXPECT_EQ(finder->find(), block);
  EXPECT_EQ(fetches, 4u);
  map(k_va + k_page_size, moved);
  Block* const other = finder->find();
  EXPECT_NE(other, block);
  EXPECT_EQ(other->second_page, GuestPa(moved));
  pages.erase((k_va + k_page_size) >> k_page_bits);
  EXPECT_EQ(finder->find(), nullptr);
}

/// What was asked of the vCPU while it looked may be about the tables that it looked at. But it does not look in vain
/// for ever.
TEST_F(Finding, WhatWasAskedMeanwhileIsServedFirst) {
  on_fetch = [this] { inbox.post({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()}); };
  u32 vain = 0;
  Block* block = nullptr;
  while (!(block = finder->find()) && vain < 100) ++vain;
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(vain, 8u);
  EXPECT_EQ(inbox.mailbox().served(), 8u);
  on_fetch = {};
  flush();
  EXPECT_EQ(finder->find(), nullptr);  // what came last is served when it leaves guest code
  EXPECT_EQ(finder->find(), block);
}

}  // namespace
}  // namespace armvisor::engine::test
