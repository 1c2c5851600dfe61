// Character devices: sockets whose peers come, go and read nothing; terminals and pipes; muxes and their keys; telnet.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "devices/backends/terminal.h"
#include "devices/chardev/chardevs.h"
#include "devices/chardev/descriptor_chardev.h"
#include "devices/chardev/pty_chardev.h"
#include "devices/chardev/socket_chardev.h"
#include "devices/chardev/udp_chardev.h"
#include "unit/fake_chardev.h"

namespace armvisor::devices {
namespace {

using namespace std::chrono_literals;
/// What does not end is a failure, not a test that hangs.
constexpr auto k_forever = 60s;

std::span<const u8> bytes(std::string_view s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

template <class Condition>
bool wait_for(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + k_forever;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Who is attached to a chardev, and takes at most `limit` bytes in all.
class User {
 public:
  explicit User(Chardev& chardev) : chardev_(chardev) {
    chardev.attach({.input =
                        [this](std::span<const u8> in) {
                          const std::lock_guard lock(mutex_);
                          const std::size_t n = std::min(in.size(), limit_ - std::min(limit_, got_.size()));
                          got_.append(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
                          return n;
                        },
                    .send_break = [this] { ++breaks; },
                    .opened = [this](bool open) { (open ? opens : closes)++; },
                    .writable = [this] { ++writables; },
                    .resized = {},
                    .focused = [this](bool has) { focused = has; }});
  }
  ~User() { chardev_.detach(); }
  std::string got() {
    const std::lock_guard lock(mutex_);
    return got_;
  }
  void limit(std::size_t n) {
    {
      const std::lock_guard lock(mutex_);
      limit_ = n;
    }
    chardev_.room();
  }
  bool wait_for_input(std::string_view text) {
    return wait_for([&] { return got() == text; });
  }
  std::atomic<int> breaks{0}, opens{0}, closes{0}, writables{0};
  std::atomic<bool> focused{false};

 private:
  Chardev& chardev_;
  std::mutex mutex_;
  std::string got_;
  std::size_t limit_ = ~std::size_t{0};
};

std::string read_exactly(int fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    pollfd p{fd, POLLIN, 0};
    if (poll(&p, 1, 60'000) <= 0) break;
    const ssize_t n = read(fd, text.data() + got, size - got);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  text.resize(got);
  return text;
}

class SocketTest : public testing::Test {
 protected:
  SocketTest() : path_("/tmp/chardev_test." + std::to_string(getpid())) {}
  ~SocketTest() override { std::filesystem::remove(path_); }

  SocketOptions options(bool server) const {
    SocketOptions o;
    o.at.family = SocketAddress::Family::Unix;
    o.at.path = path_;
    o.server = server;
    o.wait = false;
    return o;
  }
  std::unique_ptr<SocketChardev> open(const SocketOptions& o) {
    auto made = SocketChardev::create("-chardev", o, -1);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return *std::move(made);
  }
  Fd connect() const {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, path_.c_str());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0) << std::strerror(errno);
    return fd;
  }
  Fd listen() const {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, path_.c_str());
    unlink(path_.c_str());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }
  void send(const Fd& fd, std::string_view text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  const std::string path_;
};

TEST_F(SocketTest, AClientComesGoesAndComesAgain) {
  const auto server = open(options(true));
  User user(*server);
  ASSERT_TRUE(server->start());
  EXPECT_EQ(server->filename(), "disconnected:unix:" + path_ + ",server=on");
  server->write(bytes("nobody hears this"));
  for (int round = 1; round <= 3; ++round) {
    const Fd client = connect();
    ASSERT_TRUE(wait_for([&] { return user.opens == round; }));
    EXPECT_EQ(server->filename(), "unix:" + path_ + ",server=on");
    send(client, "in" + std::to_string(round));
    ASSERT_TRUE(wait_for([&] { return user.got().ends_with("in" + std::to_string(round)); }));
    EXPECT_TRUE(server->offer(bytes("out")));
    EXPECT_EQ(read_exactly(client.get(), 3), "out");
    ::shutdown(client.get(), SHUT_RDWR);
    ASSERT_TRUE(wait_for([&] { return user.closes == round; }));
  }
  EXPECT_EQ(user.got(), "in1in2in3");
}

/// A monitor lets the guest go when whoever connected before hears it, however busy the chardev's thread is.
TEST_F(SocketTest, WhoHasConnectedIsThereWhenAsked) {
  const auto server = open(options(true));
  User user(*server);
  for (int round = 1; round <= 50; ++round) {
    const Fd client = connect();
    server->accept_waiting();
    ASSERT_TRUE(server->connected());
    EXPECT_TRUE(server->offer(bytes("first")));
    EXPECT_EQ(read_exactly(client.get(), 5), "first");
    if (round == 1) {
      ASSERT_TRUE(server->start());
    }
    ::shutdown(client.get(), SHUT_RDWR);
    ASSERT_TRUE(wait_for([&] { return user.closes == round; }));
    EXPECT_EQ(user.opens, round);
  }
}

TEST_F(SocketTest, AFileThatIsNoSocketIsNotReplaced) {
  std::ofstream(path_) << "precious";
  EXPECT_FALSE(SocketChardev::create("-chardev", options(true), -1));
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(SocketTest, ASecondClientWaitsUntilTheFirstIsGone) {
  const auto server = open(options(true));
  User user(*server);
  ASSERT_TRUE(server->start());
  Fd first = connect();
  ASSERT_TRUE(wait_for([&] { return user.opens == 1; }));
  const Fd second = connect();
  send(second, "second");
  server->write(bytes("1"));
  EXPECT_EQ(read_exactly(first.get(), 1), "1");
  EXPECT_EQ(user.got(), "");
  first.reset();
  EXPECT_TRUE(user.wait_for_input("second"));
}

TEST_F(SocketTest, APeerThatReadsNothingIsHeldBackAndLosesNothing) {
  const auto server = open(options(true));
  User user(*server);
  ASSERT_TRUE(server->start());
  const Fd client = connect();
  ASSERT_TRUE(wait_for([&] { return user.opens == 1; }));
  const std::string piece(1000, 'x');
  std::size_t sent = 0;
  while (server->offer(bytes(piece))) {
    sent += piece.size();
    ASSERT_LT(sent, std::size_t{16} << 20) << "it is bounded";
  }
  EXPECT_EQ(read_exactly(client.get(), sent), std::string(sent, 'x'));
  EXPECT_TRUE(wait_for([&] { return user.writables > 0; }));
  EXPECT_TRUE(server->offer(bytes("end")));
  EXPECT_EQ(read_exactly(client.get(), 3), "end");
}

TEST_F(SocketTest, WhoWaitsForAPeerThatReadsNothingGoesOnWhenItIsGone) {
  const auto server = open(options(true));
  User user(*server);
  ASSERT_TRUE(server->start());
  Fd client = connect();
  ASSERT_TRUE(wait_for([&] { return user.opens == 1; }));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    server->write(bytes(std::string(16 << 20, 'x')));
    done = true;
  });
  read_exactly(client.get(), 1000);
  EXPECT_FALSE(done);
  client.reset();
  EXPECT_TRUE(wait_for([&] { return done.load(); }));
  writer.join();
}

TEST_F(SocketTest, WhoWaitsGoesOnWhenItIsGivenUp) {
  const auto server = open(options(true));
  User user(*server);
  ASSERT_TRUE(server->start());
  const Fd client = connect();
  ASSERT_TRUE(wait_for([&] { return user.opens == 1; }));
  std::thread writer([&] { server->write(bytes(std::string(16 << 20, 'x'))); });
  read_exactly(client.get(), 1000);
  server->give_up();
  writer.join();
  server->stop();
}

TEST_F(SocketTest, AUserThatTakesNothingHoldsBackThePeer) {
  const auto server = open(options(true));
  User user(*server);
  user.limit(3);
  ASSERT_TRUE(server->start());
  Fd client = connect();
  send(client, "abcdef");
  EXPECT_TRUE(user.wait_for_input("abc"));
  fcntl(client.get(), F_SETFL, O_NONBLOCK);
  const std::string much(4096, 'x');
  std::size_t sent = 6;
  for (ssize_t n = 0; (n = ::send(client.get(), much.data(), much.size(), MSG_NOSIGNAL)) > 0;)
    sent += static_cast<std::size_t>(n);
  EXPECT_LT(sent, std::size_t{16} << 20);
  user.limit(~std::size_t{0});
  EXPECT_TRUE(wait_for([&] { return user.got().size() == sent; }));
}

TEST_F(SocketTest, APeerThatSaysMuchAndGoesIsHeardToItsEnd) {
  const auto server = open(options(true));
  User user(*server);
  user.limit(3);
  ASSERT_TRUE(server->start());
  send(connect(), std::string(20'000, 'x'));
  EXPECT_TRUE(user.wait_for_input("xxx"));
  user.limit(10'000);
  EXPECT_TRUE(user.wait_for_input(std::string(10'000, 'x')));
  EXPECT_EQ(user.closes, 0);
  user.limit(~std::size_t{0});
  EXPECT_TRUE(user.wait_for_input(std::string(20'000, 'x')));
  EXPECT_TRUE(wait_for([&] { return user.closes == 1; }));
}

TEST_F(SocketTest, APeerThatHasGoneKeepsNoOtherOut) {
  const auto server = open(options(true));
  User user(*server);
  user.limit(3);
  ASSERT_TRUE(server->start());
  send(connect(), std::string(20'000, 'x'));
  EXPECT_TRUE(user.wait_for_input("xxx"));
  const Fd second = connect();
  EXPECT_TRUE(wait_for([&] { return user.opens == 2; }));
}

TEST_F(SocketTest, AClientIsConnectedAtOnceOrTheStartFails) {
  const auto nobody = SocketChardev::create("-chardev", options(false), -1);
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().message.find("expected to connect to unix:"), std::string::npos) << nobody.error().message;
  const Fd listening = listen();
  const auto client = open(options(false));
  User user(*client);
  EXPECT_EQ(user.opens, 1);
  ASSERT_TRUE(client->start());
  const Fd peer(::accept(listening.get(), nullptr, nullptr));
  send(peer, "hello");
  EXPECT_TRUE(user.wait_for_input("hello"));
}

TEST_F(SocketTest, AClientConnectsAgain) {
  SocketOptions o = options(false);
  o.reconnect_ms = 5;
  const auto client = open(o);
  User user(*client);
  ASSERT_TRUE(client->start());
  for (int round = 1; round <= 3; ++round) {
    const Fd listening = listen();
    const Fd peer(::accept(listening.get(), nullptr, nullptr));
    ASSERT_TRUE(wait_for([&] { return user.opens == round; }));
    client->write(bytes("x"));
    EXPECT_EQ(read_exactly(peer.get(), 1), "x");
    unlink(path_.c_str());
  }
}

TEST_F(SocketTest, AServerReplacesAnEmptyFileAndRemovesItsOwn) {
  std::ofstream(path_).close();  // as mktemp leaves it
  {
    const auto server = open(options(true));
    EXPECT_TRUE(std::filesystem::is_socket(path_));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SocketTest, AServerWaitsForItsClientOrTheEnd) {
  SocketOptions o = options(true);
  o.wait = true;
  const auto server = open(o);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread later([&] {
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
  });
  EXPECT_FALSE(server->wait_for_peer(ends[0]));
  later.join();
  Fd client = connect();
  char c;
  EXPECT_EQ(read(ends[0], &c, 1), 1);
  EXPECT_TRUE(server->wait_for_peer(ends[0]));
  EXPECT_TRUE(server->connected());
  close(ends[0]);
  close(ends[1]);
}

TEST_F(SocketTest, TcpPortsAreChosenAndTold) {
  SocketOptions o;
  o.at.family = SocketAddress::Family::Inet;
  o.at.host = "127.0.0.1";
  o.at.port = "0";
  o.server = true;
  o.wait = false;
  const auto server = open(o);
  User user(*server);
  ASSERT_TRUE(server->start());
  unsigned port = 0;
  ASSERT_EQ(std::sscanf(server->filename().c_str(), "disconnected:tcp:127.0.0.1:%u,server=on", &port), 1)
      << server->filename();
  o.server = false;
  o.at.port = std::to_string(port);
  const auto client = open(o);
  User other(*client);
  ASSERT_TRUE(client->start());
  client->write(bytes("over tcp"));
  EXPECT_TRUE(user.wait_for_input("over tcp"));
  server->write(bytes("and back"));
  EXPECT_TRUE(other.wait_for_input("and back"));
}

TEST_F(SocketTest, TelnetAsksForCharactersAndKnowsABreak) {
  SocketOptions o = options(true);
  o.telnet = true;
  const auto server = open(o);
  User user(*server);
  ASSERT_TRUE(server->start());
  const Fd client = connect();
  EXPECT_EQ(read_exactly(client.get(), 12),
            "\xff\xfb\x01\xff\xfb\x03\xff\xfb" + std::string(1, 0) + "\xff\xfd" + std::string(1, 0));
  send(client,
       "\xff\xfd\x01"
       "a\xff\xf3"
       "b\xff\xff\xff\xfa\x1f\x01\x02\xff\xf0"
       "c");
  EXPECT_TRUE(
      user.wait_for_input("ab\xff"
                          "c"));
  EXPECT_EQ(user.breaks, 1);
  server->write(
      bytes("\xff"
            "x"));
  EXPECT_EQ(read_exactly(client.get(), 3),
            "\xff\xff"
            "x");
}

TEST(Telnet, CommandsMayComeInPieces) {
  const std::string_view text =
      "a\xff\xfb\x01"
      "b\xff\xfa\x18\xff\xff\x01\xff\xf0"
      "c\xff\xff"
      "d\xff\xf3"
      "e";
  for (std::size_t piece = 1; piece < text.size(); ++piece) {
    Telnet telnet;
    std::vector<u8> data;
    u32 breaks = 0;
    for (std::size_t at = 0; at < text.size(); at += piece) breaks += telnet.take(bytes(text.substr(at, piece)), data);
    EXPECT_EQ(std::string(data.begin(), data.end()),
              "abc\xff"
              "de");
    EXPECT_EQ(breaks, 1u);
  }
}

// --- terminals, pipes, files

std::unique_ptr<DescriptorChardev> make(int in, int out, bool signals = false) {
  DescriptorChardev::Ends ends;
  ends.input = in;
  ends.output.fd = out;
  ends.signals = signals;
  ends.filename = "stdio";
  return *DescriptorChardev::create(std::move(ends));
}

TEST(DescriptorChardev, PipesAreTransparentAndBackPressured) {
  int in[2], out[2];
  ASSERT_EQ(pipe(in), 0);
  ASSERT_EQ(pipe(out), 0);
  {
    const auto c = make(in[0], out[1]);
    User user(*c);
    user.limit(2);
    ASSERT_TRUE(c->start());
    ASSERT_EQ(write(in[1], "\x01x12345", 7), 7);
    EXPECT_TRUE(user.wait_for_input("\x01x"));
    user.limit(4);
    EXPECT_TRUE(user.wait_for_input("\x01x12"));
    user.limit(100);
    EXPECT_TRUE(user.wait_for_input("\x01x12345"));
    c->write(bytes("out"));
  }
  EXPECT_EQ(read_exactly(out[0], 3), "out");
  for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
}

TEST(DescriptorChardev, ATerminalIsRawFromTheStartToTheEnd) {
  int master, slave;
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  termios before, opened, during, after;
  tcgetattr(slave, &before);
  {
    const auto c = make(slave, slave);
    User user(*c);
    tcgetattr(slave, &opened);
    ASSERT_TRUE(c->start());
    tcgetattr(slave, &during);
    ASSERT_EQ(write(master, "a\x03", 2), 2);
    EXPECT_TRUE(user.wait_for_input("a\x03"));
  }
  tcgetattr(slave, &after);
  EXPECT_EQ(opened.c_lflag, before.c_lflag);
  EXPECT_FALSE(during.c_lflag & (ICANON | ECHO | ISIG));
  EXPECT_EQ(after.c_lflag, before.c_lflag);
  close(master);
  close(slave);
}

TEST(Terminal, KeysBecomeSignalsOrNotWithoutForgettingTheUsersMode) {
  int user = -1, terminal = -1;
  ASSERT_EQ(::openpty(&user, &terminal, nullptr, nullptr, nullptr), 0);
  const auto flags = [terminal] {
    termios mode{};
    ::tcgetattr(terminal, &mode);
    return mode.c_lflag & (ISIG | ICANON);
  };
  const auto before = flags();
  make_terminal_raw(terminal, true);
  EXPECT_EQ(flags(), tcflag_t{ISIG});
  make_terminal_raw(terminal, false);
  EXPECT_EQ(flags(), tcflag_t{0});
  make_terminal_raw(terminal, true);
  EXPECT_EQ(flags(), tcflag_t{ISIG});
  restore_terminal();
  EXPECT_EQ(flags(), before);
  ::close(user);
  ::close(terminal);
}

TEST(UdpChardev, DatagramsComeAndGoAndNobodyWaits) {
  const auto place = [](const std::string& port) {
    SocketAddress at;
    at.family = SocketAddress::Family::Inet;
    at.host = "127.0.0.1";
    at.port = port;
    return at;
  };
  Fd peer(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof name;
  ASSERT_EQ(::bind(peer.get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
  ::getsockname(peer.get(), reinterpret_cast<sockaddr*>(&name), &size);
  auto made = UdpChardev::create("--serial", place(std::to_string(ntohs(name.sin_port))), place("0"));
  ASSERT_TRUE(made) << made.error().message;
  UdpChardev& chardev = **made;
  EXPECT_EQ(chardev.filename(), "udp");
  User user(chardev);
  ASSERT_TRUE(chardev.start());
  chardev.write(bytes("one"));
  EXPECT_TRUE(chardev.offer(bytes("two")));
  char text[16] = {};
  size = sizeof name;
  EXPECT_EQ(::recvfrom(peer.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&name), &size), 3);
  EXPECT_EQ(std::string_view(text, 3), "one") << "each is one datagram";
  EXPECT_EQ(::recv(peer.get(), text, sizeof text, 0), 3);
  user.limit(2);
  const auto answer = [&](std::string_view s) {
    return ::sendto(peer.get(), s.data(), s.size(), 0, reinterpret_cast<const sockaddr*>(&name), size);
  };
  EXPECT_EQ(answer("abc"), 3);
  EXPECT_EQ(answer("d"), 1);
  EXPECT_TRUE(user.wait_for_input("ab"));
  user.limit(100);
  EXPECT_TRUE(user.wait_for_input("abcd")) << "what was not taken comes again";
  peer.reset();
  for (int i = 0; i < 1000; ++i) chardev.write(bytes(std::string(60'000, 'x')));  // nobody is there
  chardev.stop();
  EXPECT_FALSE(UdpChardev::create("--serial", place("nonsense"), place("0")));
}

TEST(PtyChardev, UsersComeAndGoAndReadSlowly) {
  auto pty = *PtyChardev::create("-serial");
  User user(*pty);
  ASSERT_TRUE(pty->start());
  pty->write(bytes("nobody hears this"));
  for (int round = 1; round <= 2; ++round) {
    Fd far(open(pty->name().c_str(), O_RDWR | O_NOCTTY));
    ASSERT_TRUE(far);
    ASSERT_TRUE(wait_for([&] { return user.opens == round; }));
    ASSERT_EQ(write(far.get(), "key\n", 4), 4);
    EXPECT_TRUE(wait_for([&] { return user.got().size() == 4u * static_cast<u32>(round); })) << "raw: " << user.got();
    std::size_t sent = 0;
    const std::string piece(100, 'x');
    while (pty->offer(bytes(piece))) {
      sent += piece.size();
      ASSERT_LT(sent, std::size_t{16} << 20);
    }
    const int before = user.writables;
    EXPECT_EQ(read_exactly(far.get(), sent), std::string(sent, 'x'));
    EXPECT_TRUE(wait_for([&] { return user.writables > before; }));
    far.reset();
    ASSERT_TRUE(wait_for([&] { return user.closes == round; }));
  }
}

// --- muxes

struct MuxTest : testing::Test {
  FakeChardev* below = new FakeChardev;  // the mux's
  std::atomic<int> quits{0};
  void open(ConsoleKeys::When when = ConsoleKeys::When::Always, u8 escape = 1) {
    mux = std::make_unique<Mux>(std::unique_ptr<Chardev>(below), ConsoleKeys{.when = when, .escape = escape},
                                [this] { ++quits; });
  }
  std::unique_ptr<Mux> mux;
};

TEST_F(MuxTest, KeysBehindTheEscapeAreForIt) {
  open();
  User user(*mux->add_user());
  below->type(
      "a\x01\x01"
      "b\x01");
  below->type("x");
  EXPECT_EQ(quits, 1);
  below->type(
      "\x01"
      "b\x01qc");
  EXPECT_EQ(user.breaks, 1);
  EXPECT_EQ(user.got(),
            "a\x01"
            "bc");
  below->type("\x01h");
  EXPECT_NE(below->output.find("C-a x    exit emulator\n\r"), std::string::npos) << below->output;
}

TEST_F(MuxTest, TheEscapeCanBeAnotherCharacterOrNone) {
  open(ConsoleKeys::When::Always, 0x14);
  User user(*mux->add_user());
  below->type("\x01x\x14\x14\x14x");
  EXPECT_EQ(user.got(), "\x01x\x14");
  EXPECT_EQ(quits, 1);
}

TEST_F(MuxTest, OnAPipeThereIsNoneUnlessItIsAskedFor) {
  open(ConsoleKeys::When::Terminal);
  User user(*mux->add_user());
  below->type("\x01x");
  EXPECT_EQ(user.got(), "\x01x");
}

TEST_F(MuxTest, TheFocusGoesRound) {
  open();
  Chardev* const a = mux->add_user();
  Chardev* const b = mux->add_user();
  User first(*a), second(*b);
  below->type(
      "one\x01"
      "ctwo\x01"
      "cthree");
  EXPECT_EQ(second.got(), "onethree") << "the newest has it first";
  EXPECT_EQ(first.got(), "two");
  EXPECT_TRUE(second.focused);
  EXPECT_FALSE(first.focused);
  a->write(bytes("from a "));
  b->write(bytes("from b"));
  EXPECT_EQ(below->output, "from a from b");
}

TEST_F(MuxTest, WhatAUserDoesNotTakeHoldsUpThePipeButNoTerminal) {
  open();
  User user(*mux->add_user());
  user.limit(0);
  EXPECT_LT(below->type(std::string(10000, 'x')), 100u);
  user.limit(~std::size_t{0});
  EXPECT_GT(below->rooms, 0);
  below->type("");
  EXPECT_GT(user.got().size(), 0u) << "what it held back itself";
}

TEST_F(MuxTest, TheEscapeIsSeenOnATerminalWhoseUserTakesNothing) {
  below->terminal = true;
  open(ConsoleKeys::When::Terminal);
  User user(*mux->add_user());
  user.limit(0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(below->type(std::string(10000, 'x')), 10000u);
  below->type("\x01x");
  EXPECT_EQ(quits, 1);
}

TEST_F(MuxTest, ThereAreFourUsersAtMost) {
  open();
  for (std::size_t i = 0; i < Mux::k_max_users; ++i) EXPECT_TRUE(mux->add_user());
  EXPECT_FALSE(mux->add_user());
}

// --- all of a machine's

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Chardevs, FilesAreEmptiedAtTheStartOrAppendedTo) {
  const std::string path = "/tmp/chardevs_test." + std::to_string(getpid()), log = path + ".log";
  for (const bool append : {false, true}) {
    { std::ofstream(path) << "old "; }
    { std::ofstream(log) << "old "; }
    ChardevOptions o;
    o.kind = ChardevOptions::Kind::File;
    o.path = path;
    o.append = o.log_append = append;
    o.log_file = log;
    o.keys.when = ConsoleKeys::When::Never;
    auto all = *Chardevs::open({o}, {}, -1);
    EXPECT_EQ(text_of(path), "old ") << "not before all else is right";
    Chardev* const c = *all->use(0);
    EXPECT_FALSE(all->use(0)) << "one user";
    ASSERT_TRUE(all->wait_for_peers(-1) && all->start());
    c->write(bytes("new"));
    c->drain();
    all->stop();
    all.reset();
    EXPECT_EQ(text_of(path), append ? "old new" : "new");
    EXPECT_EQ(text_of(log), append ? "old new" : "new");
  }
  std::filesystem::remove(path);
  std::filesystem::remove(log);
}

TEST(Chardevs, PipesOfTwoNamesAreOneForEachDirection) {
  const std::string path = "/tmp/chardevs_pipe." + std::to_string(getpid());
  ASSERT_EQ(mkfifo((path + ".in").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((path + ".out").c_str(), 0600), 0);
  ChardevOptions o;
  o.kind = ChardevOptions::Kind::Pipe;
  o.path = path;
  o.keys.when = ConsoleKeys::When::Never;
  {
    auto all = *Chardevs::open({o}, {}, -1);
    User user(**all->use(0));
    ASSERT_TRUE(all->wait_for_peers(-1) && all->start());
    const Fd in(open((path + ".in").c_str(), O_WRONLY)), out(open((path + ".out").c_str(), O_RDONLY));
    ASSERT_EQ(write(in.get(), "typed", 5), 5);
    EXPECT_TRUE(user.wait_for_input("typed"));
    (*all->use({}));
    all->list();
    EXPECT_EQ(all->list()[0].filename, "pipe:" + path);
  }
  std::filesystem::remove(path + ".in");
  std::filesystem::remove(path + ".out");
}

}  // namespace
}  // namespace armvisor::devices
