// The other end of each link is played by the test: one that sends what it likes, reads nothing, or goes away.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "devices/backends/link_network.h"
#include "devices/backends/stream_link.h"
#include "stderr_text.h"

namespace armvisor::devices {
namespace {

using Family = SocketAddress::Family;
using Kind = FrameLinkOptions::Kind;
using Bytes = std::vector<u8>;

Bytes frame(u8 mark, std::size_t size = 60) { return Bytes(size, mark); }

void append_framed(Bytes& to, const Bytes& f) {
  const auto length = FrameReader::length_of(f);
  to.insert(to.end(), length.begin(), length.end());
  to.insert(to.end(), f.begin(), f.end());
}

// --- framing

TEST(FrameReader, TakesFramesOutOfPiecesOfAnySize) {
  Bytes stream;
  const std::vector<Bytes> sent = {frame(1), frame(2, FrameReader::k_longest), frame(3, 0), frame(4, 1),
                                   frame(5, 1514)};
  for (const Bytes& f : sent) append_framed(stream, f);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, std::size_t{100'000}}) {
    FrameReader reader;
    std::vector<Bytes> received;
    for (std::size_t at = 0; at < stream.size();) {
      const auto room = reader.room();
      const std::size_t n = std::min({piece, room.size(), stream.size() - at});
      ASSERT_GT(n, 0u);
      std::memcpy(room.data(), stream.data() + at, n);
      at += n;
      ASSERT_TRUE(reader.take(n, [&](std::span<const u8> f) { received.emplace_back(f.begin(), f.end()); }));
    }
    EXPECT_EQ(received, sent) << piece;
  }
}

TEST(FrameReader, NoFrameIsLongerThanTheLongest) {
  FrameReader reader;
  const Bytes bad = {0x00, 0x01, 0x10, 0x01};  // 69633
  std::memcpy(reader.room().data(), bad.data(), bad.size());
  EXPECT_FALSE(reader.take(bad.size(), [](std::span<const u8>) { FAIL(); }));
  reader.restart();
  std::memcpy(reader.room().data(), Bytes{0xff, 0xff, 0xff, 0xff}.data(), 4);
  EXPECT_FALSE(reader.take(4, [](std::span<const u8>) { FAIL(); }));
}

// --- links

/// Sends what it is given, and keeps what comes.
class Client final : public NetworkClient {
 public:
  bool transmit_pending() override {
    std::vector<Bytes> sent;
    {
      const std::lock_guard lock(mutex_);
      sent.swap(to_send_);
    }
    for (const Bytes& f : sent) backend->send(f);
    const std::lock_guard lock(mutex_);
    ++asked_;
    changed_.notify_all();
    return false;
  }
  void receive(std::span<const u8> f) override {
    const std::lock_guard lock(mutex_);
    received_.emplace_back(f.begin(), f.end());
    changed_.notify_all();
  }
  void received_all() override {}

  /// Returns when the backend has been given all of them.
  void send(std::vector<Bytes> frames) {
    std::unique_lock lock(mutex_);
    to_send_ = std::move(frames);
    const u64 before = asked_;
    backend->wake();
    changed_.wait(lock, [&] { return to_send_.empty() && asked_ > before; });
  }
  Bytes next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), [this] { return !received_.empty(); })) return {};
    Bytes f = std::move(received_.front());
    received_.erase(received_.begin());
    return f;
  }
  NetworkBackend* backend = nullptr;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  u64 asked_ = 0;
  std::vector<Bytes> to_send_, received_;
};

