// The virtio console with one port and with several, and the entropy device.
#include <gtest/gtest.h>

#include <thread>

#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"
#include "unit/fake_chardev.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;

constexpr u64 k_rings = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;

struct ConsoleGuest {
  FakeChardev line;
  std::string& output = line.output;
  Driver d{std::make_unique<Console>(&line)};
};

TEST(VirtioConsole, OutputReachesTheSink) {
  ConsoleGuest g;
  EXPECT_EQ(g.d.read(Driver::DeviceID), 3u);
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  const GuestPa a = g.d.put("hello, "), b = g.d.put(std::string(10000, 'w'));
  g.d.add(1, {{a, 7, false}, {b, 10000, false}});
  g.d.kick(1);
  EXPECT_TRUE(g.d.poll_used(1));
  EXPECT_EQ(g.output, "hello, " + std::string(10000, 'w'));
}

TEST(VirtioConsole, EmergencyWriteNeedsNoDriver) {
  ConsoleGuest g;
  g.d.write(Driver::Config + 8, '!', 4);
  EXPECT_EQ(g.output, "!");
}

TEST(VirtioConsole, InputWaitsForBuffersAndIsBounded) {
  ConsoleGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  const int before = g.line.rooms;
  EXPECT_EQ(g.line.type("abc"), 3u);
  EXPECT_EQ(g.line.type(std::string(5000, 'x')), Console::k_input_capacity - 3);
  const GuestPa a = g.d.allocate(10), b = g.d.allocate(8192);
  g.d.add(0, {{a, 10, true}});
  g.d.kick(0);
  auto used = g.d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 10u);
  EXPECT_EQ(g.d.view(a, 10), "abcxxxxxxx");
  EXPECT_GT(g.line.rooms, before);
  g.d.add(0, {{b, 8192, true}});
  g.d.kick(0);
  used = g.d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, Console::k_input_capacity - 10);
}

/// A buffer that is there already takes what waits; nobody else would ask for the rest.
TEST(VirtioConsole, InputBeyondWhatWaitsGoesOnWhenWhatWaitedIsTaken) {
  ConsoleGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  EXPECT_EQ(g.line.type(std::string(1000, 'a')), 1000u);
  const GuestPa a = g.d.allocate(8192);
  g.d.add(0, {{a, 8192, true}});
  EXPECT_EQ(g.line.type(std::string(Console::k_input_capacity, 'b')), Console::k_input_capacity);
  const int before = g.line.rooms;
  EXPECT_EQ(g.line.type(std::string(Console::k_input_capacity, 'c')), Console::k_input_capacity - 1000);
  const GuestPa b = g.d.allocate(8192);
  g.d.add(0, {{b, 8192, true}});
  g.d.kick(0);
  EXPECT_TRUE(g.d.wait_used(0));
  EXPECT_GT(g.line.rooms, before) << "the rest is asked for";
}

TEST(VirtioConsole, InputFromAnotherThread) {
  ConsoleGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  std::thread typist([&] {
    for (int i = 0; i < 1000;)
      if (g.line.type("k") == 1) ++i;
  });
  std::size_t got = 0;
  const GuestPa pa = g.d.allocate(16);
  while (got < 1000) {
    g.d.add(0, {{pa, 16, true}});
    g.d.kick(0);
    const auto used = g.d.wait_used(0);
    ASSERT_TRUE(used);
    got += used->length;
  }
  typist.join();
  EXPECT_EQ(got, 1000u);
}

TEST(VirtioConsole, ReadOnlyReceiveBufferStopsTheQueue) {
  ConsoleGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  g.line.type("abc");
  g.d.add(0, {{g.d.allocate(10), 10, false}});
  g.d.kick(0);
  EXPECT_TRUE(g.d.read(Driver::Status) & Driver::k_needs_reset);
}

TEST(VirtioRng, GivesRandomBytes) {
  Driver d(std::make_unique<Rng>());
  ASSERT_TRUE(d.bring_up(k_rings, 1));
  const GuestPa a = d.allocate(64), b = d.allocate(8192);
  std::memset(d.ram.host(a), 0, 64);
  d.add(0, {{a, 64, true}});
  d.add(0, {{b, 8192, true}});
  d.kick(0);
  EXPECT_EQ(d.wait_used(0)->length, 64u);
  EXPECT_NE(d.view(a, 64), std::string(64, '\0'));
  EXPECT_EQ(d.wait_used(0)->length, 4096u) << "no more than the device's limit per request";
}

// --- several ports

constexpr u64 k_has_ports = 1u << 1;
enum Event : u16 { DeviceReady = 0, DeviceAdd = 1, PortReady = 3, IsConsole = 4, PortOpen = 6, PortName = 7 };

/// A console at 0 and a port of a name at 1.
struct PortsGuest {
  FakeChardev console, port;
  Driver d{std::make_unique<Console>(
      std::vector<ConsolePort>{{.line = &console}, {.line = &port, .console = false, .name = "org.x", .number = 1}})};
  PortsGuest() { port.set_there(false); }

