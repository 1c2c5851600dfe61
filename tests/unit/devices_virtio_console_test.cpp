// The virtio console and entropy devices, and the host's console.
#include <gtest/gtest.h>
#include <pty.h>

#include <thread>

#include "devices/backends/console.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;

constexpr u64 k_rings = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;

std::span<const u8> bytes(std::string_view s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

struct ConsoleGuest {
  std::string output;
  Console* console;
  Driver d;
  ConsoleGuest() : d(make()) {}
  std::unique_ptr<Device> make() {
    auto c = std::make_unique<Console>([this](std::span<const u8> b) { output.append(b.begin(), b.end()); });
    console = c.get();
    return c;
  }
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
  bool room = false;
  g.console->on_room([&] { room = true; });
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  EXPECT_EQ(g.console->input(bytes("abc")), 3u);
  EXPECT_EQ(g.console->input(bytes(std::string(5000, 'x'))), Console::k_input_capacity - 3);
  const GuestPa a = g.d.allocate(10), b = g.d.allocate(8192);
  g.d.add(0, {{a, 10, true}});
  g.d.kick(0);
  auto used = g.d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 10u);
  EXPECT_EQ(g.d.view(a, 10), "abcxxxxxxx");
  EXPECT_TRUE(room);
  g.d.add(0, {{b, 8192, true}});
  g.d.kick(0);
  used = g.d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, Console::k_input_capacity - 10);
}

TEST(VirtioConsole, InputFromAnotherThread) {
  ConsoleGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  std::thread typist([&] {
    for (int i = 0; i < 1000;)
      if (g.console->input(bytes("k")) == 1) ++i;
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
  g.console->input(bytes("abc"));
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

TEST(HostConsole, PipesAreTransparentAndBackPressured) {
  int in[2], out[2];
  ASSERT_EQ(pipe(in), 0);
  ASSERT_EQ(pipe(out), 0);
  std::string got;
  std::mutex mutex;
  {
    auto c = *HostConsole::create(in[0], out[1]);
    const Status started = c->start(
        [&](std::span<const u8> b) {
          const std::lock_guard lock(mutex);
          const std::size_t n = std::min<std::size_t>(b.size(), 2);  // a slow guest
          got.append(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(n));
          return n;
        },
        {.quit = [] { FAIL(); }, .send_break = {}});
    ASSERT_TRUE(started);
    ASSERT_EQ(write(in[1], "\x01x12345", 7), 7);
    for (int i = 0; i < 500; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      const std::lock_guard lock(mutex);
      if (got.size() == 7) break;
    }
    c->write(bytes("out"));
  }
  EXPECT_EQ(got, "\x01x12345");
  char buffer[4] = {};
  EXPECT_EQ(read(out[0], buffer, 3), 3);
  EXPECT_STREQ(buffer, "out");
  for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
}

TEST(HostConsole, KeysCanBeOnAPipeAndBehindAnotherCharacter) {
  int in[2], out[2];
  ASSERT_EQ(pipe(in), 0);
  ASSERT_EQ(pipe(out), 0);
  std::string got;
  std::atomic<bool> quit{false};
  std::atomic<int> breaks{0};
  {
    const ConsoleKeys keys{.when = ConsoleKeys::When::Always, .escape = 0x14, .signals = false};
    auto c = *HostConsole::create(in[0], out[1], keys);
    const Status started = c->start(
        [&](std::span<const u8> b) {
          got.append(b.begin(), b.end());
          return b.size();
        },
        {.quit = [&] { quit = true; }, .send_break = [&] { ++breaks; }});
    ASSERT_TRUE(started);
    ASSERT_EQ(write(in[1],
                    "\x01x\x14"
                    "b\x14\x14"
                    "\x14"
                    "x",
                    8),
              8);
    for (int i = 0; i < 500 && !quit; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_TRUE(quit);
  EXPECT_EQ(breaks, 1);
  EXPECT_EQ(got, "\x01x\x14");
  for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
}

TEST(HostConsole, TerminalIsRawAndHasAnEscape) {
  int master, slave;
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  termios before, during, after;
  tcgetattr(slave, &before);
  std::string got;
  std::atomic<bool> quit{false};
  {
    auto c = *HostConsole::create(slave, slave);
    tcgetattr(slave, &during);
    const Status started = c->start(
        [&](std::span<const u8> b) {
          got.append(b.begin(), b.end());
          return b.size();
        },
        {.quit = [&] { quit = true; }, .send_break = {}});
    ASSERT_TRUE(started);
    ASSERT_EQ(write(master,
                    "a\x03\x01\x01"
                    "b\x01x",
                    7),
              7);
    for (int i = 0; i < 500 && !quit; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_TRUE(quit);
  EXPECT_EQ(got,
            "a\x03\x01"
            "b");
  tcgetattr(slave, &after);
  EXPECT_FALSE(during.c_lflag & (ICANON | ECHO | ISIG));
  EXPECT_EQ(after.c_lflag, before.c_lflag);
  close(master);
  close(slave);
}

}  // namespace
}  // namespace armvisor::devices::virtio