void wait_for(int fd, short events) {
  pollfd p{fd, events, 0};
  ASSERT_EQ(::poll(&p, 1, 60'000), 1) << "nothing happens at the other end";
}

void write_all(const Fd& fd, const Bytes& bytes) {
  ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

/// As many bytes as are wanted, or as there are before the end.
Bytes read_bytes(const Fd& fd, std::size_t wanted) {
  Bytes all(wanted);
  std::size_t got = 0;
  while (got < wanted) {
    wait_for(fd.get(), POLLIN);
    const ssize_t n = ::recv(fd.get(), all.data() + got, wanted - got, 0);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  all.resize(got);
  return all;
}

Bytes read_frame(const Fd& fd) {
  const Bytes l = read_bytes(fd, 4);
  return l.size() < 4 ? Bytes() : read_bytes(fd, u32{l[0]} << 24 | u32{l[1]} << 16 | u32{l[2]} << 8 | l[3]);
}

class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    char name[] = "/tmp/link_test.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~LinkTest() override {
    if (network_) network_->stop();
    std::filesystem::remove_all(directory_);
  }

  std::string path(const std::string& name) { return directory_ + "/" + name; }
  static SocketAddress inet(const std::string& host, u16 port) {
    return {.family = Family::Inet, .host = host, .port = std::to_string(port), .path = {}};
  }
  SocketAddress unix_socket(const std::string& name) {
    return {.family = Family::Unix, .host = {}, .port = {}, .path = path(name)};
  }
  static SocketAddress descriptor(int fd) {
    return {.family = Family::Descriptor, .host = {}, .port = {}, .path = {}, .fd = fd};
  }

  void start(Kind kind, const SocketAddress& local, const SocketAddress& remote, std::optional<u32> reconnect_ms = {}) {
    auto link = FrameLink::open({"net test", kind, local, remote, reconnect_ms});
    ASSERT_TRUE(link) << link.error().message;
    start(*link);
  }
  void start(std::shared_ptr<FrameLink> link) {
    auto network = LinkNetwork::create(std::move(link));
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    client_.backend = network_.get();
    ASSERT_TRUE(network_->start(client_));
  }
  Fd listen_unix(const std::string& name) {
    auto socket = bind_socket("test", unix_socket(name), SOCK_STREAM);
    EXPECT_TRUE(socket);
    EXPECT_EQ(::listen(socket->get(), 4), 0);
    return std::move(*socket);
  }
  static Fd accept(const Fd& listening) {
    wait_for(listening.get(), POLLIN);
    Fd peer(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(peer);
    return peer;
  }
  static Fd connect(const SocketAddress& address) {
    const auto found = find_addresses("test", address, SOCK_STREAM, false);
    EXPECT_TRUE(found);
    Fd socket(::socket((*found)[0].family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), (*found)[0].get(), (*found)[0].size), 0) << std::strerror(errno);
    return socket;
  }
  static u16 port_of(const Fd& socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  /// Frames go both ways between the client and `peer`.
  void carries(const Fd& peer, u8 mark) {
    Bytes framed;
    append_framed(framed, frame(mark));
    write_all(peer, framed);
    EXPECT_EQ(client_.next(), frame(mark));  // so it is connected
    client_.send({frame(static_cast<u8>(mark + 1), 1514)});
    EXPECT_EQ(read_frame(peer), frame(static_cast<u8>(mark + 1), 1514));
  }

  std::string directory_;
  Client client_;
  std::unique_ptr<LinkNetwork> network_;
};

TEST_F(LinkTest, AServerTakesOnePeerAfterAnother) {
  start(Kind::Listen, unix_socket("s"), {});
  for (u8 i = 1; i < 6; i += 2) {
    const Fd peer = connect(unix_socket("s"));
    carries(peer, i);
  }
  network_.reset();
  EXPECT_FALSE(std::filesystem::exists(path("s"))) << "its name goes with it";
}

TEST_F(LinkTest, AClientOfTcpSendsAndReceives) {
  auto listening = bind_socket("test", inet("127.0.0.1", 0), SOCK_STREAM);
  ASSERT_TRUE(listening);
  ASSERT_EQ(::listen(listening->get(), 1), 0);
  start(Kind::Connect, {}, inet("127.0.0.1", port_of(*listening)));
  carries(accept(*listening), 7);
}

TEST_F(LinkTest, AClientConnectsAgainWhenItIsToldTo) {
  start(Kind::Connect, {}, unix_socket("later"), 1);  // nobody is there yet
  const Fd listening = listen_unix("later");
  for (u8 i = 1; i < 6; i += 2) carries(accept(listening), i);
}

TEST_F(LinkTest, AClientThatIsNotToConnectAgainDoesNot) {
  const Fd listening = listen_unix("once");
  start(Kind::Connect, {}, unix_socket("once"));
  carries(accept(listening), 1);
  for (int i = 0; i < 3; ++i)
    client_.send({frame(3)});  // it has seen the end of the connection by then, or sees it now
  pollfd p{listening.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 0), 0);
}

TEST_F(LinkTest, ADescriptorIsAConnection) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const Fd peer(pair[1]);
  start(Kind::Connect, {}, descriptor(pair[0]));
  carries(peer, 1);
  network_.reset();
  EXPECT_EQ(read_bytes(peer, 1).size(), 0u) << "the descriptor was the link's own";
}

TEST_F(LinkTest, AResetOfTheMachineDoesNotCutIt) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const Fd peer(pair[1]);
  auto link = FrameLink::open({"net test", Kind::Connect, {}, descriptor(pair[0]), {}});
  ASSERT_TRUE(link);
  start(*link);
  carries(peer, 1);
  network_.reset();
  start(*link);
  carries(peer, 3);
}

