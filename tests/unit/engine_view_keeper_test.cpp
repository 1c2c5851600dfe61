// The views that blocks and inline TLB hits go by, made from the state.
#include "engine/view_keeper.h"
#include "vcpu_rooms.h"

namespace armvisor::engine::test {
namespace {

class ViewKeeperTest : public testing::Test, public VcpuWorld {
 protected:
  ViewKeeperTest() : VcpuWorld(1) {
    for (const u32 dacr : {3, 5, 1}) sync_with_dacr(dacr);  // (Views do not outlast the making of a space.)
  }
  void sync_with_dacr(u32 dacr) {
    state.cp15.dacr = dacr;
    views.sync();
  }

  arm::CpuState& state = vcpus[0].context->guest;
  Dispatch& dispatch = vcpus[0].context->dispatch;
  GuestMemory& memory = vcpus[0].memory;
  ViewKeeper& views = vcpus[0].views;
};

TEST_F(ViewKeeperTest, WhatIsInForceIsTheViewOfThePrivilege) {
  EXPECT_EQ(dispatch.now.tlb, memory.tlb().current().data[1]);
  EXPECT_EQ(dispatch.now.tag, dispatch.views->view[1].tag);
  arm::write_cpsr_by_instr(state, arm::k_mode_usr, 15, true);
  views.sync();
  EXPECT_EQ(dispatch.now.tlb, memory.tlb().current().data[0]);
  EXPECT_NE(dispatch.views->view[0].key[0], dispatch.views->view[1].key[0]);
}

TEST_F(ViewKeeperTest, DomainsThatChangeToAndFroChooseBetweenTwo) {
  const Views* const first = dispatch.views;
  const u64 tag = dispatch.now.tag;
  sync_with_dacr(3);
  const Views* const second = dispatch.views;
  EXPECT_NE(first, second);
  EXPECT_EQ(second->other, first);
  EXPECT_EQ(first->dacr, 1u) << "it was not kept";
  sync_with_dacr(1);
  EXPECT_EQ(dispatch.views, first);
  EXPECT_EQ(dispatch.now.tag, tag);
  sync_with_dacr(3);
  EXPECT_EQ(dispatch.views, second);
}

TEST_F(ViewKeeperTest, AThirdValueTakesThePlaceOfTheOneThatIsNotInForce) {
  sync_with_dacr(3);
  const Views* const second = dispatch.views;
  sync_with_dacr(5);
  EXPECT_NE(dispatch.views, second);
  EXPECT_EQ(second->dacr, 3u);
  EXPECT_EQ(dispatch.views->dacr, 5u);
}

TEST_F(ViewKeeperTest, ViewsOfBeforeDoNotHoldWhenCodeIsTranslatedAnew) {
  GuestMemory::Page page;
  ASSERT_FALSE(memory.find_page(k_pages, arm::Access::Execute, true, page));
  views.sync();
  const u64 tag = dispatch.now.tag;
  views.sync();
  EXPECT_EQ(dispatch.now.tag, tag);
  memory.apply({.kind = Request::Kind::FlushVaAllAsids, .asid = Asid(), .va = k_pages, .pa = GuestPa()});
  EXPECT_FALSE(memory.views_hold());
  views.sync();
  EXPECT_TRUE(memory.views_hold());
  EXPECT_NE(dispatch.now.tag, tag) << "jumps of before would be found";
}

TEST_F(ViewKeeperTest, AnotherTlbStandsForThatOfTheViewUntilItIsTakenBack) {
  mmu::TlbEntry entries[mmu::k_tlb_entries] = {};
  views.replace_tlb(entries);
  EXPECT_EQ(dispatch.now.tlb, entries);
  views.sync();
  EXPECT_EQ(dispatch.now.tlb, entries);
  views.replace_tlb(nullptr);
  views.sync();
  EXPECT_EQ(dispatch.now.tlb, memory.tlb().current().data[1]);
}

}  // namespace
}  // namespace armvisor::engine::test
