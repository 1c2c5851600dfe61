// The transport's registers, and what a broken or hostile driver can do to a queue.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"
#include "unit/fake_chardev.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Buffer;
using testing::Driver;

constexpr u64 k_all = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;

std::unique_ptr<Device> rng() { return std::make_unique<Rng>(); }

TEST(VirtioMmio, IdentifiesItself) {
  Driver d(rng());
  EXPECT_EQ(d.read(Driver::Magic), 0x74726976u);
  EXPECT_EQ(d.read(Driver::Version), 2u);
  EXPECT_EQ(d.read(Driver::DeviceID), 4u);
  EXPECT_EQ(d.offered(), k_all);
  EXPECT_EQ(d.read(Driver::Magic, 2), 0u) << "registers are 32 bits wide";
  EXPECT_EQ(d.read(Driver::QueueNumMax), 64u);
  d.write(Driver::QueueSel, 1);
  EXPECT_EQ(d.read(Driver::QueueNumMax), 0u);
}

TEST(VirtioMmio, FeatureBeyondTheOfferedIsRefused) {
  Driver d(rng());
  EXPECT_FALSE(d.negotiate(k_feature_version_1 | 1));
  EXPECT_FALSE(d.negotiate(k_feature_indirect_desc)) << "VERSION_1 must be accepted";
  EXPECT_TRUE(d.negotiate(k_feature_version_1));
  d.write(Driver::DriverFeaturesSel, 0);
  d.write(Driver::DriverFeatures, ~0u);
  EXPECT_TRUE(d.read(Driver::Status) & 8) << "features are fixed after FEATURES_OK";
}

TEST(VirtioMmio, StatusBitsAreOnlySetAndResetClears) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1));
  EXPECT_EQ(d.read(Driver::Status), 15u);
  d.write(Driver::Status, 1);
  EXPECT_EQ(d.read(Driver::Status), 15u);
  EXPECT_EQ(d.read(Driver::QueueReady), 1u);
  d.write(Driver::Status, 0);
  EXPECT_EQ(d.read(Driver::Status), 0u);
  EXPECT_EQ(d.read(Driver::QueueReady), 0u);
  EXPECT_FALSE(d.irq.level());
}

TEST(VirtioMmio, DriverOkWithoutFeaturesOkNeedsReset) {
  Driver d(rng());
  d.write(Driver::Status, 7);
  EXPECT_EQ(d.read(Driver::Status) & Driver::k_needs_reset, Driver::k_needs_reset);
}

TEST(VirtioMmio, NotificationsBeforeDriverOkAndOfNoQueueAreIgnored) {
  Driver d(rng());
  ASSERT_TRUE(d.negotiate(k_all));
  d.setup_queue(0);
  d.add(0, {{d.allocate(64), 64, true}});
  d.kick(0);
  EXPECT_FALSE(d.poll_used(0));
  d.driver_ok();
  d.kick(7);
  EXPECT_TRUE(d.wait_used(0)) << "buffers that waited are used at DRIVER_OK";
}

TEST(VirtioMmio, InterruptFollowsStatusAndAck) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_feature_version_1, 1));
  d.add(0, {{d.allocate(64), 64, true}});
  d.kick(0);
  EXPECT_TRUE(d.irq.level());
  EXPECT_EQ(d.read(Driver::InterruptStatus), 1u);
  d.write(Driver::InterruptACK, 2);
  EXPECT_TRUE(d.irq.level());
  d.write(Driver::InterruptACK, 1);
  EXPECT_FALSE(d.irq.level());
}

TEST(VirtioMmio, LegacyDriverWorks) {
  Driver d(rng(), MmioVersion::Legacy);
  EXPECT_EQ(d.read(Driver::Version), 1u);
  EXPECT_FALSE(d.offered() & k_feature_version_1);
  ASSERT_TRUE(d.bring_up(k_feature_indirect_desc | k_feature_event_idx, 1));
  EXPECT_EQ(d.read(Driver::QueuePFN), d.rings[0].desc.value / 4096);
  const GuestPa pa = d.allocate(64);
  d.add(0, {{pa, 64, true}}, true);
  d.kick(0);
  const auto used = d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 64u);
}

