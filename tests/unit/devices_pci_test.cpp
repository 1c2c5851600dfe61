// PCI: configuration, regions that move, interrupt lines and messages, and what virtio devices look like on it.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>

#include "devices/gic_v2m.h"
#include "devices/i6300esb.h"
#include "devices/pci/host_bridge.h"
#include "devices/virtio/rng.h"
#include "unit/device_fakes.h"
#include "virtio_driver.h"

namespace armvisor::devices {
namespace {

using pci::BarKind;
using pci::HostBridge;

struct Nothing final : MmioDevice {
  std::string_view name() const override { return "nothing"; }
  u64 mmio_read(u64, u32) override { return 0; }
  void mmio_write(u64, u32, u64) override {}
};

struct TwoBars final : pci::Function {
  explicit TwoBars(IrqLine& intx) : Function({0x1234, 0x5678, 0x00ff00}, intx) {
    add_bar({0, BarKind::Io, 0x20, &registers});
    add_bar({2, BarKind::Memory, 0x1000, &registers});
    add_bar({4, BarKind::Memory64, 0x4000, &registers});
  }
  using Function::set_intx;
  Nothing registers;
};

/// A bridge with functions in slots 1 to 3, whose regions are where they say.
struct World {
  struct Placed final : MovableRegion {
    Placed(World& w, u64 s) : world(w), size(s) {}
    bool place(GuestPa base) override {
      for (const auto& other : world.regions)
        if (other->at && *other->at < base.value + size && base.value < *other->at + other->size) return false;
      at = base.value;
      ++world.moves;
      return true;
    }
    void remove() override { at.reset(); }
    World& world;
    const u64 size;
    std::optional<u64> at;
  };

