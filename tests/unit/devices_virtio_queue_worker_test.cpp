// Threads that serve queues, and a device made of little more than what it answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/queue_worker.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;

/// What was served, by whom, in order.
class Log {
 public:
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    if (std::this_thread::get_id() == test_) what += " here";
    entries_.push_back(std::move(what));
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entries_.size() >= count; });
    return entries_;
  }
  std::vector<std::string> all() { return wait_for(0); }

 private:
  const std::thread::id test_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> entries_;
};

using Entries = std::vector<std::string>;

QueueWorker::Work logging(Log& log) {
  return {.serve = [&log](u16 queue) { log.add("served " + std::to_string(queue)); },
          .serve_in_place = nullptr,
          .end = [&log] { log.add("ended"); }};
}

TEST(QueueWorker, ServesAllQueuesOnceActiveAndThenThoseThatItIsToldOf) {
  Log log;
  QueueWorker worker(3, logging(log));
  ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
  worker.notify(1);
  EXPECT_FALSE(worker.active());
  EXPECT_EQ(log.all(), Entries());
  worker.activate();
  EXPECT_TRUE(worker.active());
  EXPECT_EQ(log.wait_for(3), (Entries{"served 0", "served 1", "served 2"}));
  worker.notify(2);
  EXPECT_EQ(log.wait_for(4).back(), "served 2");
}

TEST(QueueWorker, AtItsEndWhatItWasToldOfIsServedFirst) {
  Log log;
  std::latch begun(1);
  std::atomic<bool> told{false}, ending{false};
  QueueWorker::Work work = logging(log);
  work.serve = [&](u16) {
    log.add("served");
    if (told) return;
    begun.count_down();
    while (!ending) std::this_thread::yield();
    for (int k = 0; k < 1000; ++k) std::this_thread::yield();  // mostly the end has begun then
  };
  {
    QueueWorker worker(1, std::move(work));
    ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
    worker.activate();
    begun.wait();
    told = true;
    worker.notify(0);
    ending = true;
  }
  EXPECT_EQ(log.all(), (Entries{"served", "served", "ended"}));
}

TEST(QueueWorker, OneThatWasNotStartedOrNeverActiveServesNothing) {
  Log log;
  { QueueWorker worker(1, logging(log)); }
  EXPECT_EQ(log.all(), Entries());
  {
    QueueWorker worker(1, logging(log));
    ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
    worker.notify(0);
  }
  EXPECT_EQ(log.all(), Entries{"ended"});
}

TEST(QueueWorker, AResetDoesNotWaitForWhatIsForgottenBeforeMoreIsServed) {
  Log log;
  std::latch forgetting(1), may_end(1);
  QueueWorker::Work work = logging(log);
  work.forget = [&] {
    forgetting.count_down();
    may_end.wait();
    log.add("forgotten");
  };
  QueueWorker worker(1, std::move(work));
  ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
  worker.activate();
  log.wait_for(1);
  worker.reset();
  forgetting.wait();
  worker.activate();
  worker.notify(0);
  EXPECT_EQ(log.all(), Entries{"served 0"});
  may_end.count_down();
  EXPECT_EQ(log.wait_for(3), (Entries{"served 0", "forgotten", "served 0"}));
}

TEST(QueueWorker, WhatCannotBeDoneInPlaceIsTheThreads) {
  Log log;
  u32 tried = 0;  // of the test's thread
  bool possible = true;
  QueueWorker::Work work = logging(log);
  work.serve_in_place = [&](u16) {
    log.add("tried");
    ++tried;
    return possible;
  };
  QueueWorker worker(1, std::move(work));
  ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
  worker.notify(0);
  EXPECT_EQ(log.all(), Entries()) << "before it is active";
  worker.activate();
  log.wait_for(1);
  while (tried == 0) worker.notify(0);  // the thread may serve for some time still
  EXPECT_EQ(log.all().back(), "tried here");
  possible = false;
  const std::size_t before = log.all().size();
  worker.notify(0);
  EXPECT_EQ(log.wait_for(before + 2), [&] {
    Entries all = log.all();
    all.resize(before);
    all.insert(all.end(), {"tried here", "served 0"});
    return all;
  }());
}

/// A serving that takes until it is let go.
struct Held {
  std::latch begun{1}, go{1};
  std::atomic<bool> ended{false};
  QueueWorker worker{1, {.serve = [this](u16) {
                       begun.count_down();
                       go.wait();
                       ended = true;
                     }}};
};

