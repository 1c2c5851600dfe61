// Messages on standard error, in whatever way it is read.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <string>

#include "base/log.h"
#include "stderr_text.h"

namespace armvisor {
namespace {

/// Standard error is the writing end of a pipe while this lives.
struct StderrPipe {
  StderrPipe() : before(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    ::dup2(fds[1], STDERR_FILENO);
    ::close(fds[1]);
  }
  ~StderrPipe() {
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(fds[0]);
  }
  std::string read(std::size_t size) const {
    std::string text(size, '\0');
    for (std::size_t got = 0; got < size;) {
      const ssize_t n = ::read(fds[0], text.data() + got, size - got);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    return text;
  }
  int before, fds[2];
};

TEST(Log, AFileHasAMessageAtOnce) {
  const std::string text = stderr_text_of([] {
    AV_LOG(Warn, "number %d", 1);
    say("two");
    print_text("three\n");
  });
  EXPECT_EQ(text, "armvisor: warning: number 1\narmvisor: two\nthree\n");
}

TEST(Log, LinesThatNobodyReadsHoldUpNobodyAndAreCounted) {
  const StderrPipe p;
  constexpr int k_lines = 100'000;
  for (int i = 0; i < k_lines; ++i) AV_LOG(Warn, "line %06d", i);
  const std::size_t line = std::string("armvisor: warning: line 000000\n").size();
  std::string text = p.read(line);
  EXPECT_EQ(text, "armvisor: warning: line 000000\n");
  auto rest = std::async(std::launch::async, [&] {
    std::string all;
    char piece[4096];
    while (!all.ends_with("the last\n")) {
      const ssize_t n = ::read(p.fds[0], piece, sizeof piece);
      if (n <= 0) break;
      all.append(piece, static_cast<std::size_t>(n));
    }
    return all;
  });
  drain_messages();  // there is room again
  AV_LOG(Warn, "the last");
  text = rest.get();
  EXPECT_NE(text.find(" messages are missing here"), text.npos);
  EXPECT_EQ(text.find("line 099999"), text.npos);
}

TEST(Log, TextsWaitForTheReader) {
  const StderrPipe p;
  const std::string text(1 << 20, 'x');
  auto said = std::async(std::launch::async, [&] { print_text(text); });
  EXPECT_EQ(said.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  EXPECT_EQ(p.read(text.size()), text);
  drain_messages();
}

// The last test, since nobody waits from then on.
TEST(LogGivenUp, NobodyWaits) {
  const StderrPipe p;
  give_up_messages();
  print_text(std::string(1 << 20, 'x'));
  drain_messages();
  settle_messages();
}

}  // namespace
}  // namespace armvisor