TEST_F(LinkTest, APeerThatReadsNothingCostsFramesAndBoundedMemory) {
  const Fd listening = listen_unix("s");
  start(Kind::Connect, {}, unix_socket("s"));
  const Fd peer = accept(listening);
  carries(peer, 1);
  constexpr std::size_t k_sent = 4096;
  for (std::size_t i = 0; i < k_sent; ++i) client_.send({frame(static_cast<u8>(i), 1514)});  // returns, so nobody waits
  Bytes framed;
  append_framed(framed, frame(9));
  write_all(peer, framed);
  EXPECT_EQ(client_.next(), frame(9)) << "it still gives";
  // What it gets when it reads at last is whole frames, from the first one on.
  std::size_t got = 0;
  for (;; ++got) {
    const Bytes f = read_frame(peer);
    if (f == frame(10)) break;  // there is room again
    ASSERT_EQ(f, frame(static_cast<u8>(got), 1514)) << got;
    client_.send({frame(10)});
  }
  EXPECT_GE(got, FrameStream::k_most_waiting / 1518);
  EXPECT_LT(got, k_sent);
}

TEST_F(LinkTest, ABadLengthEndsTheConnectionAndTheNextPeerIsTaken) {
  start(Kind::Listen, unix_socket("s"), {});
  for (const Bytes& bad : {Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0, 1, 0x10, 1, 2, 3}}) {
    const Fd peer = connect(unix_socket("s"));
    write_all(peer, bad);
    char byte;
    wait_for(peer.get(), POLLIN);
    EXPECT_LE(::recv(peer.get(), &byte, 1, 0), 0);
  }
  carries(connect(unix_socket("s")), 1);
}

TEST_F(LinkTest, WhatIsNoEthernetFrameGoesNoFurther) {
  start(Kind::Listen, unix_socket("s"), {});
  const Fd peer = connect(unix_socket("s"));
  Bytes framed;
  append_framed(framed, frame(1, 0));
  append_framed(framed, frame(2, 13));
  append_framed(framed, frame(3, 65537));
  append_framed(framed, frame(4, 14));
  std::size_t at = 0;
  while (at < framed.size()) {
    const ssize_t n = ::send(peer.get(), framed.data() + at, framed.size() - at, MSG_NOSIGNAL);
    ASSERT_GT(n, 0);
    at += static_cast<std::size_t>(n);
  }
  EXPECT_EQ(client_.next(), frame(4, 14));
}

TEST_F(LinkTest, DatagramsOfUdpAreFrames) {
  auto peer = bind_socket("test", inet("127.0.0.1", 0), SOCK_DGRAM);
  ASSERT_TRUE(peer);
  auto ours = bind_socket("test", inet("127.0.0.1", 0), SOCK_DGRAM);
  ASSERT_TRUE(ours);
  const u16 port = port_of(*ours);
  ours->reset();
  start(Kind::Datagram, inet("127.0.0.1", port), inet("127.0.0.1", port_of(*peer)));
  client_.send({frame(1, 1514), frame(2)});
  EXPECT_EQ(read_bytes(*peer, 1514), frame(1, 1514));
  EXPECT_EQ(read_bytes(*peer, 60), frame(2));
  const auto to = find_addresses("test", inet("127.0.0.1", port), SOCK_DGRAM, false);
  const auto give = [&](const Bytes& f) {
    ::sendto(peer->get(), f.data(), f.size(), 0, (*to)[0].get(), (*to)[0].size);
  };
  give(frame(3, 5));
  give(frame(4));
  EXPECT_EQ(client_.next(), frame(4)) << "what is no frame is none";
  peer->reset();
  for (int i = 0; i < 10; ++i) client_.send({frame(5)});  // nobody is there: nothing happens
}

