// virtio sockets: what a driver and programs of the host see of each other.
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <numeric>

#include "devices/virtio/vsock.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;
using vsock::Connection;
using vsock::Header;
using vsock::Op;
using vsock::Switchboard;

constexpr u64 k_features = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;
constexpr u64 k_cid = 7;
constexpr u32 k_room = 4096;  // of a receive buffer

struct Place {
  Place() {
    char name[] = "/tmp/armvisor-vsock-XXXXXX";
    folder = mkdtemp(name);
    path = folder + "/v";
  }
  ~Place() {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
  }
  std::string folder, path;
};

/// A program of the host. Its calls wait.
struct Program {
  Program() = default;
  explicit Program(Fd s) : socket(std::move(s)) { give_up_in_time(); }
  explicit Program(const std::string& path) : socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un a = address(path);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a), 0) << path;
    give_up_in_time();
  }
  static sockaddr_un address(const std::string& path) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    path.copy(a.sun_path, sizeof a.sun_path - 1);
    return a;
  }
  static Fd listen(const std::string& path) {
    Fd s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un a = address(path);
    EXPECT_EQ(::bind(s.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
    EXPECT_EQ(::listen(s.get(), 8), 0);
    return s;
  }
  void give_up_in_time() const {
    const timeval limit{20, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void say(std::string_view text) const {
    ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// So many bytes, or what there is before the end.
  std::string hear(std::size_t bytes) const {
    std::string text(bytes, '\0');
    const ssize_t n = ::recv(socket.get(), text.data(), bytes, MSG_WAITALL);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  std::string hear_line() const {
    std::string line;
    for (std::string c = hear(1); !c.empty(); c = hear(1)) {
      line += c;
      if (c == "\n") break;
    }
    return line;
  }
  /// Also when the other side did not hear all that was said.
  bool is_at_end() const {
    char c;
    const ssize_t n = ::recv(socket.get(), &c, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  Fd socket;
};

struct Guest : Driver {
  explicit Guest(const Place& place, u64 queues = 3)
      : Driver(*Vsock::create(*vsock::HostSocket::create({.cid = k_cid, .path = place.path}))) {
    EXPECT_TRUE(bring_up(k_features, static_cast<u32>(queues), 64));
  }
  Guest(const Place& place, PciForm form)
      : Driver(*Vsock::create(*vsock::HostSocket::create({.cid = k_cid, .path = place.path})), form) {
    EXPECT_TRUE(bring_up(k_features, 3, 64));
  }
  struct Packet {
    Header header;
    std::string data;
  };
  void give_buffers(u32 count = 16) {
    for (; count > 0; --count) add_buffer(allocate(k_room));
    kick(0);
  }
  void add_buffer(GuestPa at) { buffers[add(0, {{at, k_room, true}})] = at; }
  std::optional<Packet> receive(std::chrono::milliseconds limit = std::chrono::milliseconds(20000)) {
    const auto used = wait_used(0, limit);
    if (!used || used->length < vsock::k_header_bytes) return std::nullopt;
    const GuestPa at = buffers.at(static_cast<u16>(used->id));
    vsock::HeaderBytes bytes;
    std::memcpy(bytes.data(), ram.host(at), bytes.size());
    Packet packet{vsock::read_header(bytes), {}};
    packet.data = view(at + vsock::k_header_bytes, used->length - vsock::k_header_bytes);
    add_buffer(at);
    kick(0);
    return packet;
  }
  /// The next packet but for those about credit.
  std::optional<Packet> receive_event() {
    for (;;) {
      const auto packet = receive();
      if (!packet || (packet->header.op != Op::CreditUpdate && packet->header.op != Op::CreditRequest)) return packet;
    }
  }
  void expect(Op op) {
    const auto packet = receive_event();
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->header.op, op);
    EXPECT_EQ(packet->header.src_cid, 2u);
    EXPECT_EQ(packet->header.dst_cid, k_cid);
    last = packet->header;
  }
  Header header(Op op, u32 host_port, u32 guest_port) const {
    Header h;
    h.src_cid = k_cid;
    h.dst_cid = 2;
    h.src_port = guest_port;
    h.dst_port = host_port;
    h.op = op;
    h.buf_alloc = room;
    h.fwd_cnt = passed_on;
    return h;
  }
  /// False: the device does not take it.
  bool send(const Header& h, std::string_view data = {}, bool wait = true) {
    std::string bytes(reinterpret_cast<const char*>(vsock::write_header(h).data()), vsock::k_header_bytes);
    std::vector<testing::Buffer> chain = {{at_scratch(bytes), static_cast<u32>(bytes.size()), false}};
    if (!data.empty()) chain.push_back({at_scratch(data), static_cast<u32>(data.size()), false});
    add(1, chain);
    kick(1);
    return !wait || wait_used(1).has_value();
  }
  bool send(Op op, u32 host_port, u32 guest_port, std::string_view data = {}) {
    Header h = header(op, host_port, guest_port);
    h.len = static_cast<u32>(data.size());
    return send(h, data);
  }
  GuestPa at_scratch(std::string_view bytes) {
    if (scratch_at + bytes.size() > k_scratch) scratch_at = 0;
    const GuestPa at = scratch + scratch_at;
    std::memcpy(ram.host(at), bytes.data(), bytes.size());
    scratch_at += bytes.size();
    return at;
  }
  /// A connection that a program of the host has asked for, and the guest has taken.
  Program connected(const Place& place, u32 port) {
    Program program(place.path);
    program.say("CONNECT " + std::to_string(port) + "\n");
    expect(Op::Request);
    EXPECT_EQ(last.dst_port, port);
    EXPECT_TRUE(send(Op::Response, last.src_port, port));
    EXPECT_EQ(program.hear_line(), "OK " + std::to_string(last.src_port) + "\n");
    return program;
  }

  static constexpr u64 k_scratch = 1 << 20;
  GuestPa scratch = allocate(k_scratch);
  u64 scratch_at = 0;
  std::map<u16, GuestPa> buffers;
  Header last;
  u32 room = 1 << 20, passed_on = 0;
};

std::string numbers(std::size_t bytes) {
  std::string text;
  for (int n = 0; text.size() < bytes; ++n) text += std::to_string(n) + " ";
  text.resize(bytes);
  return text;
}

void talk(const Place& place, Guest& g) {
  EXPECT_EQ(g.read(Driver::DeviceID), 19u);
  EXPECT_EQ(g.read(Driver::Config), k_cid);
  EXPECT_EQ(g.read(Driver::Config + 4), 0u);
  g.give_buffers();
  const Program program = g.connected(place, 1234);
  const u32 port = g.last.src_port;
  ASSERT_TRUE(g.send(Op::ReadWrite, port, 1234, "from the guest"));
  EXPECT_EQ(program.hear(14), "from the guest");
  const std::string text = numbers(30000);
  program.say(text);
  std::string heard;
  while (heard.size() < text.size()) {
    const auto packet = g.receive_event();
    ASSERT_TRUE(packet);
    ASSERT_EQ(packet->header.op, Op::ReadWrite);
    EXPECT_EQ(packet->header.len, packet->data.size());
    heard += packet->data;
  }
  EXPECT_EQ(heard, text);
}

TEST(Vsock, AProgramOfTheHostConnectsAndBytesGoBothWays) {
  const Place place;
  Guest g(place);
  talk(place, g);
}

TEST(Vsock, OnPciToo) {
  const Place place;
  Guest g(place, PciForm{});
  talk(place, g);
}

TEST(Vsock, TheGuestConnectsToWhoListensAndIsRefusedElsewhere) {
  const Place place;
  const Fd listening = Program::listen(place.path + "_99");
  Guest g(place);
  g.give_buffers();
  ASSERT_TRUE(g.send(Op::Request, 98, 5));
  g.expect(Op::Reset);
  ASSERT_TRUE(g.send(Op::Request, 99, 5));
  g.expect(Op::Response);
  EXPECT_EQ(g.last.buf_alloc, Connection::k_buffer);
  const Program program(Fd(::accept(listening.get(), nullptr, nullptr)));
  ASSERT_TRUE(g.send(Op::ReadWrite, 99, 5, "hello"));
  EXPECT_EQ(program.hear(5), "hello");
  ASSERT_TRUE(g.send(Op::Request, 99, 5)) << "which is there already";
  g.expect(Op::Reset);
  EXPECT_TRUE(program.is_at_end());
}

TEST(Vsock, AProgramIsTurnedAwayWhereNobodyListensInTheGuest) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  Program program(place.path);
  program.say("CONNECT 77\n");
  g.expect(Op::Request);
  ASSERT_TRUE(g.send(Op::Reset, g.last.src_port, 77));
  EXPECT_TRUE(program.is_at_end());
}

TEST(Vsock, WhoSaysSomethingElseIsDisconnected) {
  const Place place;
  Guest g(place);
  for (const char* text : {"HELLO\n", "CONNECT\n", "CONNECT x\n", "CONNECT 99999999999\n", "CONNECT 1 2\n",
                           "CONNECT 00000000000000000000000000000000001\n"}) {
    const Program program(place.path);
    program.say(text);
    EXPECT_TRUE(program.is_at_end()) << text;
  }
}

TEST(Vsock, OfThoseWhoSayNothingTheOldestGoes) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  std::vector<Program> silent;
  for (std::size_t n = 0; n < Switchboard::k_most_greetings; ++n) silent.emplace_back(place.path);
  const Program program = g.connected(place, 3);
  EXPECT_TRUE(silent[0].is_at_end());
}

TEST(Vsock, WhatComesBehindTheGreetingIsTheGuests) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  Program program(place.path);
  program.say("CONNECT 5\nat once");
  g.expect(Op::Request);
  ASSERT_TRUE(g.send(Op::Response, g.last.src_port, 5));
  const auto packet = g.receive_event();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->data, "at once");
}

TEST(Vsock, TheGuestGetsWhatItHasRoomFor) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  g.room = 1000;
  const Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  program.say(numbers(3000));
  std::string heard;
  while (heard.size() < 1000) {
    const auto packet = g.receive();
    ASSERT_TRUE(packet);
    heard += packet->data;
  }
  EXPECT_EQ(heard.size(), 1000u);
  const auto request = g.receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.op, Op::CreditRequest);
  ASSERT_TRUE(g.send(Op::CreditUpdate, port, 5));  // nothing new
  EXPECT_FALSE(g.receive(std::chrono::milliseconds(50)));
  g.passed_on = 600;
  ASSERT_TRUE(g.send(Op::CreditUpdate, port, 5));
  EXPECT_EQ(g.receive_event()->data.size(), 600u);
  EXPECT_EQ(g.receive()->header.op, Op::CreditRequest);
  g.passed_on = 0x80000000;  // a lie: it was not sent so much
  ASSERT_TRUE(g.send(Op::CreditUpdate, port, 5));
  EXPECT_EQ(g.receive()->header.op, Op::CreditRequest);
  g.passed_on = 1600;
  ASSERT_TRUE(g.send(Op::CreditUpdate, port, 5));
  EXPECT_EQ(g.receive_event()->data.size(), 1000u);
}