TEST(QueueWorker, AResetWaitsForWhoServes) {
  Held held;
  ASSERT_TRUE(held.worker.start(ThreadKind::Disk, "test"));
  held.worker.activate();
  held.begun.wait();
  std::atomic<bool> returned{false};
  std::thread resetting([&] {
    held.worker.reset();
    returned = true;
  });
  while (held.worker.active()) std::this_thread::yield();  // so that long ones see that they are to end
  EXPECT_FALSE(returned);
  held.go.count_down();
  resetting.join();
  EXPECT_TRUE(held.ended);
  held.worker.notify(0);  // nobody is served now: the latch would count below 0
}

TEST(QueueWorker, NobodyServesWhileAnotherDoes) {
  std::atomic<int> serving{0}, times{0};
  std::atomic<bool> together{false};
  const auto serve = [&](u16) {
    if (serving++ != 0) together = true;
    ++times;
    for (int k = 0; k < 20; ++k) std::this_thread::yield();
    if (serving != 1) together = true;
    --serving;
    return times % 3 != 0;  // in place: now and then something is left
  };
  {
    QueueWorker worker(2, {.serve = serve, .serve_in_place = serve});
    ASSERT_TRUE(worker.start(ThreadKind::Disk, "test"));
    worker.activate();
    for (int k = 0; times < 500; ++k) {
      worker.notify(static_cast<u16>(k % 2));
      if (k % 50 != 49) continue;
      worker.reset();
      EXPECT_EQ(serving, 0);
      worker.activate();
    }
  }
  EXPECT_FALSE(together);
}

/// A device type as short as they come: it answers each request with the request's bytes in reverse order.
class Reverse final : public Device {
 public:
  static Result<std::unique_ptr<Reverse>> create() {
    auto device = std::make_unique<Reverse>();
    AV_TRY(device->worker_.start(ThreadKind::Disk, "reverse"));
    return device;
  }

  std::string_view name() const override { return "reverse"; }
  u32 id() const override { return 42; }
  u64 features() const override { return 0; }
  std::span<const u16> queue_sizes() const override { return k_sizes; }
  void read_config(u32, std::span<u8>) override {}
  void activate(u64) override { worker_.activate(); }
  void reset() override { worker_.reset(); }
  void notify(u16 queue) override { worker_.notify(queue); }

 private:
  static constexpr std::array<u16, 2> k_sizes = {16, 16};

  std::optional<u32> answer(const Chain& chain) {
    std::vector<u8> bytes(std::min<u64>(chain.readable_bytes, 4096));
    if (bytes.empty() || chain.writable_bytes < bytes.size()) return {};
    chain.read(0, bytes);
    std::ranges::reverse(bytes);
    return static_cast<u32>(chain.write(ram(), 0, bytes));
  }

  Chain chain_;
  QueueWorker worker_{2, {.serve = [this](u16 queue) {
                        serve(
                            queue, chain_, [this] { return worker_.active(); },
                            [this](const Chain& chain) { return answer(chain); });
                      }}};
};

constexpr u64 k_rings = k_feature_version_1 | k_feature_event_idx;

struct ReverseGuest {
  Driver d{*Reverse::create()};
  std::string ask(u32 queue, std::string_view what) {
    const u32 size = static_cast<u32>(what.size());
    const GuestPa answer = d.allocate(size);
    d.add(queue, {{d.put(what), size, false}, {answer, size, true}});
    d.kick(queue);
    while (!d.wait_used(queue)) {
    }
    return std::string(d.view(answer, size));
  }
};

TEST(VirtioDevice, AnswersOnAThreadOfItsOwn) {
  ReverseGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  EXPECT_EQ(g.ask(0, "abc"), "cba");
  EXPECT_EQ(g.ask(1, "defg"), "gfed");
  EXPECT_EQ(g.d.transport.counters().requests.get(), 2u);
  ASSERT_TRUE(g.d.bring_up(k_rings, 2)) << "after a reset";
  EXPECT_EQ(g.ask(1, "xy"), "yx");
}

TEST(VirtioDevice, StopsAQueueWhoseDriverSentWhatTheTypeDoesNotAllow) {
  ReverseGuest g;
  ASSERT_TRUE(g.d.bring_up(k_rings, 2));
  g.d.add(0, {{g.d.put("no room"), 7, false}});
  g.d.kick(0);
  while (!(g.d.read(Driver::Status) & Driver::k_needs_reset)) std::this_thread::yield();
  EXPECT_EQ(g.d.transport.queue_fault(0), QueueFault::MalformedRequest);
  EXPECT_EQ(g.ask(1, "abc"), "cba") << "other queues go on";
  ASSERT_TRUE(g.d.bring_up(k_rings, 2)) << "after a reset";
  EXPECT_EQ(g.ask(0, "ab"), "ba");
}

}  // namespace
}  // namespace armvisor::devices::virtio