TEST_F(LinkTest, DatagramsOfUnixSocketsAreFrames) {
  start(Kind::Datagram, unix_socket("ours"), unix_socket("theirs"));
  client_.send({frame(1)});  // nobody is there yet
  auto peer = bind_socket("test", unix_socket("theirs"), SOCK_DGRAM);
  ASSERT_TRUE(peer);
  client_.send({frame(2)});
  EXPECT_EQ(read_bytes(*peer, 60), frame(2));
  for (int i = 0; i < 2000; ++i) client_.send({frame(3)});  // more than the peer's queue takes
  const auto to = find_addresses("test", unix_socket("ours"), SOCK_DGRAM, false);
  const Bytes f = frame(4);
  ASSERT_EQ(::sendto(peer->get(), f.data(), f.size(), 0, (*to)[0].get(), (*to)[0].size), 60);
  EXPECT_EQ(client_.next(), frame(4));
}

TEST_F(LinkTest, ADescriptorOfDatagramsIsConnected) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
  const Fd peer(pair[1]);
  start(Kind::Datagram, descriptor(pair[0]), {});
  client_.send({frame(1)});
  EXPECT_EQ(read_bytes(peer, 60), frame(1));
  write_all(peer, frame(2));
  EXPECT_EQ(client_.next(), frame(2));
}

TEST_F(LinkTest, AMulticastGroupHasSeveralMembers) {
  auto spare = bind_socket("test", inet("127.0.0.1", 0), SOCK_DGRAM);
  ASSERT_TRUE(spare);
  const FrameLinkOptions options{"net test",
                                 Kind::Datagram,
                                 {.family = Family::Inet, .host = "127.0.0.1", .port = {}, .path = {}},
                                 inet("230.0.0.77", port_of(*spare)),
                                 {}};
  spare->reset();
  auto other = FrameLink::open(options);
  if (!other) GTEST_SKIP() << other.error().message;
  auto link = FrameLink::open(options);
  ASSERT_TRUE(link) << link.error().message;
  start(*link);
  client_.send({frame(1)});
  EXPECT_EQ(client_.next(), frame(1)) << "the sender is a member";
  Bytes seen;
  wait_for((*other)->wait().fd, POLLIN);
  (*other)->serve([&](std::span<const u8> f) { seen.assign(f.begin(), f.end()); });
  EXPECT_EQ(seen, frame(1));
}

/// vde_switch, which ends with its standard input.
class VdeSwitch {
 public:
  explicit VdeSwitch(const std::string& place)
      : program_(::popen(("exec vde_switch -s " + place + " > /dev/null 2>&1").c_str(), "w")) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
         !std::filesystem::exists(place + "/ctl") && std::chrono::steady_clock::now() < end;)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~VdeSwitch() { stop(); }
  void stop() {
    if (program_) ::pclose(std::exchange(program_, nullptr));
  }

 private:
  FILE* program_;
};

/// Why libvdeplug cannot be used here, or nothing. It loads its parts with RTLD_DEEPBIND, which ends a program that has
/// a sanitizer; ./check runs this test in the release build, too.
const char* vde_obstacle() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "libvdeplug and sanitizers exclude each other";
#else
  return ::system("command -v vde_switch > /dev/null 2>&1") == 0 ? nullptr
                                                                 : "there is no vde_switch (Debian's package vde2)";
#endif
}

FrameLinkOptions vde(const std::string& place) {
  FrameLinkOptions options{"net test", Kind::Vde, {}, {}, {}};
  options.vde.place = place;
  return options;
}