TEST(Vsock, APeerThatReadsNothingHoldsTheGuestBackAndLosesNothing) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  // As a driver does: as much as there is credit for, by what the device said last.
  std::string sent;
  Header said = g.last;
  for (;;) {
    while (sent.size() - said.fwd_cnt < Connection::k_buffer) {
      const std::string piece = numbers(std::min<std::size_t>(Connection::k_buffer + said.fwd_cnt - sent.size(), 50'000));
      ASSERT_TRUE(g.send(Op::ReadWrite, port, 5, piece));
      sent += piece;
    }
    const auto update = g.receive(std::chrono::milliseconds(300));
    if (!update) break;
    said = update->header;
    ASSERT_EQ(said.op, Op::CreditUpdate);
  }
  EXPECT_EQ(program.hear(sent.size()), sent);
  ASSERT_TRUE(g.send(Op::CreditRequest, port, 5));
  while (said.fwd_cnt != sent.size()) {
    const auto packet = g.receive();
    ASSERT_TRUE(packet);
    said = packet->header;
  }
}

TEST(Vsock, AGuestThatSendsMoreThanItMayLosesTheConnection) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  const std::string piece = numbers(60'000);
  for (int n = 0; n < 40; ++n) ASSERT_TRUE(g.send(Op::ReadWrite, port, 5, piece));
  g.expect(Op::Reset);
}

TEST(Vsock, EachSideMayEndByItself) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  program.say("last words");
  ::shutdown(program.socket.get(), SHUT_WR);
  EXPECT_EQ(g.receive_event()->data, "last words");
  g.expect(Op::Shutdown);
  EXPECT_EQ(g.last.flags, vsock::k_sends_no_more);
  ASSERT_TRUE(g.send(Op::ReadWrite, port, 5, "answer"));
  EXPECT_EQ(program.hear(6), "answer");
  Header end = g.header(Op::Shutdown, port, 5);
  end.flags = vsock::k_sends_no_more;
  ASSERT_TRUE(g.send(end));
  EXPECT_TRUE(program.is_at_end());
  g.expect(Op::Shutdown);
  EXPECT_EQ(g.last.flags, vsock::k_does_nothing_more);
  end.flags = vsock::k_does_nothing_more;
  ASSERT_TRUE(g.send(end));
  g.expect(Op::Reset);
  ASSERT_TRUE(g.send(Op::ReadWrite, port, 5, "into nothing"));
  g.expect(Op::Reset);
}

