#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <future>

#include "machine/event_loop.h"
#include "machine/system_clock.h"

namespace armvisor::machine {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = EventLoop::create();
    ASSERT_TRUE(created);
    loop_ = *std::move(created);
    ASSERT_TRUE(loop_->start());
  }
  u64 in_ms(u64 ms) { return clock_.now_ns() + ms * 1'000'000; }
  SystemClock clock_;
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, TimersFireOnceInOrderOfTheirDeadlines) {
  std::promise<std::string> done;
  std::string order;
  const auto late = loop_->add([&] {
    order += 'b';
    done.set_value(order);
  });
  const auto early = loop_->add([&] { order += 'a'; });
  loop_->arm(late, in_ms(40));
  loop_->arm(early, in_ms(10));
  auto future = done.get_future();
  ASSERT_EQ(future.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(future.get(), "ab");
}

TEST_F(EventLoopTest, ADisarmedTimerDoesNotFireAndARearmedOneFiresAtItsNewDeadline) {
  std::atomic<int> fired{0};
  std::promise<void> done;
  const auto disarmed = loop_->add([&] { ++fired; });
  const auto moved = loop_->add([&] { done.set_value(); });
  loop_->arm(disarmed, in_ms(20));
  loop_->arm(moved, in_ms(60'000));
  loop_->disarm(disarmed);
  loop_->arm(moved, in_ms(50));
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(fired, 0);
}

TEST_F(EventLoopTest, ADeadlineInThePastFiresAtOnce) {
  std::promise<void> done;
  loop_->arm(loop_->add([&] { done.set_value(); }), 1);
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(EventLoopTest, RemoveWaitsForTheCallback) {
  std::promise<void> begun;
  std::atomic<bool> ended{false};
  const auto id = loop_->add([&] {
    begun.set_value();
    std::this_thread::sleep_for(50ms);
    ended = true;
  });
  loop_->arm(id, 1);
  begun.get_future().wait();
  loop_->remove(id);
  EXPECT_TRUE(ended);
}

TEST_F(EventLoopTest, ACallbackMayArmItsOwnTimer) {
  std::promise<void> done;
  int count = 0;
  EventLoop::Id id = 0;
  id = loop_->add([&] {
    if (++count == 3)
      done.set_value();
    else
      loop_->arm(id, in_ms(1));
  });
  loop_->arm(id, in_ms(1));
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(EventLoopTest, WatchesReportReadinessUntilTheyAreRemoved) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::promise<void> done;
  std::atomic<int> calls{0};
  const auto id = loop_->watch(ends[0], EPOLLIN, [&](u32 events) {
    char c;
    EXPECT_TRUE(events & EPOLLIN);
    EXPECT_EQ(read(ends[0], &c, 1), 1);
    if (++calls == 1) done.set_value();
  });
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  loop_->unwatch(id);
  ASSERT_EQ(write(ends[1], "y", 1), 1);
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(calls, 1);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace armvisor::machine