TEST_F(LinkTest, FramesGoThroughAVdeSwitchUntilItEnds) {
  if (const char* const obstacle = vde_obstacle()) GTEST_SKIP() << obstacle;
  VdeSwitch hub(path("hub"));
  const auto own = FrameLink::open(vde(path("hub")));
  ASSERT_TRUE(own) << own.error().message;
  start(*own);
  const auto other = FrameLink::open(vde(path("hub")));
  ASSERT_TRUE(other) << other.error().message;
  const auto broadcast = [](u8 mark, u8 from) {
    Bytes f = frame(mark);
    std::fill_n(f.begin(), 6, u8{0xff});
    std::copy_n(Bytes{0x52, 0x54, 0, 0, 0, from}.begin(), 6, f.begin() + 6);
    return f;
  };
  client_.send({broadcast(1, 1)});
  Bytes seen;
  wait_for((*other)->wait().fd, POLLIN);
  EXPECT_FALSE((*other)->serve([&](std::span<const u8> f) { seen.assign(f.begin(), f.end()); }));
  EXPECT_EQ(seen, broadcast(1, 1));
  (*other)->send(broadcast(2, 2));
  EXPECT_EQ(client_.next(), broadcast(2, 2));
  // A reader that reads nothing costs frames, and nobody waits.
  for (int n = 0; n < 10'000; ++n) (*other)->send(broadcast(3, 2));
  hub.stop();
  const std::string said = stderr_text_of([&] {
    for (int n = 0; n < 10'000; ++n) (*other)->send(broadcast(4, 2));
  });
  EXPECT_LT((*other)->wait().fd, 0);
  EXPECT_NE(said.find("the switch has gone"), std::string::npos) << said;
}

TEST_F(LinkTest, AVdeSwitchThatDoesNotAnswerIsWaitedForUntilTheEnd) {
  if (const char* const obstacle = vde_obstacle()) GTEST_SKIP() << obstacle;
  std::filesystem::create_directory(path("mute"));
  const Fd mute = listen_unix("mute/ctl");
  const auto stop = *StopEvent::create();
  stop->set();
  const auto link = FrameLink::open(vde(path("mute")), stop.get());
  ASSERT_FALSE(link);
  EXPECT_NE(link.error().message.find("the machine's end"), std::string::npos) << link.error().message;
}

TEST_F(LinkTest, AVdeSwitchThatIsNotThereIsAnErrorOfTheStart) {
  if (const char* const obstacle = vde_obstacle()) GTEST_SKIP() << obstacle;
  const auto nowhere = FrameLink::open(vde(path("nowhere")));
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("expected a switch at"), std::string::npos) << nowhere.error().message;
}

TEST_F(LinkTest, WhatCannotBeIsAnErrorOfTheStart) {
  const auto refused = [](Kind kind, const SocketAddress& local, const SocketAddress& remote) {
    const auto link = FrameLink::open({"net test", kind, local, remote, {}});
    if (link) return std::string("it was opened");
    EXPECT_NE(link.error().message.find("net test: expected"), std::string::npos) << link.error().message;
    return std::string();
  };
  EXPECT_EQ(refused(Kind::Listen, unix_socket("no/such/folder"), {}), "");
  EXPECT_EQ(refused(Kind::Listen, unix_socket(std::string(200, 'x')), {}), "");
  EXPECT_EQ(refused(Kind::Connect, {}, inet("no.such.host.invalid", 1)), "");
  EXPECT_EQ(refused(Kind::Connect, {}, descriptor(12345)), "");
  const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(refused(Kind::Datagram, descriptor(file.get()), {}), "");
  const Fd listening = listen_unix("s");
  EXPECT_EQ(refused(Kind::Connect, {}, descriptor(listening.get())), "");
  const std::string text = path("text");
  std::ofstream(text) << "text";
  EXPECT_EQ(refused(Kind::Listen, unix_socket("text"), {}), "");
  EXPECT_TRUE(std::filesystem::exists(text)) << "a file that is no socket stays";
}

}  // namespace
}  // namespace armvisor::devices