TEST(Vsock, WhatTheGuestSentArrivesThoughItHasClosed) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  std::string sent;
  // More than the socket holds: the rest is kept.
  for (Header said = g.last; sent.size() < 4 * Connection::k_buffer;) {
    const std::size_t room = Connection::k_buffer + said.fwd_cnt - sent.size();
    if (room == 0) {
      const auto update = g.receive(std::chrono::milliseconds(300));
      if (!update) break;
      said = update->header;
      continue;
    }
    const std::string piece = numbers(std::min<std::size_t>(room, 50'000));
    ASSERT_TRUE(g.send(Op::ReadWrite, port, 5, piece));
    sent += piece;
  }
  Header end = g.header(Op::Shutdown, port, 5);
  end.flags = vsock::k_does_nothing_more;
  ASSERT_TRUE(g.send(end));
  g.expect(Op::Reset);
  EXPECT_EQ(program.hear(sent.size() + 1), sent);
}

TEST(Vsock, TheGuestIsToldThatAProgramIsGone) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  Program program = g.connected(place, 5);
  const u32 port = g.last.src_port;
  program.say("bye");
  program.socket.reset();
  EXPECT_EQ(g.receive_event()->data, "bye");
  g.expect(Op::Shutdown);
  if (g.last.flags != vsock::k_does_nothing_more) g.expect(Op::Shutdown);
  EXPECT_EQ(g.last.flags, vsock::k_does_nothing_more);
  ASSERT_TRUE(g.send(Op::Reset, port, 5));
  ASSERT_TRUE(g.send(Op::CreditUpdate, port, 5));
  g.expect(Op::Reset);
}

