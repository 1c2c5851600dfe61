// Files of packets: what is in them, and readers that do not read.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "devices/backends/no_network.h"
#include "devices/backends/packet_dump.h"

namespace armvisor::devices {
namespace {

using Bytes = std::vector<u8>;

struct Packet {
  u32 seconds, bytes;
  Bytes kept;
};

/// The packets of a file, which has to be whole.
std::vector<Packet> read_packets(const std::string& path, u32 most_bytes) {
  std::ifstream file(path, std::ios::binary);
  const Bytes all{std::istreambuf_iterator<char>(file), {}};
  const auto word = [&all](std::size_t at) {
    u32 w = 0;
    std::memcpy(&w, all.data() + at, 4);
    return w;
  };
  std::vector<Packet> packets;
  if (all.size() < 24) {
    ADD_FAILURE() << "no header";
    return packets;
  }
  EXPECT_EQ(word(0), 0xa1b2c3d4u);
  EXPECT_EQ(word(4), 0x00040002u);
  EXPECT_EQ(word(16), most_bytes);
  EXPECT_EQ(word(20), 1u);
  std::size_t at = 24;
  while (at + 16 <= all.size()) {
    const u32 kept = word(at + 8);
    EXPECT_LT(word(at + 4), 1'000'000u);
    EXPECT_LE(at + 16 + kept, all.size()) << "cut off";
    if (at + 16 + kept > all.size()) return packets;
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at + 16);
    packets.push_back({word(at), word(at + 12), {begin, begin + kept}});
    at += 16 + kept;
  }
  EXPECT_EQ(at, all.size()) << "cut off";
  return packets;
}

class DumpTest : public testing::Test {
 protected:
  DumpTest() {
    char name[] = "/tmp/dump_test.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~DumpTest() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) { return directory_ + "/" + name; }
  static std::shared_ptr<PacketDump> start(const DumpOptions& options) {
    auto dump = PacketDump::open(options, {});
    EXPECT_TRUE(dump) << dump.error().message;
    EXPECT_TRUE((*dump)->start());
    return *std::move(dump);
  }
  std::string directory_;
};

TEST_F(DumpTest, HasTheFramesOfBothWaysAndNoMoreOfEachThanItShould) {
  const auto dump = start({.option = "test", .path = path("a"), .most_bytes = 100});
  dump->add(Bytes(60, 1), true);
  dump->add(Bytes(1514, 2), false);
  dump->drain();
  const auto packets = read_packets(path("a"), 100);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[0].kept, Bytes(60, 1));
  EXPECT_EQ(packets[0].bytes, 60u);
  EXPECT_EQ(packets[1].kept, Bytes(100, 2));
  EXPECT_EQ(packets[1].bytes, 1514u);
  EXPECT_NEAR(packets[0].seconds, static_cast<double>(::time(nullptr)), 600);
}

TEST_F(DumpTest, MayHaveTheFramesOfOneWayOrNone) {
  using enum DumpOptions::Direction;
  const auto frames = [&](const DumpOptions& options) {
    const auto dump = start(options);
    dump->add(Bytes(60, 1), true);
    dump->add(Bytes(60, 2), false);
    dump->drain();
    Bytes marks;
    for (const Packet& p : read_packets(path("a"), 65536)) marks.push_back(p.kept[0]);
    return marks;
  };
  EXPECT_EQ(frames({.option = "test", .path = path("a")}), (Bytes{1, 2}));
  EXPECT_EQ(frames({.option = "test", .path = path("a"), .direction = FromGuest}), Bytes{1});
  EXPECT_EQ(frames({.option = "test", .path = path("a"), .direction = ToGuest}), Bytes{2});
  EXPECT_EQ(frames({.option = "test", .path = path("a"), .on = false}), Bytes{});
}

TEST_F(DumpTest, WhatAFileHeldGoesWhenTheDumpStartsAndNotBefore) {
  std::ofstream(path("a")) << "kept";
  auto dump = PacketDump::open({.option = "test", .path = path("a")}, {});
  ASSERT_TRUE(dump);
  EXPECT_EQ(std::filesystem::file_size(path("a")), 4u);
  EXPECT_FALSE(PacketDump::open({.option = "test", .path = path("a")}, {})) << "it is in use";
  ASSERT_TRUE((*dump)->start());
  (*dump)->drain();
  EXPECT_EQ(read_packets(path("a"), 65536).size(), 0u);
  EXPECT_FALSE(PacketDump::open({.option = "test", .path = path("b")}, {path("b")})) << "the machine reads it";
  EXPECT_FALSE(PacketDump::open({.option = "test", .path = directory_}, {}));
}

TEST_F(DumpTest, AReaderWhoDoesNotReadCostsFramesAndBoundedMemory) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  auto dump = start({.option = "test", .path = path("fifo")});
  for (int i = 0; i < 1000; ++i) dump->add(Bytes(60000, 4), true);  // 60 MB, and nobody is there
  const int reader = ::open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  Bytes got, part(1 << 16);
  // The header comes first, then whole frames, of which there were no more than had room.
  while (got.size() < 24 + 16 + 60000) {
    pollfd p{reader, POLLIN, 0};
    ASSERT_EQ(::poll(&p, 1, 60'000), 1);
    const ssize_t n = ::read(reader, part.data(), part.size());
    if (n > 0) got.insert(got.end(), part.begin(), part.begin() + n);
  }
  EXPECT_EQ(got[0], 0xd4);
  EXPECT_EQ(got[24 + 16], 4);
  dump->give_up();
  ::close(reader);
  dump.reset();
}

TEST_F(DumpTest, AFullHostEndsTheDumpAndNothingElse) {
  const auto dump = start({.option = "test", .path = "/dev/full"});
  for (int i = 0; i < 1000; ++i) dump->add(Bytes(60000, 5), true);
  dump->drain();
}

// --- a network that is dumped

/// One frame to send, and those that came.
struct Client final : NetworkClient {
  bool transmit_pending() override {
    backend->send(Bytes(60, 6));
    return false;
  }
  void receive(std::span<const u8> frame) override { came.emplace_back(frame.begin(), frame.end()); }
  void received_all() override {}
  NetworkBackend* backend = nullptr;
  std::vector<Bytes> came;
};

/// Gives each frame back.
class Echo final : public NetworkBackend {
 public:
  Status start(NetworkClient& client) override {
    client_ = &client;
    return {};
  }
  void stop() override { client_ = nullptr; }
  void wake() override { client_->transmit_pending(); }
  void send(std::span<const u8> frame) override {
    Bytes answer(frame.begin(), frame.end());
    answer[0] = 7;
    client_->receive(answer);
  }

 private:
  NetworkClient* client_ = nullptr;
};

TEST_F(DumpTest, ANetworkGoesOnAsBefore) {
  const auto first = start({.option = "test", .path = path("a")});
  const auto second = start({.option = "test", .path = path("b"), .most_bytes = 20});
  DumpedNetwork network(std::make_unique<Echo>(), {first, second});
  Client client;
  client.backend = &network;
  ASSERT_TRUE(network.start(client));
  network.wake();
  network.stop();
  ASSERT_EQ(client.came.size(), 1u);
  EXPECT_EQ(client.came[0][0], 7);
  first->drain();
  second->drain();
  const auto packets = read_packets(path("a"), 65536);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[0].kept, Bytes(60, 6));
  EXPECT_EQ(packets[1].kept, client.came[0]);
  EXPECT_EQ(read_packets(path("b"), 20).size(), 2u);
}

}  // namespace
}  // namespace armvisor::devices