  FakeLine lines[4];
  std::vector<std::unique_ptr<Placed>> regions;
  u32 moves = 0;
  HostBridge bridge{{.memory = {GuestPa(0x1000'0000), 0x2000'0000},
                     .ports = {GuestPa(0x3eff'0000), 0x1'0000},
                     .high = {GuestPa(0x80'0000'0000), 0x80'0000'0000},
                     .lines = {&lines[0], &lines[1], &lines[2], &lines[3]},
                     .add_region = [this](u64 size, MmioDevice&) -> MovableRegion& {
                       return *regions.emplace_back(std::make_unique<Placed>(*this, size));
                     }}};
  std::vector<std::unique_ptr<TwoBars>> functions;

  World() {
    for (u32 slot = 1; slot <= 3; ++slot) {
      functions.push_back(std::make_unique<TwoBars>(bridge.intx(slot, 0)));
      bridge.plug(slot, 0, *functions.back());
    }
  }
  static u64 at(u32 slot, u32 offset) { return slot << 15 | offset; }
  u32 read(u32 slot, u32 offset, u32 size = 4) { return static_cast<u32>(bridge.mmio_read(at(slot, offset), size)); }
  void write(u32 slot, u32 offset, u32 value, u32 size = 4) { bridge.mmio_write(at(slot, offset), size, value); }
  std::optional<u64> place(u32 slot, u32 bar) { return regions[(slot - 1) * 3 + bar / 2]->at; }
};

struct WatchdogGuest {
  FakeLine line;
  FakeClock clock;
  FakeTimers timers;
  u32 over = 0;
  I6300esb device{line, clock, timers, [this] { ++over; }};
  MmioDevice& registers = *device.bars()[0].device;

  void unlock() {
    registers.mmio_write(12, 1, 0x80);
    registers.mmio_write(12, 1, 0x86);
  }
  void preload(u32 first, u32 second) {
    unlock();
    registers.mmio_write(0, 4, first);
    unlock();
    registers.mmio_write(4, 4, second);
  }
  void reload() {
    unlock();
    registers.mmio_write(12, 2, 0x100);
  }
  void wait_us(u64 us) {
    clock.ns += us * 1000;
    for (int stage = 0; stage < 2; ++stage) timers.run_until(clock.ns);
  }
};

TEST(Watchdog, EndsAfterBothStagesUnlessItIsReloaded) {
  WatchdogGuest g;
  g.device.config_write(0x60, 2, 4);  // 1 MHz: 32 ticks of PCI's 33 MHz
  g.preload(1000, 2000);              // 970 us, 1939 us
  g.device.config_write(0x68, 1, 2);
  for (int n = 0; n < 3; ++n) {
    g.wait_us(900);
    g.reload();
  }
  g.wait_us(1000);
  g.wait_us(1900);
  EXPECT_EQ(g.over, 0u);
  g.wait_us(100);
  EXPECT_EQ(g.over, 1u);
  EXPECT_EQ(g.registers.mmio_read(12, 2), 0x1200u);
  EXPECT_EQ(g.device.config_read(0x68, 1), 0u) << "it is as after a reset";
  g.unlock();
  g.registers.mmio_write(12, 2, 0x200);
  EXPECT_EQ(g.registers.mmio_read(12, 2), 0u);
}

TEST(Watchdog, WritesNeedTheirKeysAndALockHolds) {
  WatchdogGuest g;
  g.device.config_write(0x60, 2, 4);
  g.registers.mmio_write(0, 4, 1);
  g.registers.mmio_write(12, 1, 0x86);
  g.registers.mmio_write(0, 4, 1);
  g.device.config_write(0x68, 1, 3);
  EXPECT_EQ(g.timers.timers.begin()->second.deadline, g.clock.ns + (u64{0xfffff} << 5) * 1'000'000'000 / 33'000'000);
  g.device.config_write(0x68, 1, 0);
  EXPECT_EQ(g.device.config_read(0x68, 1), 3u) << "locked";
}

TEST(Watchdog, MayRunOnWithoutAnEnd) {
  WatchdogGuest g;
  g.device.config_write(0x60, 2, 0x24);
  g.preload(1, 1);
  g.device.config_write(0x68, 1, 6);
  for (int n = 0; n < 10; ++n) g.wait_us(10);
  EXPECT_EQ(g.over, 0u);
  EXPECT_TRUE(g.timers.timers.begin()->second.armed);
  EXPECT_EQ(g.device.config_read(0x60, 2), 0x24u);
}

TEST(Pci, FunctionsAreWhereTheyWerePluggedAndNothingElse) {
  World w;
  EXPECT_EQ(w.read(0, 0), 0x00081b36u) << "the bridge";
  EXPECT_EQ(w.read(2, 0), 0x56781234u);
  EXPECT_EQ(w.read(4, 0), ~0u);
  EXPECT_EQ(w.bridge.mmio_read(1 << 12, 2), 0xffffu) << "function 1 of slot 0";
  EXPECT_EQ(w.bridge.mmio_read(HostBridge::k_bus_size, 4), ~u32{0}) << "another bus";
  EXPECT_EQ(w.read(1, 0x100), ~0u) << "extended configuration";
  EXPECT_EQ(w.bridge.mmio_read(World::at(1, 0), 8), 0x0010'0000'5678'1234u & ~u64{0x0010'0000'0000'0000});
  w.bridge.mmio_write(HostBridge::k_bus_size + 4, 4, 7);
  w.write(1, 0, 0);
  EXPECT_EQ(w.read(1, 0), 0x56781234u) << "not to be written";
}

TEST(Pci, RegistersSayHowLargeRegionsAre) {
  World w;
  for (u32 offset = 0x10; offset <= 0x24; offset += 4) w.write(1, offset, ~0u);
  EXPECT_EQ(w.read(1, 0x10), ~0u << 5 | 1);
  EXPECT_EQ(w.read(1, 0x14), 0u);
  EXPECT_EQ(w.read(1, 0x18), ~0u << 12);
  EXPECT_EQ(w.read(1, 0x1c), 0u);
  EXPECT_EQ(w.read(1, 0x20), (~0u << 14) | 0xc);
  EXPECT_EQ(w.read(1, 0x24), ~0u);
  EXPECT_EQ(w.moves, 0u) << "nothing is decoded";
}

TEST(Pci, RegionsAreWhereTheRegistersSayWhileTheyAreDecoded) {
  World w;
  w.write(1, 0x10, 0x1000);
  w.write(1, 0x18, 0x1000'1000);
  w.write(1, 0x20, 0x1000'4000);
  EXPECT_EQ(w.place(1, 2), std::nullopt);
  w.write(1, 4, 2, 2);
  EXPECT_EQ(w.place(1, 0), std::nullopt) << "ports are not decoded";
  EXPECT_EQ(w.place(1, 2), 0x1000'1000u);
  EXPECT_EQ(w.place(1, 4), 0x1000'4000u);
  w.write(1, 4, 3, 1);
  EXPECT_EQ(w.place(1, 0), 0x3eff'1000u) << "ports begin with their window";
  w.write(1, 0x19, 0x20, 1);  // a byte of the register
  EXPECT_EQ(w.place(1, 2), 0x1000'2000u);
  w.write(1, 4, 0, 2);
  EXPECT_EQ(w.place(1, 0), std::nullopt);
  EXPECT_EQ(w.place(1, 2), std::nullopt);
}

TEST(Pci, RegionsAreNowhereOutsideTheWindowsAndUnderOthers) {
  World w;
  for (u32 slot = 1; slot <= 3; ++slot) w.write(slot, 4, 3, 2);
  for (const u32 where : {0u, 0x0800'0000u, 0x0fff'f000u, 0x3000'0000u, 0x4000'0000u, 0xffff'f000u}) {
    w.write(1, 0x18, where);
    EXPECT_EQ(w.place(1, 2), std::nullopt) << std::hex << where;
  }
  w.write(1, 0x18, 0x2fff'f000);
  EXPECT_EQ(w.place(1, 2), 0x2fff'f000u) << "at the end";
  w.write(1, 0x20, 0x1000'0000);
  w.write(1, 0x24, 1);
  EXPECT_EQ(w.place(1, 4), std::nullopt) << "above 4 GiB";
  w.write(1, 0x10, 0xfff0'0000);
  EXPECT_EQ(w.place(1, 0), std::nullopt) << "beyond the ports";
  w.write(2, 0x18, 0x1000'1000);
  w.write(3, 0x20, 0x1000'0000);
  EXPECT_EQ(w.place(3, 4), std::nullopt) << "over slot 2's";
  w.write(2, 0x18, 0x1100'0000);
  EXPECT_EQ(w.place(3, 4), 0x1000'0000u) << "now that it is gone";
}

TEST(Pci, RegionsOf64BitAddressesMayBeInTheWindowAbove4GiBAndNoOthers) {
  World w;
  w.write(1, 4, 2, 2);
  for (const u32 high : {0x80u, 0xffu}) {
    w.write(1, 0x20, 0x1000'4000);
    w.write(1, 0x24, high);
    EXPECT_EQ(w.place(1, 4), u64{high} << 32 | 0x1000'4000);
  }
  w.write(1, 0x20, 0xffff'c000);
  EXPECT_EQ(w.place(1, 4), 0xff'ffff'c000u) << "at its end";
  for (const u32 high : {0x7fu, 0x100u, 0x8000'0080u}) {
    w.write(1, 0x24, high);
    EXPECT_EQ(w.place(1, 4), std::nullopt) << std::hex << high;
  }
  w.write(1, 0x18, 0);
  EXPECT_EQ(w.place(1, 2), std::nullopt) << "a register of 32 bits reaches no further";
}

TEST(Pci, AnyWritesLeaveRegionsApartAndInTheirWindows) {
  std::mt19937 random(7);
  World w;
  for (int i = 0; i < 100'000; ++i) {
    const u32 size = 1u << random() % 4, slot = static_cast<u32>(random()) % 5;
    const u32 offset = static_cast<u32>(random() % 4 ? random() % 0x40 : random() % 0x1000);
    u64 value = random() % 2 ? random() : 0x1000'0000u + random() % 64 * 0x1000;
    if (random() % 16 == 0) value = 3;
    if (offset + size <= 0x1000) w.bridge.mmio_write(World::at(slot, offset), size, value);
    if (random() % 8 == 0) (void)w.bridge.mmio_read(World::at(slot, offset) & ~u64{7}, size);
  }
  EXPECT_GT(w.moves, 100u) << "they die too early";
  for (const auto& r : w.regions) {
    if (!r->at) continue;
    const bool memory = *r->at >= 0x1000'0000 && *r->at + r->size <= 0x3000'0000;
    const bool high = *r->at >= 0x80'0000'0000 && *r->at + r->size <= 0x100'0000'0000;
    EXPECT_TRUE(memory || high || (*r->at >= 0x3eff'0000 && *r->at + r->size <= 0x3f00'0000)) << std::hex << *r->at;
  }
}

TEST(Pci, NeighboursHaveDifferentLinesAndEveryFourthSharesOne) {
  World w;
  w.functions[0]->set_intx(true);
  EXPECT_TRUE(w.lines[1].level);
  w.functions[1]->set_intx(true);
  EXPECT_TRUE(w.lines[2].level);
  FakeLine* const shared = &w.lines[1];
  TwoBars fifth(w.bridge.intx(5, 0));
  fifth.set_intx(true);
  w.functions[0]->set_intx(false);
  w.functions[0]->set_intx(false);
  EXPECT_TRUE(shared->level) << "of slot 5 still";
  fifth.set_intx(false);
  EXPECT_FALSE(shared->level);
  EXPECT_FALSE(w.lines[0].level);
}

TEST(Pci, AFunctionsLineCanBeDisabledAndItsStatusIsSeen) {
  World w;
  w.write(1, 4, 0x400, 2);
  w.functions[0]->set_intx(true);
  EXPECT_FALSE(w.lines[1].level);
  EXPECT_EQ(w.read(1, 6, 2) & 8, 8u);
  w.write(1, 4, 0, 2);
  EXPECT_TRUE(w.lines[1].level);
  w.functions[0]->set_intx(false);
  EXPECT_EQ(w.read(1, 6, 2) & 8, 0u);
}

// --- messages

struct Messages final : pci::MessageSink {
  void message(GuestPa address, u32 data) override { sent.push_back({address.value, data}); }
  std::vector<std::pair<u64, u32>> sent;
};

struct MsixTest : ::testing::Test {
  MsixTest() {
    for (u32 n = 0; n < 3; ++n) {
      msix.mmio_write(16 * n, 8, 0x1'0000'1043 + n * 0x100);
      msix.mmio_write(16 * n + 8, 8, 80 + n);  // not masked
    }
    msix.set_control(true, false);
  }
  Messages messages;
  pci::Msix msix{"msix", 3, messages};
};

TEST_F(MsixTest, AMessageGoesWhereItsVectorSays) {
  msix.notify(1);
  ASSERT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(messages.sent[0], (std::pair<u64, u32>{0x1'0000'1140, 81}));
  msix.notify(3);
  msix.notify(pci::Msix::k_none);
  msix.set_control(false, false);
  msix.notify(0);
  EXPECT_EQ(messages.sent.size(), 1u);
}

TEST_F(MsixTest, WhatIsMaskedWaits) {
  msix.mmio_write(16 + 12, 4, 1);
  msix.notify(1);
  msix.notify(1);
  EXPECT_TRUE(messages.sent.empty());
  EXPECT_EQ(msix.mmio_read(0x800, 8), 2u);
  msix.mmio_write(0x800, 8, 0);
  EXPECT_EQ(msix.mmio_read(0x800, 4), 2u) << "not the guest's";
  msix.mmio_write(16 + 12, 4, 0);
  EXPECT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(msix.mmio_read(0x800, 4), 0u);
  msix.set_control(true, true);
  msix.notify(0);
  msix.notify(2);
  EXPECT_EQ(msix.mmio_read(0x800, 4), 5u);
  msix.set_control(true, false);
  EXPECT_EQ(messages.sent.size(), 3u);
}

TEST(GicV2m, AMessageIsAnEdgeOfItsInterrupt) {
  bool irq = false;
  Gic gic(1, [&](u32, bool level) { irq = level; });
  GicV2m frame(gic, 48);
  EXPECT_EQ(frame.mmio_read(0x008, 4), 80u << 16 | 64);
  gic.write_distributor(0, 0x000, 4, 1);
  gic.write_distributor(0, 0x100 + 4 * 2, 4, 1u << 17);  // 81
  gic.write_distributor(0, 0xc00 + 4 * 5, 4, 2u << 2);   // edge
  gic.write_cpu_interface(0, 0x004, 4, 0xff);
  gic.write_cpu_interface(0, 0x000, 4, 1);
  for (const u32 other : {0u, 79u, 144u, 0x3ffu}) frame.mmio_write(0x40, 4, other);
  EXPECT_FALSE(irq);
  frame.mmio_write(0x40, 4, 81);
  EXPECT_TRUE(irq);
  EXPECT_EQ(gic.read_cpu_interface(0, 0x00c, 4), 81u);
  gic.write_cpu_interface(0, 0x010, 4, 81);
  EXPECT_FALSE(irq);
}

// --- virtio

namespace virtio_tests {
using namespace virtio;
using virtio::testing::Driver;
using virtio::testing::PciRegisters;

std::string hex(PciTransport& function, u32 from, u32 bytes) {
  std::string text;
  for (u32 i = from; i < from + bytes; ++i) {
    char byte[4];
    std::snprintf(byte, sizeof byte, i == from ? "%02x" : " %02x", function.config_read(i, 1));
    text += byte;
  }
  return text;
}

PciTransport& function_of(Driver& d) { return dynamic_cast<PciRegisters&>(*d.registers).function(); }

/// As QEMU 7.2's virtio-rng-pci with one vector less than it has queues and configuration.
TEST(VirtioPci, ConfigurationIsThatOfQemus) {
  Driver d(std::make_unique<Rng>(), PciForm{});
  PciTransport& f = function_of(d);
  EXPECT_EQ(hex(f, 0x00, 16), "f4 1a 05 10 07 00 10 00 00 00 ff 00 00 00 00 00");
  EXPECT_EQ(hex(f, 0x10, 24), "01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 0c 00 00 00 00 00 00 00");
  EXPECT_EQ(hex(f, 0x2c, 20), "f4 1a 04 00 00 00 00 00 98 00 00 00 00 00 00 00 00 01 00 00");
  EXPECT_EQ(hex(f, 0x40, 16), "09 00 10 01 04 00 00 00 00 00 00 00 00 10 00 00");
  EXPECT_EQ(hex(f, 0x50, 16), "09 40 10 03 04 00 00 00 00 10 00 00 00 10 00 00");
  EXPECT_EQ(hex(f, 0x60, 16), "09 50 10 04 04 00 00 00 00 20 00 00 00 10 00 00");
  EXPECT_EQ(hex(f, 0x70, 20), "09 60 14 02 04 00 00 00 00 30 00 00 00 10 00 00 04 00 00 00");
  EXPECT_EQ(hex(f, 0x84, 20), "09 70 14 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(hex(f, 0x98, 12), "11 84 01 00 01 00 00 00 01 08 00 00");
}

TEST(VirtioPci, WithoutALegacyInterfaceItHasAnotherNumber) {
  Driver d(std::make_unique<Rng>(), PciForm{.legacy = false});
  EXPECT_EQ(hex(function_of(d), 0x00, 12), "f4 1a 44 10 07 00 10 00 01 00 ff 00");
  EXPECT_EQ(hex(function_of(d), 0x2c, 4), "f4 1a 00 11");
  for (const auto& bar : function_of(d).bars()) EXPECT_NE(bar.index, 0u);
}

std::optional<testing::Used> ask(Driver& d) {
  const GuestPa to = d.allocate(16, 16);
  d.add(0, {{to, 16, true}});
  d.kick(0);
  return d.poll_used(0);
}

TEST(VirtioPci, ADeviceWorksByBothInterfaces) {
  for (const PciForm form : {PciForm{}, PciForm{.legacy = true, .modern = false}}) {
    Driver d(std::make_unique<Rng>(), form);
    const u64 features = form.modern ? k_feature_version_1 : 0;
    ASSERT_TRUE(d.bring_up(features, 1)) << form.modern;
    ASSERT_TRUE(ask(d)) << form.modern;
    EXPECT_TRUE(d.irq.level());
    EXPECT_EQ(d.read(Driver::InterruptStatus), 1u);
    EXPECT_FALSE(d.irq.level()) << "reading acknowledges";
    EXPECT_EQ(d.read(Driver::InterruptStatus), 0u);
    d.write(Driver::Status, 0);
    EXPECT_EQ(d.read(Driver::Status), 0u);
    ASSERT_TRUE(d.bring_up(features, 1));
    EXPECT_TRUE(ask(d)) << "again";
  }
}

TEST(VirtioPci, ATransitionalDeviceMayBeUsedByOneInterfaceAfterTheOther) {
  Driver d(std::make_unique<Rng>(), PciForm{});
  PciTransport& f = function_of(d);
  EXPECT_EQ(f.read_legacy(0x00, 4) & k_feature_any_layout, k_feature_any_layout);
  f.write_legacy(0x12, 1, 1);
  EXPECT_EQ(f.read_modern(0x14, 1), 1u) << "there is one status";
  EXPECT_EQ(f.read_legacy(0x0c, 2), 64u);
  f.write_legacy(0x0c, 2, 8);
  EXPECT_EQ(f.read_legacy(0x0c, 2), 64u) << "4.1.4.10: the size is the device's";
  ASSERT_TRUE(d.bring_up(k_feature_version_1, 1));
  EXPECT_TRUE(ask(d));
}

TEST(VirtioPci, MessagesTakeThePlaceOfTheLine) {
  Driver d(std::make_unique<Rng>(), PciForm{});
  PciTransport& f = function_of(d);
  auto& messages = dynamic_cast<PciRegisters&>(*d.registers).messages();
  MmioDevice& table = *f.bars().back().device;
  table.mmio_write(16, 8, 0x0802'0040);
  table.mmio_write(24, 8, 81);
  f.config_write(0x9a, 2, 0x8000);
  ASSERT_TRUE(d.negotiate(k_feature_version_1));
  d.setup_queue(0);
  f.write_modern(0x16, 2, 0);
  f.write_modern(0x1a, 2, 2);
  EXPECT_EQ(f.read_modern(0x1a, 2), 0xffffu) << "4.1.4.3.1: there is no such vector";
  f.write_modern(0x1a, 2, 1);
  EXPECT_EQ(f.read_modern(0x1a, 2), 1u);
  d.driver_ok();
  ASSERT_TRUE(ask(d));
  EXPECT_EQ(messages.count, 1u);
  EXPECT_EQ(messages.last_address, GuestPa(0x0802'0040));
  EXPECT_EQ(messages.last_data, 81u);
  EXPECT_EQ(d.read(Driver::InterruptStatus), 0u);
  f.config_write(4, 2, 3);  // no master of the bus
  const GuestPa to = d.allocate(16, 16);
  d.add(0, {{to, 16, true}});
  d.kick(0);
  EXPECT_FALSE(d.poll_used(0)) << "it must not reach memory";
  f.config_write(4, 2, 7);
  d.kick(0);
  EXPECT_TRUE(d.poll_used(0));
  EXPECT_EQ(messages.count, 2u);
}

TEST(VirtioPci, RegistersAreReachedThroughConfigurationSpace) {
  Driver d(std::make_unique<Rng>(), PciForm{});
  PciTransport& f = function_of(d);
  const auto window = [&](u32 bar, u32 offset, u32 length) {
    f.config_write(0x88, 1, bar);
    f.config_write(0x8c, 4, offset);
    f.config_write(0x90, 4, length);
  };
  window(4, 0x14, 1);
  f.config_write(0x94, 1, 1);
  EXPECT_EQ(f.read_modern(0x14, 1), 1u);
  EXPECT_EQ(f.config_read(0x94, 1), 1u);
  window(4, 0x00, 4);
  f.config_write(0x94, 4, 1);
  window(4, 0x04, 4);
  EXPECT_EQ(f.config_read(0x94, 4), 1u) << "VIRTIO_F_VERSION_1";
  // What names no registers reads as what was there.
  for (const auto& [bar, offset, length] :
       {std::tuple{0u, 0u, 4u}, {4u, 0x4000u, 4u}, {4u, ~0u, 1u}, {4u, 0x04u, 3u}, {4u, 0x05u, 4u}}) {
    window(bar, offset, length);
    f.config_write(0x94, 4, 0x5a5a5a5a);
    EXPECT_EQ(f.config_read(0x94, 4), 0x5a5a5a5au);
  }
}

}  // namespace virtio_tests
}  // namespace
}  // namespace armvisor::devices
