// What system registers and barriers do beyond the state, on two vCPUs that run nothing.
#include "engine/system_effects.h"
#include "vcpu_rooms.h"

namespace armvisor::engine::test {
namespace {

class SystemEffectsTest : public testing::Test, public VcpuWorld {
 protected:
  SystemEffectsTest() : VcpuWorld(2) {
    for (VcpuRooms& vcpu : vcpus) {
      EXPECT_TRUE(vcpu.load(k_pages));
      EXPECT_EQ(vcpu.entry(k_pages).read_tag, k_pages);
    }
  }
  bool has_page(VcpuRooms& vcpu) { return vcpu.entry(k_pages).read_tag == k_pages; }

  VcpuRooms &a = vcpus[0], &b = vcpus[1];
};

TEST_F(SystemEffectsTest, MaintenanceOfThisVcpuIsDoneAtOnceAndAsksNobody) {
  a.system.tlb_flush_va_all_asids(k_pages + k_page_size, false);
  EXPECT_TRUE(has_page(a)) << "another page was named";
  a.system.tlb_flush_va_all_asids(k_pages, false);
  EXPECT_FALSE(has_page(a));
  EXPECT_TRUE(has_page(b));
  EXPECT_FALSE(a.context->policy.has_tickets);
}

TEST_F(SystemEffectsTest, MaintenanceForAllHasReachedAllWhenTheBarrierIsOver) {
  a.system.tlb_flush_va_all_asids(k_pages, true);
  EXPECT_TRUE(a.context->policy.has_tickets);
  b.inbox.leave();  // it is outside, and serves before it comes back
  a.system.fence();
  EXPECT_FALSE(a.context->policy.has_tickets);
  EXPECT_FALSE(b.inbox.mailbox().empty());
  EXPECT_NE(b.context->dispatch.attention.load(), 0u);
  b.inbox.serve();
  EXPECT_FALSE(has_page(b));
  EXPECT_EQ(b.applied, 1u);
}

TEST_F(SystemEffectsTest, PagesThatNobodyUsedAreNotAskedFor) {
  for (u32 k = 1; k < 100; ++k) a.system.tlb_flush_va_all_asids(k_pages + k * k_page_size, true);
  a.system.fence();
  EXPECT_EQ(b.inbox.mailbox().posted(), 0u);
}

TEST_F(SystemEffectsTest, ViewsHoldBehindMaintenance) {
  GuestMemory::Page page;
  ASSERT_FALSE(a.memory.find_page(k_pages, arm::Access::Execute, true, page));
  a.views.sync();
  const u64 tag = a.context->dispatch.now.tag;
  a.system.tlb_flush_va_all_asids(k_pages, false);
  EXPECT_TRUE(a.memory.views_hold());
  EXPECT_NE(a.context->dispatch.now.tag, tag);
}

TEST_F(SystemEffectsTest, MaintenanceOfCodeLetsGoOfWriteEntriesHereAndAwaitsTheOthers) {
  ASSERT_TRUE(a.memory.store(k_pages, k_word, 0, 1));
  EXPECT_EQ(a.entry(k_pages).write_tag, k_pages);
  a.inbox.post({.kind = Request::Kind::DropWrites, .asid = Asid(), .pa = GuestPa(k_data)});
  a.system.icache_invalidate_va(k_pages);
  EXPECT_NE(a.entry(k_pages).write_tag, k_pages);
  EXPECT_TRUE(a.context->policy.has_tickets);
  a.system.fence();  // nobody has anything to let go of
  EXPECT_FALSE(a.context->policy.has_tickets);
}

TEST_F(SystemEffectsTest, BarriersComeToCppOnlyNowAndThen) {
  a.system.fence();
  const s32 left = a.context->policy.barriers_left;
  EXPECT_GT(left, 0);
  a.system.fence();
  EXPECT_EQ(a.context->policy.barriers_left, left - 1);
}

TEST_F(SystemEffectsTest, WhereAWatchpointIsNothingHits) {
  arm::DebugState& debug = a.context->guest.cp15.debug;
  debug.wvr[0] = k_pages + 0x100;
  debug.wcr[0] = 0x1fd;  // enabled, all bytes of a word, loads and stores, any privilege (C11.11.45)
  a.system.debug_changed();
  EXPECT_FALSE(has_page(a));
  EXPECT_TRUE(has_page(b));
}

TEST_F(SystemEffectsTest, InterruptInputsAreSeenWhereCpsrMasksThem) {
  a.context->dispatch.lines = k_line_irq;
  EXPECT_EQ(a.system.interrupt_lines(), arm::k_psr_i);
  a.context->dispatch.lines = k_line_irq | k_line_fiq;
  EXPECT_EQ(a.system.interrupt_lines(), arm::k_psr_i | arm::k_psr_f);
}

TEST_F(SystemEffectsTest, AnEventIsForThisVcpuToo) {
  a.system.send_event();
  EXPECT_EQ(a.context->dispatch.event.load(), 1);
}

}  // namespace
}  // namespace armvisor::engine::test