TEST(VirtioMmio, LegacyDriverMayNotifyBeforeDriverOk) {
  Driver d(rng(), MmioVersion::Legacy);
  ASSERT_TRUE(d.negotiate(0));
  d.setup_queue(0);
  d.add(0, {{d.allocate(64), 64, true}});
  d.kick(0);
  EXPECT_TRUE(d.wait_used(0));
}

TEST(VirtioMmio, LegacyHostileAlignmentIsAFault) {
  Driver d(rng(), MmioVersion::Legacy);
  for (const u32 align : {0u, 1u, 3u, 0x80000000u}) {
    ASSERT_TRUE(d.negotiate(0));
    d.place_queue(0, 3 + 1);
    d.write(Driver::QueueSel, 0);
    d.write(Driver::QueueNum, 4);
    d.write(Driver::QueueAlign, align);
    d.write(Driver::QueuePFN, static_cast<u32>(d.rings[0].desc.value / 4096));
    const bool refused = (d.read(Driver::Status) & Driver::k_needs_reset) != 0;
    EXPECT_TRUE(refused || align == 1) << align;
  }
}

TEST(VirtioMmio, ConfigChangeRaisesGenerationAndInterrupt) {
  FakeChardev line;
  Driver d(std::make_unique<Console>(&line));
  ASSERT_TRUE(d.bring_up(k_all, 2));
  const u32 before = d.read(Driver::ConfigGeneration);
  line.terminal_size = {132, 43};
  line.look_at_size();
  EXPECT_NE(d.read(Driver::ConfigGeneration), before);
  EXPECT_EQ(d.read(Driver::InterruptStatus), 2u);
  EXPECT_EQ(d.read(Driver::Config, 2), 132u);
  EXPECT_EQ(d.read(Driver::Config + 2, 2), 43u);
  EXPECT_EQ(d.read(Driver::Config + 0xf8, 4), 0u) << "beyond the structure";
}

TEST(VirtioQueue, IndexWrapsManyTimes) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1, 4));
  const GuestPa pa = d.allocate(16);
  for (int i = 0; i < 70000; ++i) {
    const u16 head = d.add(0, {{pa, 16, true}});
    d.kick(0);
    const auto used = d.poll_used(0);
    ASSERT_TRUE(used) << i;
    ASSERT_EQ(used->id, head);
  }
}

TEST(VirtioQueue, EventIndexHoldsInterruptsBack) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1, 16));
  auto& r = d.rings[0];
  d.store16(r.avail + (4 + 2 * 16), 2);  // interrupt me after the third
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(d.irq.level()) << i;
    d.add(0, {{d.allocate(16), 16, true}});
    d.kick(0);
  }
  EXPECT_TRUE(d.irq.level());
  EXPECT_EQ(d.load16(r.used + (4 + 8 * 16)), 3) << "the device asks for a notification at the next buffer";
}

TEST(VirtioQueue, NoInterruptFlagIsHonoured) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_feature_version_1, 1));
  d.store16(d.rings[0].avail, 1);
  d.add(0, {{d.allocate(16), 16, true}});
  d.kick(0);
  EXPECT_TRUE(d.poll_used(0));
  EXPECT_FALSE(d.irq.level());
}

TEST(VirtioQueue, IndirectTableAfterOrdinaryDescriptors) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1));
  auto& r = d.rings[0];
  const GuestPa a = d.allocate(32), b = d.allocate(32), table = d.allocate(16);
  d.write_descriptor(table, 0, b.value, 32, 2, 0);
  d.write_descriptor(r.desc, 0, a.value, 32, 2 | 1, 5);
  d.write_descriptor(r.desc, 5, table.value, 16, 4 | 2, 0);  // WRITE is ignored on an indirect descriptor
  d.offer(0, 0);
  d.kick(0);
  const auto used = d.poll_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 64u);
}

