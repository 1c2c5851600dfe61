// PCI: configuration, regions that move, interrupt lines and messages, and what virtio devices look like on it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <random>

#include "devices/gic_v2m.h"
#include "devices/i6300esb.h"
#include "devices/pci/edu.h"
#include "devices/pci/host_bridge.h"
#include "devices/pci/ivshmem.h"
#include "devices/virtio/gpu.h"
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

// --- QEMU's device for education, and shared memory

u32 config_word(pci::Function& f, u32 offset) { return f.config_read(offset, 4); }

struct EduTest : ::testing::Test {
  EduTest() { edu.config_write(pci::Command, 2, pci::k_command_memory | pci::k_command_master); }
  u64 read(u64 offset, u32 size = 4) { return registers().mmio_read(offset, size); }
  void write(u64 offset, u64 value, u32 size = 4) { registers().mmio_write(offset, size, value); }
  MmioDevice& registers() { return *edu.bars()[0].device; }
  /// Direction and interrupt as in the command.
  void transfer(u64 source, u64 destination, u64 count, u64 command) {
    write(0x80, source, 8);
    write(0x88, destination, 8);
    write(0x90, count, 8);
    write(0x98, command | 1, 8);
  }
  GuestRam ram = *GuestRam::create(GuestPa(0x4000'0000), 1 << 20);
  FakeLine line;
  Messages messages;
  pci::Edu edu{ram, {line, messages}, 0xffff'ffff};
};

TEST_F(EduTest, ItsConfigurationAndRegistersAreQemus) {
  EXPECT_EQ(config_word(edu, 0x00), 0x11e81234u);
  EXPECT_EQ(config_word(edu, 0x08), 0x00ff0010u);
  EXPECT_EQ(config_word(edu, 0x2c), 0x11001af4u);
  EXPECT_EQ(config_word(edu, 0x3c), 0x00000100u);
  EXPECT_EQ(config_word(edu, 0x40), 0x00800005u);
  EXPECT_EQ(read(0), 0x010000edu);
  write(4, 0x12345678);
  EXPECT_EQ(read(4), 0xedcba987u);
  for (const auto& [n, product] : {std::pair{0u, 1u}, {5u, 120u}, {13u, 1932053504u}, {40u, 0u}, {~0u, 0u}}) {
    write(8, n);
    EXPECT_EQ(read(8), product) << n;
  }
  EXPECT_EQ(read(0x0, 1), 0xffu) << "registers are words";
  EXPECT_EQ(read(0x4, 8), ~u64{0});
  EXPECT_EQ(read(0x30), 0xffffffffu);
}

TEST_F(EduTest, InterruptsGoByTheLineOrAsMessages) {
  write(0x20, 0xff);
  EXPECT_EQ(read(0x20), 0x80u);
  write(8, 3);
  EXPECT_TRUE(line.level);
  EXPECT_EQ(read(0x24), 1u);
  write(0x60, 0x40);
  write(0x64, 1);
  EXPECT_TRUE(line.level) << "one is left";
  write(0x64, 0x40);
  EXPECT_FALSE(line.level);
  edu.config_write(0x44, 4, 0x0802'0040);
  edu.config_write(0x4c, 2, 81);
  edu.config_write(0x42, 2, 1);
  write(0x60, 2);
  EXPECT_FALSE(line.level);
  ASSERT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(messages.sent[0], (std::pair<u64, u32>{0x0802'0040, 81}));
  edu.config_write(0x42, 2, 0);
  EXPECT_TRUE(line.level) << "without messages the line says it";
}

TEST_F(EduTest, TransfersAreInsideOfItsBufferAndOfRam) {
  const std::vector<u8> text = {'e', 'd', 'u', '!'};
  ASSERT_TRUE(ram.write(GuestPa(0x4000'1000), text));
  transfer(0x4000'1000, 0x40ffc, 4, 0);
  transfer(0x40ffc, 0x4000'2000, 4, 2 | 4);
  std::vector<u8> got(4);
  ASSERT_TRUE(ram.read(GuestPa(0x4000'2000), got));
  EXPECT_EQ(got, text);
  EXPECT_EQ(read(0x24), 0x100u);
  EXPECT_EQ(read(0x98, 8) & 1, 0u) << "it is done";
  // Nothing of these, and nothing breaks.
  for (const u64 own : {u64{0x40ffd}, u64{0x3ffff}, u64{0}, ~u64{0}, u64{0x41001}}) transfer(0x4000'1000, own, 4, 0);
  for (const u64 count : {u64{4097}, ~u64{0}}) transfer(0x4000'1000, 0x40000, count, 0);
  transfer(0x400f'fffe, 0x40000, 4, 0);
  edu.config_write(pci::Command, 2, pci::k_command_memory);
  transfer(0x4000'1000, 0x40000, 4, 0);
  EXPECT_TRUE(edu.bars()[0].device == &registers());
  edu.config_write(pci::Command, 2, pci::k_command_memory | pci::k_command_master);
  transfer(0x40000, 0x4000'3000, 4, 2);
  ASSERT_TRUE(ram.read(GuestPa(0x4000'3000), got));
  EXPECT_EQ(got, std::vector<u8>(4)) << "none of them was done";
}

TEST(Ivshmem, TheGuestsMemoryIsTheFilesAndNoLarger) {
  char name[] = "/tmp/ivshmem_test.XXXXXX";
  const Fd file(::mkstemp(name));
  SharedMemoryOptions options{.option = "test", .path = name, .size = 0x1000, .shared = true};
  auto memory = SharedMemory::open(options);
  ASSERT_TRUE(memory) << memory.error().message;
  FakeLine line;
  Messages messages;
  pci::Ivshmem device(*memory, {line, messages});
  EXPECT_EQ(config_word(device, 0x00), 0x11101af4u);
  EXPECT_EQ(config_word(device, 0x08), 0x05000001u);
  EXPECT_EQ(config_word(device, 0x18), 0x0000000cu);
  EXPECT_EQ(config_word(device, 0x3c), 0u);
  MmioDevice& window = *device.bars()[1].device;
  window.mmio_write(0xff8, 8, 0x1122334455667788);
  window.mmio_write(0x11, 4, 0xa1b2c3d4);
  EXPECT_EQ(window.mmio_read(0xffc, 4), 0x11223344u);
  EXPECT_EQ(window.mmio_read(0x11, 4), 0xa1b2c3d4u);
  u32 seen = 0;
  ASSERT_EQ(::pread(file.get(), &seen, 4, 0xff8), 4);
  EXPECT_EQ(seen, 0x55667788u) << "others see it";
  ASSERT_EQ(::pwrite(file.get(), "abcd", 4, 0), 4);
  EXPECT_EQ(window.mmio_read(0, 2), u64{'a' | 'b' << 8});
  options.shared = false;
  const auto copy = *SharedMemory::open(options);
  copy->bytes()[0] = 'z';
  EXPECT_EQ(window.mmio_read(0, 1), u64{'a'}) << "without share=on a write is its own";
  options.read_only = true;
  pci::Ivshmem fixed(*SharedMemory::open(options), {line, messages});
  fixed.bars()[1].device->mmio_write(0, 1, 'x');
  EXPECT_EQ(fixed.bars()[1].device->mmio_read(0, 1), u64{'a'});
  options.size = 0x2000;
  EXPECT_FALSE(SharedMemory::open(options)) << "the file is shorter";
  options.path = "/dev/null";
  EXPECT_FALSE(SharedMemory::open(options));
  options.path = "/tmp";
  options.read_only = false;
  EXPECT_TRUE(SharedMemory::open(options)) << "a file of its own in a folder";
  ::unlink(name);
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

/// A driver of a GPU, whose memory for pictures is where put() finds room.
struct Screen : Driver {
  Screen() : Screen(Gpu::create({.width = 64, .height = 48})->release()) {}
  explicit Screen(Gpu* made) : Driver(std::unique_ptr<Device>(made)), gpu(*made) {}

  /// A request of words behind its header; the type of the answer, whose body is kept.
  u32 ask(u32 type, std::vector<u32> words = {}, u64 fence = 0) {
    std::vector<u32> all = {type, fence ? 1u : 0u, static_cast<u32>(fence), static_cast<u32>(fence >> 32), 0, 0};
    all.insert(all.end(), words.begin(), words.end());
    const std::string request(reinterpret_cast<const char*>(all.data()), all.size() * 4);
    const GuestPa reply = allocate(512, 16);
    add(0, {{put(request), static_cast<u32>(request.size()), false}, {reply, 512, true}});
    kick(0);
    const auto used = wait_used(0);
    if (!used) return 0;
    answer = std::string(view(reply, used->length));
    u32 result = 0;
    std::memcpy(&result, answer.data(), answer.size() >= 4 ? 4 : 0);
    return result;
  }
  std::string answer;
  Gpu& gpu;
};
constexpr u32 k_ok = 0x1100;

TEST(VirtioGpu, AScreenShowsWhatTheDriverPutThere) {
  Screen d;
  ASSERT_TRUE(d.bring_up(k_feature_version_1, 1));
  ASSERT_EQ(d.ask(0x100), 0x1101u);
  ASSERT_EQ(d.answer.size(), 24u + 16 * 24);
  EXPECT_EQ(d.answer.substr(24, 24), std::string("\0\0\0\0\0\0\0\0\x40\0\0\0\x30\0\0\0\1\0\0\0\0\0\0\0", 24));
  EXPECT_EQ(d.gpu.picture().width, 0u) << "dark";
  EXPECT_EQ(d.ask(0x101, {1, 1, 64, 48}, 0x1'0000'0002), k_ok);
  EXPECT_EQ(d.answer.substr(4, 12), std::string("\1\0\0\0\2\0\0\0\1\0\0\0", 12)) << "its fence";
  std::string pixels(64 * 48 * 4, '\0');
  pixels.replace(4 * (64 * 2 + 3), 4, "BGRA");
  const GuestPa memory = d.put(pixels);
  const u32 at = static_cast<u32>(memory.value);
  EXPECT_EQ(d.ask(0x106, {1, 2, at, 0, 1000, 0, at + 1000, 0, static_cast<u32>(pixels.size() - 1000), 0}), k_ok);
  EXPECT_EQ(d.ask(0x103, {0, 0, 64, 48, 0, 1}), k_ok);
  EXPECT_EQ(d.ask(0x105, {0, 2, 64, 1, 64 * 2 * 4, 0, 1, 0}), k_ok);
  EXPECT_EQ(d.ask(0x104, {0, 0, 64, 48, 1, 0}), k_ok);
  const Picture picture = d.gpu.picture();
  ASSERT_EQ(picture.pixels.size(), 64u * 48 * 3);
  EXPECT_EQ(std::string(picture.pixels.begin() + 3 * (64 * 2 + 3), picture.pixels.begin() + 3 * (64 * 2 + 4)), "RGB");
  EXPECT_EQ(d.ask(0x102, {1, 0}), k_ok);
  EXPECT_EQ(d.gpu.picture().width, 0u) << "the image is gone";
}

TEST(VirtioGpu, WhatIsNotThereIsAnErrorAndMemoryIsBounded) {
  Screen d;
  ASSERT_TRUE(d.bring_up(k_feature_version_1, 1));
  for (const u32 type : {0x102u, 0x104u, 0x105u, 0x106u, 0x107u})
    EXPECT_EQ(d.ask(type, std::vector<u32>(12, 7)), 0x1203u) << type;
  EXPECT_EQ(d.ask(0x101, {1, 99, 8, 8}), 0x1205u) << "no such format";
  EXPECT_EQ(d.ask(0x101, {1, 1, 0, 8}), 0x1205u);
  EXPECT_EQ(d.ask(0x101, {0, 1, 8, 8}), 0x1203u);
  EXPECT_EQ(d.ask(0x101, {1, 1}), 0x1205u) << "half a request";
  EXPECT_EQ(d.ask(0x999), 0x1200u);
  EXPECT_EQ(d.ask(0x101, {1, 1, 16, 16}), k_ok);
  EXPECT_EQ(d.ask(0x101, {1, 1, 16, 16}), 0x1203u) << "twice";
  EXPECT_EQ(d.ask(0x103, {0, 0, 17, 16, 0, 1}), 0x1205u);
  EXPECT_EQ(d.ask(0x103, {~0u, 0, 16, 16, 0, 1}), 0x1205u);
  EXPECT_EQ(d.ask(0x103, {0, 0, 16, 16, 1, 1}), 0x1202u);
  EXPECT_EQ(d.ask(0x105, {0, 0, 16, 16, 0, 0, 1, 0}), 0x1200u) << "it has no memory";
  EXPECT_EQ(d.ask(0x106, {1, 1, 0x1000, 0, 4096, 0}), 0x1200u) << "no RAM";
  EXPECT_EQ(d.ask(0x106, {1, 9, 0x40000000, 0, 4096, 0}), 0x1200u) << "fewer than it says";
  EXPECT_EQ(d.ask(0x106, {1, 1, 0x40000000, 0, 1024, 0}), k_ok);
  EXPECT_EQ(d.ask(0x105, {0, 0, 16, 16, ~0u, ~0u, 1, 0}), 0x1205u);
  EXPECT_EQ(d.ask(0x105, {0, 1, 16, 15, 128, 0, 1, 0}), 0x1200u) << "beyond its memory";
  u32 made = 0;
  for (u32 id = 10; id < 100 && d.ask(0x101, {id, 1, 2048, 2048}) == k_ok; ++id) ++made;
  EXPECT_EQ(made, 15u) << "16 MiB each, of 256";
}

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