  bool start() {
    if (!d.bring_up(k_rings | k_has_ports, 6)) return false;
    for (int i = 0; i < 8; ++i) d.add(2, {{d.allocate(64), 64, true}});
    d.kick(2);
    return true;
  }
  void tell(u32 id, u16 event, u16 value) {
    std::string message(8, 0);
    std::memcpy(message.data(), &id, 4);
    std::memcpy(message.data() + 4, &event, 2);
    std::memcpy(message.data() + 6, &value, 2);
    d.add(3, {{d.put(message), 8, false}});
    d.kick(3);
  }
  /// "ID EVENT VALUE NAME" of the next message; empty: there is none.
  std::string told() {
    const GuestPa at = d.load_buffer(2);
    const auto used = d.poll_used(2);
    if (!used) return {};
    u32 id = 0;
    u16 event = 0, value = 0;
    const std::string_view bytes = d.view(at, used->length);
    std::memcpy(&id, bytes.data(), 4);
    std::memcpy(&event, bytes.data() + 4, 2);
    std::memcpy(&value, bytes.data() + 6, 2);
    std::string text = std::to_string(id) + " " + std::to_string(event) + " " + std::to_string(value);
    return used->length > 8 ? text + " " + std::string(bytes.substr(8, used->length - 9)) : text;
  }
};

TEST(VirtioPorts, TheDriverIsToldOfThem) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  EXPECT_EQ(g.d.read(Driver::Config + 4), 31u) << "max_nr_ports";
  EXPECT_EQ(g.told(), "");
  g.tell(0xffffffff, DeviceReady, 1);
  EXPECT_EQ(g.told(), "0 1 1");
  EXPECT_EQ(g.told(), "1 1 1");
  g.tell(0, PortReady, 1);
  EXPECT_EQ(g.told(), "0 4 1") << "a console";
  EXPECT_EQ(g.told(), "0 6 1") << "which is open whoever is there";
  g.tell(1, PortReady, 1);
  EXPECT_EQ(g.told(), "1 7 1 org.x");
  EXPECT_EQ(g.told(), "") << "nobody is there";
  g.port.set_there(true);
  EXPECT_EQ(g.told(), "1 6 1");
  g.port.set_there(false);
  EXPECT_EQ(g.told(), "1 6 0");
}

TEST(VirtioPorts, InputWaitsUntilTheGuestHasOpenedThePort) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.tell(0xffffffff, DeviceReady, 1);
  g.tell(1, PortReady, 1);
  const GuestPa a = g.d.allocate(64);
  g.d.add(4, {{a, 64, true}});
  g.d.kick(4);
  EXPECT_EQ(g.port.type("early"), 5u);
  EXPECT_FALSE(g.d.poll_used(4));
  g.tell(1, PortOpen, 1);
  const auto used = g.d.poll_used(4);
  ASSERT_TRUE(used);
  EXPECT_EQ(g.d.view(a, used->length), "early");
}

TEST(VirtioPorts, EachSendsToItsOwnLine) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.d.add(1, {{g.d.put("to zero"), 7, false}});
  g.d.kick(1);
  g.d.add(5, {{g.d.put("to one"), 6, false}});
  g.d.kick(5);
  EXPECT_EQ(g.console.output, "to zero");
  EXPECT_EQ(g.port.output, "to one");
}

TEST(VirtioPorts, WithoutTheFeatureOnlyTheFirstWorks) {
  PortsGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 6));
  g.d.add(1, {{g.d.put("zero"), 4, false}});
  g.d.kick(1);
  g.d.add(5, {{g.d.put("one"), 3, false}});
  g.d.kick(5);
  g.d.add(2, {{g.d.allocate(64), 64, true}});
  g.tell(0xffffffff, DeviceReady, 1);
  EXPECT_EQ(g.console.output, "zero");
  EXPECT_EQ(g.port.output, "");
  EXPECT_FALSE(g.d.poll_used(2));
}

TEST(VirtioPorts, ALineThatTakesNothingHoldsBackItsBufferAndNothingElse) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.port.full = true;
  g.d.add(5, {{g.d.put(std::string(10000, 'x')), 10000, false}});
  g.d.kick(5);
  EXPECT_FALSE(g.d.poll_used(5));
  g.d.add(1, {{g.d.put("console"), 7, false}});
  g.d.kick(1);
  EXPECT_TRUE(g.d.poll_used(1));
  EXPECT_EQ(g.console.output, "console");
  g.port.make_room();
  EXPECT_TRUE(g.d.poll_used(5));
  EXPECT_EQ(g.port.output, std::string(10000, 'x'));
}

TEST(VirtioPorts, AResetForgetsWhatWasHeldBack) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.port.full = true;
  g.d.add(5, {{g.d.put("old"), 3, false}});
  g.d.kick(5);
  g.d.write(Driver::Status, 0);
  g.port.make_room();
  EXPECT_EQ(g.port.output, "");
  ASSERT_TRUE(g.start());
  EXPECT_EQ(g.told(), "");
}

TEST(VirtioPorts, ADriverThatGivesNoBuffersIsToldLess) {
  PortsGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings | k_has_ports, 6));
  for (int i = 0; i < 1000; ++i) {
    g.tell(0xffffffff, DeviceReady, 1);
    g.d.poll_used(3);
  }
  EXPECT_EQ(g.d.transport.counters().dropped.get(), 2000 - Console::k_max_messages);
}

TEST(VirtioPorts, MessagesOfOddSizeAreIgnored) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.d.add(3, {{g.d.put("abc"), 3, false}});
  g.d.kick(3);
  EXPECT_TRUE(g.d.poll_used(3));
  g.tell(30, PortReady, 1);
  g.tell(77, 99, 1);
  EXPECT_EQ(g.told(), "");
}

}  // namespace
}  // namespace armvisor::devices::virtio
