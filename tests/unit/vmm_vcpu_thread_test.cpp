#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <future>

#include "vmm/vcpu_thread.h"

namespace armvisor::vmm {
namespace {

using namespace std::chrono_literals;
using engine::Exit;
using machine::CpuPower;
using machine::PsciStatus;

/// A vCPU that does as the test says, without guest code.
class ScriptedVcpu final : public engine::Vcpu {
 public:
  Exit run() override {
    std::unique_lock lock(mutex_);
    ++runs_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return kicked_ || !script_.empty(); });
    if (std::exchange(kicked_, false)) return Exit::Kicked;
    const auto step = script_.front();
    script_.pop_front();
    lock.unlock();
    return step();
  }
  arm::CpuState& state() override { return state_; }
  void state_changed() override {}
  void set_line(engine::InputLine, bool level) override { line_ = level; }
  bool line_pending() const override { return line_; }
  void kick() override {
    const std::lock_guard guard(mutex_);
    kicked_ = true;
    changed_.notify_all();
  }
  void step(bool, bool) override {}
  const engine::DebugStop& debug_stop() const override { return stop_reason; }
  void set_event() override {}
  void table_hint(engine::TableHint, GuestPa, u32) override {}
  bool uses_table_hints() const override { return false; }
  engine::DebugStop stop_reason;

  void then(std::function<Exit()> step) {
    const std::lock_guard guard(mutex_);
    script_.push_back(std::move(step));
    changed_.notify_all();
  }
  bool wait_for_runs(int n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return runs_ >= n; });
  }
  int runs() {
    const std::lock_guard guard(mutex_);
    return runs_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<Exit()>> script_;
  bool kicked_ = false;
  int runs_ = 0;
  std::atomic<bool> line_{false};
  arm::CpuState state_;
};

class VcpuThreadTest : public testing::Test {
 protected:
  bool wait_until_sleeping() {
    for (int i = 0; i < 1000 && !thread_.sleeping(); ++i) std::this_thread::sleep_for(10ms);
    return thread_.sleeping();
  }
  ScriptedVcpu vcpu_;
  std::atomic<int> wakes_{0};
  std::atomic<bool> crashed_{false};
  VcpuThread thread_{vcpu_, 1, 2, [this] { ++wakes_; }, [this] { crashed_ = true; }};
};

TEST_F(VcpuThreadTest, WaitsForAnInterruptAndNotLess) {
  ASSERT_TRUE(thread_.start(true));
  vcpu_.then([] { return Exit::Wait; });
  ASSERT_TRUE(vcpu_.wait_for_runs(1));
  ASSERT_TRUE(wait_until_sleeping());
  thread_.wake();  // nothing is pending: it goes on sleeping
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(vcpu_.runs(), 1);
  vcpu_.set_line(engine::k_line_irq, true);
  thread_.wake();
  EXPECT_TRUE(vcpu_.wait_for_runs(2));
}

TEST_F(VcpuThreadTest, AWaitForAnEventEndsByItself) {
  ASSERT_TRUE(thread_.start(true));
  vcpu_.then([] { return Exit::WaitEvent; });
  EXPECT_TRUE(vcpu_.wait_for_runs(2));
}

TEST_F(VcpuThreadTest, PowerOnStartsAtTheEntryWithTheContext) {
  ASSERT_TRUE(thread_.start(false));
  EXPECT_EQ(thread_.power(), CpuPower::Off);
  EXPECT_EQ(thread_.turn_on(0x40008001, 77), PsciStatus::Success);
  ASSERT_TRUE(vcpu_.wait_for_runs(1));
  EXPECT_EQ(thread_.power(), CpuPower::On);
  EXPECT_EQ(vcpu_.state().r[15], 0x40008000u);
  EXPECT_TRUE(vcpu_.state().thumb());
  EXPECT_EQ(vcpu_.state().r[0], 77u);
  EXPECT_EQ(vcpu_.state().cp15.mpidr & 0xff, 1u);
  EXPECT_EQ(thread_.turn_on(0x40008000, 0), PsciStatus::AlreadyOn);
}

