// A vCPU's view of memory without anything that runs code: walks, what is kept of them, accesses and what they tell.
#include "engine/guest_memory.h"
#include "vcpu_rooms.h"

namespace armvisor::engine::test {
namespace {

using arm::Access;
using Kind = Request::Kind;

class GuestMemoryTest : public testing::Test, public VcpuWorld {
 protected:
  explicit GuestMemoryTest(MmuPolicy policy = MmuPolicy::Asid) : VcpuWorld(1, policy) {}

  u64 counted(measure::Counter c) const { return vcpus[0].counted(c); }
  const mmu::TlbEntry& entry(u32 va) { return vcpus[0].entry(va); }

  GuestMemory& memory = vcpus[0].memory;
  Inbox& inbox = vcpus[0].inbox;
  const std::unique_ptr<Context>& context = vcpus[0].context;
};

TEST_F(GuestMemoryTest, WhatAWalkFoundIsKeptUntilMaintenanceNamesIt) {
  put(k_data, 1);
  put(k_data + k_page_size, 2);
  u64 value = 0;
  ASSERT_TRUE(memory.load(k_pages, k_word, 0, value));
  EXPECT_EQ(value, 1u);
  put(k_page_table, (k_data + k_page_size) | k_page_normal);
  ASSERT_TRUE(memory.load(k_pages, k_word, 0, value));
  EXPECT_EQ(value, 1u) << "the tables were asked again";
  EXPECT_EQ(counted(measure::Counter::HiddenData), 1u);
  memory.apply({.kind = Kind::FlushVaAllAsids, .asid = Asid(), .va = k_pages, .pa = GuestPa()});
  ASSERT_TRUE(memory.load(k_pages, k_word, 0, value));
  EXPECT_EQ(value, 2u);
  EXPECT_EQ(counted(measure::Counter::HiddenData), 2u);
}

TEST_F(GuestMemoryTest, APageSaysWhatItIs) {
  GuestMemory::Page page;
  ASSERT_FALSE(memory.find_page(k_pages + 0x123, Access::Read, true, page));
  EXPECT_EQ(page.frame, GuestPa(k_data));
  EXPECT_EQ(page.host, ram.host(GuestPa(k_data)));
  EXPECT_TRUE(page.ram && page.normal && page.kept);
  ASSERT_FALSE(memory.find_page(k_device, Access::Read, true, page));
  EXPECT_EQ(page.host, nullptr);
  EXPECT_FALSE(page.ram || page.normal || page.kept);
  put(k_page_table, k_rom | k_page_normal);
  ASSERT_FALSE(memory.find_page(k_pages, Access::Read, true, page));
  EXPECT_EQ(page.host, port.rom);
  EXPECT_TRUE(page.kept && !page.ram);
  ASSERT_FALSE(memory.find_page(k_pages, Access::Write, true, page));
  EXPECT_EQ(page.host, nullptr) << "ROM is written as a device is";
}

TEST_F(GuestMemoryTest, WhatIsKeptForCodeIsNotKeptForData) {
  GuestMemory::Page page;
  ASSERT_FALSE(memory.find_page(k_pages, Access::Execute, true, page));
  EXPECT_TRUE(page.kept);
  EXPECT_EQ(counted(measure::Counter::HiddenExec), 1u);
  EXPECT_NE(entry(k_pages).read_tag, k_pages);
}

TEST_F(GuestMemoryTest, AFaultLeavesAllAsItWas) {
  const u32 va = k_pages + k_page_size - 2;  // the page behind is not mapped
  put(k_data + k_page_size - 4, 0x11111111);
  EXPECT_FALSE(memory.store(va, k_word, 0, 0x22222222));
  EXPECT_EQ(memory.fault().type, arm::FaultType::Translation);
  EXPECT_EQ(memory.fault().va, k_pages + k_page_size);
  EXPECT_TRUE(memory.fault().write);
  EXPECT_EQ(get(k_data + k_page_size - 4), 0x11111111u) << "half of it was stored";
  EXPECT_EQ(counted(measure::Counter::TrueData), 1u);
  put(k_page_table + 4, (k_data + 0x5000) | k_page_normal);
  EXPECT_TRUE(memory.store(va, k_word, 0, 0x22223333));
  u64 value = 0;
  EXPECT_TRUE(memory.load(va, k_word, 0, value));
  EXPECT_EQ(value, 0x22223333u);
  EXPECT_EQ(get(k_data + 0x5000) & 0xffff, 0x2222u);
}

TEST_F(GuestMemoryTest, ADeviceIsAskedOutsideGuestCodeAndSeesTheInstruction) {
  u64 value = 0;
  ASSERT_TRUE(memory.load(k_device, k_word, 0, value));
  EXPECT_EQ(value, 0x1234u);
  EXPECT_TRUE(port.outside);
  EXPECT_EQ(context->guest.r[15], k_ram + 8);
  EXPECT_FALSE(inbox.mailbox().has_served(1)) << "it is in guest code again";
  port.answers = false;
  EXPECT_FALSE(memory.load(k_device, k_word, 0, value));
  EXPECT_EQ(memory.fault().type, arm::FaultType::SyncExternal);
}

TEST_F(GuestMemoryTest, WhoLetsGoOfAFrameWritesItSeenFromThenOn) {
  ASSERT_TRUE(memory.store(k_pages, k_word, 0, 1));
  EXPECT_EQ(entry(k_pages).write_tag, k_pages);
  memory.drop_writes(GuestPa(k_data));
  EXPECT_NE(entry(k_pages).write_tag, k_pages);
  EXPECT_EQ(entry(k_pages).read_tag, k_pages);
}

TEST_F(GuestMemoryTest, AStoreToAnExclusivesPlaceFailsThePair) {
  u64 value = 0;
  u32 result = 0;
  ASSERT_TRUE(memory.load_exclusive(k_pages, k_word, value));
  ASSERT_TRUE(memory.store_exclusive(k_pages, k_word, 7, result));
  EXPECT_EQ(result, 0u);
  EXPECT_EQ(get(k_data), 7u);
  ASSERT_TRUE(memory.load_exclusive(k_pages, k_word, value));
  put(k_data, 8);
  ASSERT_TRUE(memory.store_exclusive(k_pages, k_word, 9, result));
  EXPECT_EQ(result, 1u);
  EXPECT_EQ(get(k_data), 8u);
  EXPECT_FALSE(memory.load_exclusive(k_pages + 2, k_word, value));
  EXPECT_EQ(memory.fault().type, arm::FaultType::Alignment);
}

class FollowedTables : public GuestMemoryTest {
 protected:
  FollowedTables() : GuestMemoryTest(MmuPolicy::Rmap) {}
};

TEST_F(FollowedTables, AStoreToATableTakesWhatCameFromIt) {
  u64 value = 0;
  ASSERT_TRUE(memory.load(k_pages, k_word, 0, value));
  ASSERT_TRUE(memory.load(k_pages, k_word, 0, value));
  EXPECT_EQ(entry(k_pages).read_tag, k_pages);
  ASSERT_TRUE(memory.store(k_page_table, k_word, 0, 0));
  EXPECT_NE(entry(k_pages).read_tag, k_pages);
  EXPECT_FALSE(memory.load(k_pages, k_word, 0, value));
  EXPECT_EQ(memory.fault().type, arm::FaultType::Translation);
}

}  // namespace
}  // namespace armvisor::engine::test