TEST(VirtioQueue, DeviceWritesAreTold) {
  struct Watch final : WriteWatch {
    void watched_written(GuestPa pa, u32) override { pages.insert(pa.value >> 12); }
    std::set<u64> pages;
  } watch;
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1));
  const GuestPa pa = d.allocate(8192);
  for (const GuestPa p : {pa, pa + 4096, d.rings[0].used}) d.ram.marks(p) = k_frame_code;
  d.ram.set_write_watch(&watch);
  d.add(0, {{pa + 4000, 200, true}});
  d.kick(0);
  ASSERT_TRUE(d.poll_used(0));
  for (const GuestPa p : {pa, pa + 4096, d.rings[0].used}) EXPECT_TRUE(watch.pages.contains(p.value >> 12));
  d.ram.set_write_watch(nullptr);
}

// A hostile ring: how it is made, and the fault that it must give.
struct Hostile {
  const char* name;
  QueueFault fault;
  void (*attack)(Driver&);
  u64 features = k_all;
};

void offer_at(Driver& d, u16 head) { d.offer(0, head); }

const Hostile k_hostile[] = {
    {"SizeZero", QueueFault::SizeNotPowerOfTwo, [](Driver& d) { d.rings[0].size = 0; }},
    {"SizeOdd", QueueFault::SizeNotPowerOfTwo, [](Driver& d) { d.rings[0].size = 12; }},
    {"SizeTooLarge", QueueFault::SizeTooLarge, [](Driver& d) { d.rings[0].size = 128; }},
    {"DescriptorsMisaligned", QueueFault::RingMisaligned, [](Driver& d) { d.rings[0].desc.value += 8; }},
    {"AvailableMisaligned", QueueFault::RingMisaligned, [](Driver& d) { d.rings[0].avail.value += 1; }},
    {"UsedMisaligned", QueueFault::RingMisaligned, [](Driver& d) { d.rings[0].used.value += 2; }},
    {"DescriptorsBelowRam", QueueFault::RingOutsideRam, [](Driver& d) { d.rings[0].desc = GuestPa(0); }},
    {"AvailableAcrossTheEnd", QueueFault::RingOutsideRam,
     [](Driver& d) { d.rings[0].avail = GuestPa(Driver::k_base + Driver::k_ram_size - 8); }},
    {"UsedAtTheTopOfTheWorld", QueueFault::RingOutsideRam,
     [](Driver& d) { d.rings[0].used = GuestPa(0xfffffffffffffff0); }},
    {"IndexRunsAway", QueueFault::AvailIndexRunsAway, [](Driver& d) { d.store16(d.rings[0].avail + 2, 17); }},
    {"IndexGoesBack", QueueFault::AvailIndexRunsAway, [](Driver& d) { d.store16(d.rings[0].avail + 2, 0xffff); }},
    {"HeadOutOfRange", QueueFault::HeadOutOfRange, [](Driver& d) { offer_at(d, 16); }},
    {"NextOutOfRange", QueueFault::NextOutOfRange,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 4, 1 | 2, 16);
       offer_at(d, 0);
     }},
    {"SelfLoop", QueueFault::ChainLoops,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 4, 1 | 2, 0);
       offer_at(d, 0);
     }},
    {"LongLoop", QueueFault::ChainLoops,
     [](Driver& d) {
       for (u32 i = 0; i < 16; ++i)
         d.write_descriptor(d.rings[0].desc, i, Driver::k_base, 4, 1 | 2, static_cast<u16>((i + 1) % 16));
       offer_at(d, 3);
     }},
    {"BufferBelowRam", QueueFault::BufferOutsideRam,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, 0x1000, 4, 2, 0);
       offer_at(d, 0);
     }},
    {"BufferAcrossTheEnd", QueueFault::BufferOutsideRam,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base + Driver::k_ram_size - 4, 8, 2, 0);
       offer_at(d, 0);
     }},
    {"BufferWraps", QueueFault::BufferOutsideRam,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, 0xffffffffffffff00, 0xffffffff, 2, 0);
       offer_at(d, 0);
     }},
    {"BufferEmpty", QueueFault::BufferEmpty,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 0, 2, 0);
       offer_at(d, 0);
     }},
    {"ReadableAfterWritable", QueueFault::ReadableAfterWritable,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 4, 1 | 2, 1);
       d.write_descriptor(d.rings[0].desc, 1, Driver::k_base, 4, 0, 0);
       offer_at(d, 0);
     }},
    {"IndirectNotNegotiated", QueueFault::IndirectNotNegotiated,
     [](Driver& d) {
       d.add(0, {{GuestPa(Driver::k_base), 4, true}}, true);
     },
     k_feature_version_1},
    {"IndirectNested", QueueFault::IndirectNested,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, d.rings[0].desc.value, 16, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectWithNext", QueueFault::IndirectWithNext,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 16, 4 | 1, 1);
       offer_at(d, 0);
     }},
    {"IndirectLengthZero", QueueFault::IndirectBadLength,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 0, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectLengthOdd", QueueFault::IndirectBadLength,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base, 24, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectOutsideRam", QueueFault::IndirectOutsideRam,
     [](Driver& d) {
       d.write_descriptor(d.rings[0].desc, 0, Driver::k_base + Driver::k_ram_size - 16, 32, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectNextOutOfRange", QueueFault::NextOutOfRange,
     [](Driver& d) {
       const GuestPa table = d.allocate(32);
       d.write_descriptor(table, 0, Driver::k_base, 4, 1 | 2, 2);
       d.write_descriptor(d.rings[0].desc, 0, table.value, 32, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectLoop", QueueFault::ChainLoops,
     [](Driver& d) {
       const GuestPa table = d.allocate(32);
       d.write_descriptor(table, 0, Driver::k_base, 4, 1 | 2, 1);
       d.write_descriptor(table, 1, Driver::k_base, 4, 1 | 2, 0);
       d.write_descriptor(d.rings[0].desc, 0, table.value, 32, 4, 0);
       offer_at(d, 0);
     }},
    {"IndirectHuge", QueueFault::ChainTooLong,
     [](Driver& d) {
       const GuestPa table = d.allocate(65536 * 16);
       for (u32 i = 0; i < 65536; ++i) d.write_descriptor(table, i, Driver::k_base, 4, 1 | 2, static_cast<u16>(i + 1));
       d.write_descriptor(d.rings[0].desc, 0, table.value, 65536 * 16, 4, 0);
       offer_at(d, 0);
     }},
    {"MoreThanFourGigabytes", QueueFault::ChainTooLarge,
     [](Driver& d) {
       std::vector<Buffer> all(200, {GuestPa(Driver::k_base), static_cast<u32>(Driver::k_ram_size), true});
       d.add(0, all, true);
     }},
    {"NoWritableBuffer", QueueFault::MalformedRequest,
     [](Driver& d) {
       d.add(0, {{GuestPa(Driver::k_base), 4, false}});
     }},
};

class HostileRing : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileRing, MakesTheDeviceNeedAReset) {
  const Hostile& h = GetParam();
  Driver d(rng());
  ASSERT_TRUE(d.negotiate(h.features));
  d.place_queue(0, 16);
  h.attack(d);
  d.announce_queue(0);
  d.driver_ok();
  d.kick(0);
  EXPECT_TRUE(d.read(Driver::Status) & Driver::k_needs_reset);
  EXPECT_FALSE(d.read(Driver::QueueReady) && h.fault <= QueueFault::RingOutsideRam);
  EXPECT_EQ(d.transport.queue_fault(0), h.fault) << text(d.transport.queue_fault(0));
  // After a reset the device is as good as new.
  ASSERT_TRUE(d.bring_up(k_all, 1));
  EXPECT_FALSE(d.read(Driver::Status) & Driver::k_needs_reset);
  d.add(0, {{d.allocate(64), 64, true}});
  d.kick(0);
  EXPECT_TRUE(d.poll_used(0));
}

INSTANTIATE_TEST_SUITE_P(All, HostileRing, ::testing::ValuesIn(k_hostile),
                         [](const auto& i) { return std::string(i.param.name); });

TEST(VirtioQueue, FaultAfterDriverOkInterrupts) {
  Driver d(rng());
  ASSERT_TRUE(d.bring_up(k_all, 1));
  d.offer(0, 99);
  d.kick(0);
  EXPECT_EQ(d.read(Driver::InterruptStatus) & 2, 2u);
}

}  // namespace
}  // namespace armvisor::devices::virtio
