// The virtio console with one port and with several, the entropy device, and the balloon.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "devices/virtio/balloon.h"
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

// --- the balloon

constexpr u64 k_poison = 1u << 4, k_reporting = 1u << 5;

struct BalloonGuest {
  explicit BalloonGuest(u64 features = k_reporting) {
    std::memset(d.ram.host(pages), 0xab, (k_pages + 1) * 4096);  // the list is behind them
    up = d.bring_up(k_rings | features, 4);
  }
  /// Memory of the host's that RAM takes, in pages.
  u64 held() const {
    struct stat s {};
    return ::fstat(d.ram.memfd(), &s) == 0 ? static_cast<u64>(s.st_blocks) * 512 / 4096 : ~u64{0};
  }
  u32 number(u32 page) const { return static_cast<u32>(pages.value >> 12) + page; }
  void give(const std::vector<u32>& numbers) {
    std::memcpy(d.ram.host(list), numbers.data(), numbers.size() * 4);
    d.add(0, {{list, static_cast<u32>(numbers.size() * 4), false}});
    d.kick(0);
  }
  bool is(u32 page, char c) { return d.view(pages + u64{page} * 4096, 4096) == std::string(4096, c); }

  static constexpr u32 k_pages = 16;
  u32 told = 0;
  Driver d{std::make_unique<Balloon>(BalloonOptions{.free_page_reporting = true, .pages = 5},
                                     [this](u32 given) { told = given; })};
  GuestPa pages = d.allocate(k_pages * 4096), list = d.allocate(4096);
  bool up = false;
};

TEST(VirtioBalloon, WhatTheGuestGivesTheHostHasAndIsZeros) {
  BalloonGuest g;
  ASSERT_TRUE(g.up);
  EXPECT_EQ(g.d.read(Driver::Config), 5u) << "pages that are wanted";
  const u64 before = g.held();
  g.give({g.number(9), g.number(3), g.number(4), g.number(3), 0, ~u32{0}, 0x3ffff});
  ASSERT_TRUE(g.d.wait_used(0));
  EXPECT_EQ(g.held(), before - 3);
  for (u32 page = 0; page < g.k_pages; ++page)
    EXPECT_TRUE(g.is(page, page == 3 || page == 4 || page == 9 ? '\0' : '\xab')) << page;
  g.d.write(Driver::Config + 4, 3);
  EXPECT_EQ(g.told, 3u);
}

TEST(VirtioBalloon, WhatIsReportedFreeTheHostHasUnlessItIsToHoldSomething) {
  for (const u32 poison : {0u, 0xaau}) {
    BalloonGuest g(k_reporting | k_poison);
    ASSERT_TRUE(g.up);
    g.d.write(Driver::Config + 12, poison);
    const u64 before = g.held();
    g.d.add(3, {{g.pages + 4096, 2 * 4096, true}, {g.pages + 5 * 4096 + 1, 4096, true}});
    g.d.kick(3);
    ASSERT_TRUE(g.d.wait_used(3));
    EXPECT_EQ(g.held(), poison ? before : before - 2) << "whole pages alone";
    EXPECT_TRUE(g.is(1, poison ? '\xab' : '\0') && g.is(2, poison ? '\xab' : '\0') && g.is(5, '\xab') &&
                g.is(6, '\xab'));
  }
}

TEST(VirtioBalloon, RequestsOfAnotherFormStopTheQueue) {
  for (const u16 queue : {0, 1, 3}) {
    BalloonGuest g;
    ASSERT_TRUE(g.up);
    g.d.add(queue, {{g.pages, 4096, queue != 3}});
    g.d.kick(queue);
    EXPECT_TRUE(g.d.read(Driver::Status) & Driver::k_needs_reset) << queue;
  }
}

/// What is derived from pages goes with them, as with a device's write.
TEST(VirtioBalloon, PagesThatHoldCodeOrTablesAreToldOf) {
  struct Watch final : WriteWatch {
    void watched_written(GuestPa pa, u32 size) override { written.push_back({pa.value, size}); }
    std::vector<std::pair<u64, u32>> written;
  } watch;
  BalloonGuest g;
  ASSERT_TRUE(g.up);
  g.d.ram.set_write_watch(&watch);
  g.d.ram.marks(g.pages + 4096) = k_frame_code;
  g.d.ram.marks(g.pages + 3 * 4096) = k_frame_table;
  g.give({g.number(0), g.number(1), g.number(2), g.number(3)});
  ASSERT_TRUE(g.d.wait_used(0));
  g.d.ram.set_write_watch(nullptr);
  EXPECT_EQ(watch.written,
            (std::vector<std::pair<u64, u32>>{{g.pages.value + 4096, 4096}, {g.pages.value + 3 * 4096, 4096}}));
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

TEST(VirtioPorts, AtAResetOrItsEndTheLineIsToldOnceThatTheGuestHasClosedThePort) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.tell(1, PortOpen, 1);
  g.d.write(Driver::Status, 0);
  EXPECT_EQ(g.port.user_opens, (std::vector<bool>{true, false}));
  ASSERT_TRUE(g.start());
  g.tell(1, PortOpen, 1);
  g.d.registers.reset();
  EXPECT_EQ(g.port.user_opens, (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(g.port.type("a"), 0u) << "nobody is attached";
}

TEST(VirtioPorts, InputOfBeforeAnOpeningIsForNobodyIfTheLineSaysSo) {
  PortsGuest g;
  g.port.forgets = true;
  ASSERT_TRUE(g.start());
  const GuestPa a = g.d.allocate(64);
  g.d.add(4, {{a, 64, true}});
  g.d.kick(4);
  EXPECT_EQ(g.port.type("old"), 3u);
  g.tell(1, PortOpen, 1);
  EXPECT_FALSE(g.d.poll_used(4));
  EXPECT_EQ(g.port.type("new"), 3u);
  const auto used = g.d.poll_used(4);
  ASSERT_TRUE(used);
  EXPECT_EQ(g.d.view(a, used->length), "new");
}

TEST(VirtioPorts, WhatWasHeldBackIsOfTheOpeningThatEnds) {
  PortsGuest g;
  ASSERT_TRUE(g.start());
  g.tell(1, PortOpen, 1);
  g.port.full = g.port.full_until_closed = true;
  g.d.add(5, {{g.d.put("old"), 3, false}});
  g.d.kick(5);
  EXPECT_FALSE(g.d.poll_used(5));
  g.tell(1, PortOpen, 0);
  EXPECT_TRUE(g.d.poll_used(5)) << "before the port can be opened again";
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
