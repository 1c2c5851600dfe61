// Output to readers that are slow, stopped or gone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>

#include "base/outlet.h"

namespace armvisor {
namespace {

std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

struct Pipe {
  Pipe() { EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0); }
  ~Pipe() {
    close_reader();
    if (fds[1] >= 0) ::close(fds[1]);
  }
  void close_reader() {
    if (fds[0] >= 0) ::close(fds[0]);
    fds[0] = -1;
  }
  /// Reads `size` bytes; fewer at the end of the input.
  std::string read(std::size_t size) const {
    std::string text(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const ssize_t n = ::read(fds[0], text.data() + got, size - got);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
  }
  int writer() const { return fds[1]; }
  int fds[2];
};

/// What does not end is a failure, not a test that hangs.
constexpr std::chrono::seconds k_forever{60};

std::string numbered(std::size_t size) {
  std::string text;
  for (u32 n = 0; text.size() < size; ++n) text += std::to_string(n) + "\n";
  text.resize(size);
  return text;
}

TEST(Outlet, EverythingArrivesInOrderHoweverMuchItIs) {
  Pipe p;
  auto out = *Outlet::create(p.writer());
  const std::string text = numbered(1 << 20);
  auto reader = std::async(std::launch::async, [&] { return p.read(text.size()); });
  for (std::size_t at = 0; at < text.size(); at += 1000)
    EXPECT_EQ(out->write(bytes(text).subspan(at, std::min<std::size_t>(1000, text.size() - at))), 0);
  out->drain();
  EXPECT_EQ(out->pending(), 0u);
  EXPECT_EQ(reader.get(), text);
  const Outlet::Loss loss = out->close();
  EXPECT_EQ(loss.bytes, 0u);
  EXPECT_EQ(loss.error, 0);
}

/// What one write(2) was given is one datagram.
TEST(Outlet, RecordsAreWrittenWhole) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd reader(ends[0]);
  auto out = *Outlet::create({.owned = Fd(ends[1]), .fifo = {}, .capacity = 20000, .records = true});
  std::vector<std::string> records;
  for (std::size_t size = 1; size < 20000; size = size * 3 / 2 + 1) records.push_back(numbered(size));
  auto writer = std::async(std::launch::async, [&] {
    for (const std::string& record : records) EXPECT_EQ(out->write(bytes(record)), 0);
  });
  for (const std::string& record : records) {
    std::string got(30000, '\0');
    const ssize_t n = ::recv(reader.get(), got.data(), got.size(), 0);
    ASSERT_GE(n, 0);
    got.resize(static_cast<std::size_t>(n));
    EXPECT_EQ(got, record);
  }
  writer.get();
  EXPECT_FALSE(out->offer(bytes(std::string(20001, 'x')))) << "no more than there can be room for";
}

TEST(Outlet, WritersWaitForTheReaderUntilItIsGivenUp) {
  Pipe p;
  auto out = *Outlet::create({Fd(std::exchange(p.fds[1], -1)), -1, {}});
  const std::string text(1 << 20, 'x');  // more than pipe and outlet hold
  auto writer = std::async(std::launch::async, [&] { return out->write(bytes(text)); });
  EXPECT_EQ(writer.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  EXPECT_FALSE(out->offer(bytes(text))) << "who does not want to wait is told";
  out->give_up();
  ASSERT_EQ(writer.wait_for(k_forever), std::future_status::ready);
  const Outlet::Loss loss = out->close();
  out.reset();
  // The thread that was left behind may be inside write(2) with one more piece, and then closes the pipe.
  EXPECT_GE(p.read(text.size()).size() + loss.bytes, text.size());
  EXPECT_GT(loss.bytes, 0u);
}

/// Something smaller that is taken meanwhile does not make who was refused forgotten.
TEST(Outlet, WhoFoundNoRoomIsToldOfItHoweverMuchIsTakenMeanwhile) {
  Pipe p;
  std::promise<void> room;
  auto out = *Outlet::create({Fd(std::exchange(p.fds[1], -1)), -1, {}}, [&room] { room.set_value(); });
  std::size_t taken = 0;
  for (const std::string piece(4096, 'x'); out->offer(bytes(piece)); taken += piece.size()) {
  }
  // One piece is written, so that there is room for one byte, and is not for all that waits.
  p.read(4096 * 4);
  while (!out->offer(bytes("y"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  auto told = room.get_future();
  auto reader = std::async(std::launch::async, [&] { return p.read(taken - 4096 * 4 + 1); });
  EXPECT_EQ(told.wait_for(k_forever), std::future_status::ready);
  reader.get();
}

TEST(Outlet, DrainWaitsForASlowReader) {
  Pipe p;
  auto out = *Outlet::create(p.writer());
  const std::string text = numbered(Outlet::k_capacity + 65536);
  out->write(bytes(text));
  auto drained = std::async(std::launch::async, [&] { out->drain(); });
  EXPECT_EQ(drained.wait_for(std::chrono::milliseconds(400)), std::future_status::timeout);
  EXPECT_EQ(p.read(text.size()), text);
  EXPECT_EQ(drained.wait_for(k_forever), std::future_status::ready);
}

TEST(Outlet, WhatTheReaderStillTakesIsWrittenAfterGivingUp) {
  Pipe p;
  auto out = *Outlet::create(p.writer());
  const std::string text = numbered(Outlet::k_capacity);
  out->give_up();
  out->write(bytes(text));
  auto reader = std::async(std::launch::async, [&] { return p.read(text.size()); });
  EXPECT_EQ(out->close().bytes, 0u);
  EXPECT_EQ(reader.get(), text);
}

TEST(Outlet, AReaderThatGoesIsAnErrorAndFreesWriters) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe p;
  auto out = *Outlet::create(p.writer());
  const std::string text(1 << 20, 'x');
  auto writer = std::async(std::launch::async, [&] { return out->write(bytes(text)); });
  EXPECT_EQ(writer.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  p.close_reader();
  ASSERT_EQ(writer.wait_for(k_forever), std::future_status::ready);
  EXPECT_EQ(writer.get(), EPIPE);
  EXPECT_EQ(out->close().error, EPIPE);
}

TEST(Outlet, ADescriptorThatSomebodyMadeNonBlockingIsWaitedFor) {
  Pipe p;
  fcntl(p.writer(), F_SETFL, O_NONBLOCK);
  auto out = *Outlet::create(p.writer());
  const std::string text = numbered(1 << 20);
  auto reader = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return p.read(text.size());
  });
  EXPECT_EQ(out->write(bytes(text)), 0);
  out->drain();
  EXPECT_EQ(reader.get(), text);
}

TEST(Outlet, AFifoIsOpenedWhenItHasAReader) {
  char directory[] = "/tmp/outlet-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  {
    auto out = *Outlet::create({{}, -1, path});
    EXPECT_EQ(out->write(bytes("hello")), 0);
    EXPECT_EQ(out->pending(), 5u);
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char got[6] = {};
    EXPECT_EQ(::read(reader, got, 5), 5);
    EXPECT_STREQ(got, "hello");
    ::close(reader);
  }
  {
    auto out = *Outlet::create({{}, -1, path});  // nobody comes
    out->write(bytes("hello"));
    EXPECT_EQ(out->close().bytes, 5u);
  }
  // Lets the thread go that was left behind.
  ::close(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ::unlink(path.c_str());
  ::rmdir(directory);
}

}  // namespace
}  // namespace armvisor
