// Drivers that write anything anywhere: random registers, random rings. Nothing is expected but that the host survives,
// and that a device works again after a reset.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <random>
#include <sstream>

#include "base/log_once.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/gpu.h"
#include "devices/virtio/net.h"
#include "devices/virtio/ninep.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/scsi.h"
#include "devices/virtio/vhost_user.h"
#include "devices/virtio/vsock.h"
#include "ninep_client.h"
#include "stderr_text.h"
#include "vhost_user_program.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;

/// A disk that keeps nothing but checks that it is used within its bounds.
struct CheckedDisk : DiskBackend {
  u64 size() const override { return 1 << 20; }
  bool read_only() const override { return false; }
  std::string_view path() const override { return "checked"; }
  int read(std::span<iovec> to, u64 offset) override {
    for (const iovec& v : to) std::memset(v.iov_base, 0x5a, v.iov_len);
    return check(offset, total(to));
  }
  int write(std::span<iovec> from, u64 offset) override { return check(offset, total(from)); }
  bool read_at_once(std::span<const iovec> to, u64 offset) override {
    std::vector<iovec> all(to.begin(), to.end());
    return total(all) % 3 != 0 && read(all, offset) == 0;
  }
  int flush() override { return 0; }
  int discard(u64 offset, u64 bytes) override { return check(offset, bytes); }
  int write_zeroes(u64 offset, u64 bytes, bool) override { return check(offset, bytes); }
  static u64 total(std::span<iovec> v) {
    u64 n = 0;
    for (const iovec& i : v) n += i.iov_len;
    return n;
  }
  int check(u64 offset, u64 bytes) {
    EXPECT_LE(offset, size());
    EXPECT_LE(bytes, size() - offset);
    return 0;
  }
};

/// A network that echoes.
struct Echo : NetworkBackend {
  ~Echo() override { stop(); }
  Status start(NetworkClient& c) override {
    client = &c;
    thread = std::thread([this] {
      while (!stopping) {
        const bool more = client->transmit_pending();
        client->received_all();
        if (!more) std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    });
    return {};
  }
  void stop() override {
    stopping = true;
    if (thread.joinable()) thread.join();
  }
  void wake() override {}
  void send(std::span<const u8> frame) override { client->receive(frame); }
  NetworkClient* client = nullptr;
  std::atomic<bool> stopping{false};
  std::thread thread;
};

std::unique_ptr<Device> make(u32 id) {
  switch (id) {
    case 1: return *Net::create(std::make_unique<Echo>(), MacAddress{2, 0, 0, 0, 0, 1});
    case 2: return *Block::create(std::make_unique<CheckedDisk>());
    case 3:
      return std::make_unique<Console>(std::vector<ConsolePort>{{}, {.console = false, .name = "p", .number = 1}});
    case 8: {
      std::vector<Scsi::Place> places;
      for (const u8 target : {0, 1})
        places.push_back(
            {{target, 0},
             std::make_unique<scsi::Unit>(std::make_shared<CheckedDisk>(), scsi::UnitOptions{.cd_rom = target == 1})});
      return *Scsi::create(std::move(places));
    }
    case 9: {
      static ninep::testing::SharedTree tree;
      return *NineP::create(
          *ninep::SharedFolder::create({.path = tree.share(), .tag = "share"}, {.open = 32, .named = 8}));
    }
    case 5: return std::make_unique<Balloon>(BalloonOptions{.free_page_reporting = true}, [](u32) {});
    case 16: return *Gpu::create({});
    case 19: {
      static ninep::testing::SharedTree tree;
      return *Vsock::create(*vsock::HostSocket::create({.path = tree.at("vsock")}));
    }
    case 26: {
      static vhost_user::testing::Program program;
      static const auto backend = *vhost_user::Backend::create({.socket = program.path, .tag = "tag"}, nullptr);
      return *VhostUser::create(backend);
    }
    default: return std::make_unique<Rng>();
  }
}

class Hostile {
 public:
  template <class Version>
  Hostile(u32 device, Version version, u32 seed) : random_(seed), d_(make(device), version) {
    if (device == 9)  // or hardly a chain would begin with a message
      for (u32 place = 0; place < 4096; place += 2) spoil_message(place);
  }