TEST(Vsock, PacketsThatMeanNothingAreAnsweredOrDropped) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const auto send = [&](auto change) {
    Header h = g.header(Op::ReadWrite, 1, 2);
    change(h);
    EXPECT_TRUE(g.send(h));
  };
  send([](Header& h) { h.src_cid = 8; });
  send([](Header& h) { h.dst_cid = 3; });
  send([](Header& h) { h.op = Op::Reset; });
  EXPECT_FALSE(g.receive(std::chrono::milliseconds(50)));
  EXPECT_EQ(g.transport.counters().errors.get(), 2u);
  send([](Header& h) { h.type = 2; });
  g.expect(Op::Reset);
  send([](Header& h) { h.op = 99; });
  g.expect(Op::Reset);
  const Program program = g.connected(place, 5);
  send([&](Header& h) {
    h = g.header(static_cast<Op>(99), g.last.src_port, 5);
  });
  g.expect(Op::Reset);
  EXPECT_TRUE(program.is_at_end());
}

TEST(Vsock, AFloodWithoutRoomForAnswersIsHeldBackUntilThereIs) {
  const Place place;
  Guest g(place);
  u32 taken = 0;
  for (; taken < Switchboard::k_most_replies; ++taken) ASSERT_TRUE(g.send(g.header(Op::ReadWrite, 1, taken)));
  g.send(g.header(Op::ReadWrite, 1, taken), {}, false);
  EXPECT_FALSE(g.wait_used(1, std::chrono::milliseconds(100)));
  g.give_buffers(32);
  for (u32 n = 0; n < taken; ++n) g.expect(Op::Reset);
  EXPECT_TRUE(g.wait_used(1)) << "what waited is taken";
}