TEST_F(VcpuThreadTest, PowerOffTakesEffectWhenTheCallReturnsAndCanBeUndone) {
  ASSERT_TRUE(thread_.start(true));
  vcpu_.then([this] {
    thread_.turn_off();
    return Exit::Kicked;
  });
  for (int i = 0; i < 1000 && thread_.power() != CpuPower::Off; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(thread_.power(), CpuPower::Off);
  const int before = vcpu_.runs();
  EXPECT_EQ(thread_.turn_on(0x1000, 0), PsciStatus::Success);
  EXPECT_TRUE(vcpu_.wait_for_runs(before + 1));
}

TEST_F(VcpuThreadTest, SuspendSleepsLikeWfi) {
  ASSERT_TRUE(thread_.start(true));
  vcpu_.then([this] {
    thread_.suspend();
    return Exit::Kicked;
  });
  ASSERT_TRUE(wait_until_sleeping());
  vcpu_.set_line(engine::k_line_irq, true);
  thread_.wake();
  EXPECT_TRUE(vcpu_.wait_for_runs(2));
}

TEST_F(VcpuThreadTest, StopsWhileRunningSleepingAndOff) {
  ASSERT_TRUE(thread_.start(true));
  ASSERT_TRUE(vcpu_.wait_for_runs(1));
  thread_.stop();
  ScriptedVcpu other;
  VcpuThread off(
      other, 0, 1, [] {}, [] {});
  ASSERT_TRUE(off.start(false));
  off.stop();
  VcpuThread asleep(
      other, 0, 1, [] {}, [] {});
  other.then([] { return Exit::Wait; });
  ASSERT_TRUE(asleep.start(true));
  ASSERT_TRUE(other.wait_for_runs(1));
  asleep.stop();
}

TEST_F(VcpuThreadTest, WhoPausesItCanWaitUntilNothingRuns) {
  ASSERT_TRUE(thread_.start(true));
  std::atomic<bool> inside{true};
  std::promise<void> entered, let_go;
  // As in a device, which a kick does not end.
  vcpu_.then([&] {
    entered.set_value();
    let_go.get_future().wait();
    inside = false;
    return Exit::Yield;
  });
  entered.get_future().wait();
  thread_.pause();
  auto paused = std::async(std::launch::async, [this] { thread_.wait_until_paused(); });
  EXPECT_EQ(paused.wait_for(50ms), std::future_status::timeout);
  let_go.set_value();
  paused.get();
  EXPECT_FALSE(inside);
  const int runs = vcpu_.runs();
  thread_.resume();
  EXPECT_TRUE(vcpu_.wait_for_runs(runs + 1));
}

TEST_F(VcpuThreadTest, WhoPausesOneThatIsToStopWaitsToo) {
  ASSERT_TRUE(thread_.start(true));
  std::promise<void> entered, let_go;
  vcpu_.then([&] {
    entered.set_value();
    let_go.get_future().wait();
    return Exit::Yield;
  });
  entered.get_future().wait();
  thread_.request_stop();
  thread_.pause();
  auto paused = std::async(std::launch::async, [this] { thread_.wait_until_paused(); });
  EXPECT_EQ(paused.wait_for(50ms), std::future_status::timeout);
  let_go.set_value();
  paused.get();
}

TEST_F(VcpuThreadTest, PausedWhileItSleepsOrIsOffNobodyWaits) {
  vcpu_.then([] { return Exit::Wait; });
  ASSERT_TRUE(thread_.start(true));
  ASSERT_TRUE(vcpu_.wait_for_runs(1));
  ASSERT_TRUE(wait_until_sleeping());
  thread_.pause();
  thread_.wait_until_paused();
  ScriptedVcpu other;
  VcpuThread off(
      other, 0, 1, [] {}, [] {});
  ASSERT_TRUE(off.start(false));
  EXPECT_GT(off.thread_id(), 0);
  off.pause();
  off.wait_until_paused();
}

TEST_F(VcpuThreadTest, SamplesFindACrash) {
  arm::CpuState& s = vcpu_.state();
  s = arm::reset_state(0, 1);
  s.r[15] = 4;
  arm::change_mode(s, arm::k_mode_und);
  s.r[14] = 8;
  ASSERT_TRUE(thread_.start(true));
  for (int i = 0; i < 500 && !crashed_; ++i) {
    ASSERT_TRUE(vcpu_.wait_for_runs(1));
    thread_.sample();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(crashed_);
}

/// As in a device that is reset while the server of its disk does not answer.
TEST_F(VcpuThreadTest, OneThatWaitsForSomebodyOutsideIsStoppedAtOnceAndGoesOnWhenItMay) {
  std::promise<void> waits, answered, done;
  vcpu_.then([&] {
    {
      const WaitingOutside waiting;
      waits.set_value();
      answered.get_future().wait();
    }
    done.set_value();
    return Exit::Yield;
  });
  ASSERT_TRUE(thread_.start(true));
  waits.get_future().wait();
  thread_.pause();
  thread_.wait_until_paused();
  answered.set_value();
  auto end = done.get_future();
  thread_.wait_until_paused();
  EXPECT_EQ(end.wait_for(0s), std::future_status::timeout) << "it runs on only when it is let go";
  thread_.resume();
  EXPECT_EQ(end.wait_for(10s), std::future_status::ready);
  thread_.stop();
}

}  // namespace
}  // namespace armvisor::vmm