  void round() {
    const u32 id = d_.read(Driver::DeviceID);
    if (!d_.bring_up(features(), id == 8 ? 3 : id == 5 ? 4 : id == 2 || id == 4 || id == 9 ? 1 : 2, 16)) return;
    if (below(4) == 0) d_.any_access(0x03, 0x9a, 0x80000000);  // MSI-X on, if there is any
    for (u32 i = 0; i < 12; ++i) {
      if (below(8) == 0) spoil();
      const u32 queue = below(static_cast<u32>(d_.rings.size()));
      publish(queue);
      d_.kick(queue);
      if (below(4)) pause(queue);
      if (below(8) == 0) d_.write(below(0x200) & ~3u, value());
      if (below(8) == 0) d_.read(below(0x200) & ~3u);
      if (below(8) == 0) d_.any_access(static_cast<u32>(random_()), static_cast<u32>(random_()), value());
    }
  }

  u64 completed() const { return d_.transport.counters().requests.get(); }

 private:
  u32 below(u32 n) { return static_cast<u32>(random_()) % n; }
  u64 features() {
    u64 f = d_.offered();
    if (below(2)) f &= ~k_feature_event_idx;
    if (below(4) == 0) f &= ~k_feature_indirect_desc;
    if (below(2)) f &= ~u64{1u << 15};
    return f;
  }
  /// Numbers at which things break, and any.
  u32 value() {
    constexpr u32 edges[] = {0, 1, 2, 3, 8, 15, 16, 17, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    return below(2) ? edges[below(std::size(edges))] : static_cast<u32>(random_());
  }
  u64 address() {
    switch (below(32)) {
      case 0: return u64{value()} << 32 | value();
      case 1: return Driver::k_base + Driver::k_ram_size - below(64);
      case 2: return d_.rings[0].desc.value + below(256);
      default: return Driver::k_base + below(65536);
    }
  }
  void spoil() {
    const auto& r = d_.rings[below(static_cast<u32>(d_.rings.size()))];
    const u16 flags = static_cast<u16>(below(4) ? below(4) : below(8));
    const GuestPa table = below(3) ? r.desc : GuestPa(Driver::k_base + below(256) * 16);
    const u32 length = below(16) ? 1 + below(2048) : value();
    d_.write_descriptor(table, below(16), address(), length, flags, static_cast<u16>(below(below(32) ? 16 : 65536)));
    if (d_.read(Driver::DeviceID) == 8) return spoil_command();
    if (d_.read(Driver::DeviceID) == 9) return spoil_message(below(4096));
    // Something that looks like a block request's header.
    const u32 header[4] = {below(14), 0, below(4) ? below(2048) : value(), below(16) ? 0 : value()};
    std::memcpy(d_.ram.host(GuestPa(Driver::k_base + below(4096) * 16)), header, 16);
  }
  /// Something that looks like a SCSI request of one of the targets.
  void spoil_command() {
    u8 request[51] = {1, static_cast<u8>(below(3)), 0x40, 0};
    for (u32 i = 19; i < sizeof request; ++i) request[i] = static_cast<u8>(below(3) ? 0 : random_());
    request[19] = static_cast<u8>(random_());
    std::memcpy(d_.ram.host(GuestPa(Driver::k_base + below(4096) * 16)), request, sizeof request);
  }
  /// Something that looks like a message of 9P, of which the size mostly fits, at that place.
  void spoil_message(u32 place) {
    u8 message[32] = {static_cast<u8>(below(64) ? 7 + below(25) : random_()), 0, 0, 0};
    constexpr u8 k_usual[] = {100, 104, 110, 12, 14, 116, 118, 40, 24, 26, 120, 72, 76};
    message[4] = below(4) ? k_usual[below(std::size(k_usual))] : static_cast<u8>(random_());
    for (u32 i = 7; i < sizeof message; ++i)
      message[i] = static_cast<u8>(below(3) ? 0 : below(2) ? below(5) : random_());
    std::memcpy(d_.ram.host(GuestPa(Driver::k_base + place * 16)), message, sizeof message);
  }
  /// A chain as a driver would make it, at descriptors from `head` on.
  void make_chain(u32 queue, u16 head) {
    const u32 readable = below(3), writable = readable ? below(3) : 1, count = readable + writable;
    for (u32 i = 0; i < count; ++i)
      d_.write_descriptor(d_.rings[queue].desc, (head + i) % 16, Driver::k_base + below(2048) * 32, 1 + below(2048),
                          static_cast<u16>((i < readable ? 0 : 2) | (i + 1 < count ? 1 : 0)),
                          static_cast<u16>((head + i + 1) % 16));
  }
  void publish(u32 queue) {
    auto& r = d_.rings[queue];
    const u16 head = static_cast<u16>(below(below(64) ? 16 : 65536));
    make_chain(queue, head);
    if (below(4) == 0) spoil();
    d_.offer(queue, head);
    if (below(128) == 0) d_.store16(r.avail + 2, static_cast<u16>(value()));
    if (below(8) == 0) d_.store16(r.avail, static_cast<u16>(value()));
  }
  /// Lets a device with a thread of its own catch up, most of the time.
  void pause(u32 queue) {
    for (int i = 0; i < 20 && !d_.poll_used(queue); ++i) std::this_thread::yield();
  }

  std::mt19937 random_;
  Driver d_;
};

/// Drivers for each device and version; ARMVISOR_HOSTILE_SEEDS asks for fewer.
u32 seeds() {
  const char* const asked = std::getenv("ARMVISOR_HOSTILE_SEEDS");
  return asked ? static_cast<u32>(std::strtoul(asked, nullptr, 10)) : 30;
}

class HostileDriver : public ::testing::TestWithParam<u32> {};

template <class Version>
void expect_survived(u32 device, std::initializer_list<Version> versions, u32 count) {
  u64 completed = 0;
  for (const Version version : versions)
    for (u32 seed = 0; seed < count; ++seed) {
      Hostile h(device, version, seed);
      for (int i = 0; i < 60; ++i) h.round();
      completed += h.completed();
    }
  EXPECT_GT(completed, 100u) << "the attacks die too early to try anything";
}

TEST_P(HostileDriver, IsSurvivedOverMmio) {
  expect_survived(GetParam(), {MmioVersion::Modern, MmioVersion::Legacy}, seeds());
}
TEST_P(HostileDriver, IsSurvivedOverPci) {
  // Sockets and file systems have no legacy interface.
  const PciForm other =
      GetParam() == 19 || GetParam() == 26 ? PciForm{.legacy = false} : PciForm{.legacy = true, .modern = false};
  expect_survived(GetParam(), {PciForm{}, other}, (seeds() + 2) / 3);
}

INSTANTIATE_TEST_SUITE_P(Devices, HostileDriver, ::testing::Values(1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 19u, 26u));

/// The lines that `work` writes to standard error.
std::vector<std::string> lines_said(const std::function<void()>& work) {
  std::istringstream text(stderr_text_of(work));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(VirtioHostile, WhatADriverDoesWrongIsSaidOnceAndCounted) {
  log_repeats();  // of other tests
  Driver g(std::make_unique<Rng>());
  const auto said = lines_said([&] {
    for (int i = 0; i < 1000; ++i) {
      g.write(Driver::Status, 0);
      g.write(Driver::Status, 4);  // DRIVER_OK without FEATURES_OK
      EXPECT_NE(g.read(Driver::Status) & Driver::k_needs_reset, 0u);
    }
  });
  EXPECT_EQ(said.size(), 1u) << said.back();
  const auto repeats = lines_said([] { log_repeats(); });
  ASSERT_EQ(repeats.size(), 1u);
  EXPECT_NE(repeats[0].find("999 more times: virtio-rng: the driver set DRIVER_OK"), std::string::npos) << repeats[0];
}

TEST(VirtioHostile, EachDeviceHasItsOwnMessages) {
  log_repeats();
  auto ram = GuestRam::create(GuestPa(Driver::k_base), 1 << 20);
  ASSERT_TRUE(ram);
  testing::FakeIrq irq;
  const auto said = lines_said([&] {
    for (const char* label : {"one", "two", "one"}) {
      MmioTransport transport(std::make_unique<Rng>(), *ram, irq, MmioVersion::Modern, label);
      transport.mmio_write(Driver::Status, 4, 4);
    }
  });
  EXPECT_EQ(said.size(), 2u);
  log_repeats();
}

TEST(VirtioHostile, NorDoesAResetOfTheMachineMakeItNew) {
  log_repeats();
  const auto said = lines_said([] {
    for (int machine = 0; machine < 20; ++machine) {
      Driver g(std::make_unique<Rng>());
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(g.negotiate(k_feature_version_1));
        Driver::Ring& ring = g.place_queue(0, 16);
        ring.size = 15;  // not a power of two
        g.announce_queue(0);
        EXPECT_NE(g.read(Driver::Status) & Driver::k_needs_reset, 0u);
      }
    }
  });
  EXPECT_EQ(said.size(), 1u) << said.back();
  log_repeats();
}

}  // namespace
}  // namespace armvisor::devices::virtio