TEST(Vsock, ConnectionsAreBoundedAndMakeRoomWhenTheyEnd) {
  const Place place;
  const Fd listening = Program::listen(place.path + "_9");
  Guest g(place);
  g.give_buffers();
  std::vector<Program> programs;
  u32 port = 0;
  for (;; ++port) {
    ASSERT_LE(port, Switchboard::k_most_connections);
    ASSERT_TRUE(g.send(Op::Request, 9, port));
    const auto answer = g.receive_event();
    ASSERT_TRUE(answer);
    if (answer->header.op == Op::Reset) break;
    programs.emplace_back(Fd(::accept(listening.get(), nullptr, nullptr)));
  }
  EXPECT_GT(port, 8u);
  const Program waiting(place.path);
  waiting.say("CONNECT 5\n");
  EXPECT_FALSE(g.receive(std::chrono::milliseconds(50)));
  ASSERT_TRUE(g.send(Op::Reset, 9, 3));
  EXPECT_TRUE(programs[3].is_at_end());
  g.expect(Op::Request);
  // One whose program has gone makes room, too, though the guest has not said a word about it.
  programs[0].socket.reset();
  g.expect(Op::Shutdown);
  if (g.last.flags != vsock::k_does_nothing_more) g.expect(Op::Shutdown);
  ASSERT_TRUE(g.send(Op::Request, 9, 1000));
  g.expect(Op::Reset);  // of the one that made room
  EXPECT_EQ(g.last.dst_port, 0u);
  g.expect(Op::Response);
}

TEST(Vsock, AResetEndsConnectionsAndNewClientsWaitForTheDriver) {
  const Place place;
  Guest g(place);
  g.give_buffers();
  const Program old = g.connected(place, 5);
  g.write(Driver::Status, 0);
  EXPECT_TRUE(old.is_at_end());
  const Program early(place.path);
  early.say("CONNECT 6\n");
  g.buffers.clear();
  ASSERT_TRUE(g.bring_up(k_features, 3, 64));
  g.give_buffers();
  g.expect(Op::Request);
  EXPECT_EQ(g.last.dst_port, 6u);
}

TEST(Vsock, BuffersWithoutRoomForAPacketStopTheDevice) {
  const Place place;
  for (const u16 queue : {u16{0}, u16{1}}) {
    Guest g(place);
    g.add(queue, {{g.allocate(64), 43, queue == 0}});
    g.kick(queue);
    if (queue == 0) g.send(g.header(Op::ReadWrite, 1, 2), {}, false);
    EXPECT_TRUE(g.wait_status(Driver::k_needs_reset)) << queue;
  }
}

TEST(Vsock, OptionsAreChecked) {
  EXPECT_EQ(vsock::parse_option("path=/tmp/v")->cid, 3u);
  EXPECT_EQ(vsock::parse_option("cid=4294967294,path=/tmp/v")->path, "/tmp/v");
  for (const std::string text : {"", "cid=3", "/tmp/v", "cid=2,path=v", "cid=4294967295,path=v", "cid=,path=v", "cid=3x,path=v",
                                 "path=", "path=v,ro", "path=a,path=b"})
    EXPECT_FALSE(vsock::parse_option(text)) << text;
  EXPECT_FALSE(vsock::parse_option("path=" + std::string(97, 'x')));
  EXPECT_TRUE(vsock::parse_option("path=" + std::string(96, 'x')));
}

}  // namespace
}  // namespace armvisor::devices::virtio
