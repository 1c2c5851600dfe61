// A vCPU's view of memory without anything that runs code: walks, what is kept of them, accesses and what they tell.
#include "engine/guest_access.h"
#include "engine/guest_memory.h"
#include "engine/shared.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

using arm::Access;
using Kind = Request::Kind;

constexpr u32 k_table = k_ram + 0x4000, k_page_table = k_ram + 0x8000, k_data = k_ram + 0x10000;
constexpr u32 k_pages = 0x00100000;                                ///< the MiB that is translated by pages
constexpr u32 k_section_normal = 0xc0e, k_section_device = 0xc06;  // short descriptors, full access (B3.5.1)
constexpr u32 k_page_normal = 0x3e;
constexpr u8 k_word = 4;

/// One device, that answers everything.
class DevicePort final : public MachinePort {
 public:
  bool mmio_read(GuestPa, u32, u64& value) override {
    outside = inbox->mailbox().has_served(~u64{0});
    value = 0x1234;
    return answers;
  }
  bool mmio_write(GuestPa, u32, u64) override { return answers; }
  const u8* rom_page(GuestPa pa) override { return pa.value == k_rom ? rom : nullptr; }
  bool hypercall(arm::CpuState&, u32, bool, u32) override { return false; }
  u64 counter() override { return 0; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {}
  Inbox* inbox = nullptr;
  bool outside = false, answers = true;
  u8 rom[k_page_size] = {};
};

class GuestMemoryTest : public testing::Test, public Inbox::Owner {
 protected:
  explicit GuestMemoryTest(MmuPolicy policy = MmuPolicy::Asid)
      : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))),
        shared({.ram = &ram, .port = &port, .translator = {}, .mmu = policy}, make_interpreter_backend()),
        inbox(*this, context->dispatch, shared.holders, true),
        outbox(0, shared.inboxes, context->policy),
        memory(*context, shared, 0, inbox, outbox, clock, nullptr) {
    shared.inboxes.push_back(&inbox);
    put(k_table + 4 * (k_ram >> 20), k_ram | k_section_normal);
    put(k_table + 4 * (k_device >> 20), (k_device & 0xfff00000) | k_section_device);
    put(k_table + 4 * (k_pages >> 20), k_page_table | 1);
    put(k_page_table, k_data | k_page_normal);
    arm::CpuState& s = context->guest;
    s = arm::reset_state(0, 1);
    s.cp15.ttbr0 = k_table;
    s.cp15.dacr = 1;
    s.cp15.sctlr |= 1;  // M
    memory.shadow().select(s);
    block.make_tables(1, 0, 1);
    block.marks[0] = {.first_uop = 0, .offset = 8, .bytes = 4, .it = 0};
    block.pc = k_ram;
    context->dispatch.block = &block;
    context->dispatch.at = block.code;
    inbox.enter();
    inbox.serve();
    context->dispatch.attention = 0;
  }

  // --- Inbox::Owner
  void apply(const Request& r) override { memory.apply(r); }
  void settle() override {}
  void forget_blocks() override {}
  bool needs(const Request& r) const override { return memory.needs(r); }

  void put(u32 pa, u32 word) { guest_store(reinterpret_cast<u64>(ram.host(GuestPa(pa))), word); }
  u32 get(u32 pa) { return guest_load<u32>(reinterpret_cast<u64>(ram.host(GuestPa(pa)))); }
  u64 counted(measure::Counter c) const { return context->counters.get(c); }
  const mmu::TlbEntry& entry(u32 va) {
    return memory.tlb().current().data[1][(va >> k_page_bits) % mmu::k_tlb_entries];
  }

  GuestRam ram;
  DevicePort port;
  Shared shared;
  std::unique_ptr<Context> context = std::make_unique<Context>();
  Inbox inbox;
  Outbox outbox;
  measure::VcpuClock clock;
  GuestMemory memory;
  Block block;
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
  port.inbox = &inbox;
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
