// Code that another vCPU writes while it is being translated: wherever the translator is, who has written it and made
// the maintenance that the architecture asks for calls what it wrote. The translator is stopped at each point of its
// way (base/test_point.h), and the others run there.
#include <functional>
#include <set>

#include "base/test_point.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_function = k_ram + 0x30000, k_other = k_ram + 0x50000, k_free = k_ram + 0x60000, k_end = k_ram + 0xa000;
constexpr u32 k_store = k_ram + 0x8000, k_store_and_maintain = k_ram + 0x9000, k_maintain = k_ram + 0xb000;
constexpr u32 k_mov_r0_1 = 0xe3a00001, k_mov_r0_2 = 0xe3a00002, k_return = 0xe12fff1e;

/// Calls f at the n-th point that the calling thread comes by without a lock.
class AtPoint final : private TestPoints {
 public:
  AtPoint(u32 n, std::function<void()> f) : left_(n), f_(std::move(f)) { t_test_points = this; }
  ~AtPoint() { t_test_points = nullptr; }
  AtPoint(const AtPoint&) = delete;
  AtPoint& operator=(const AtPoint&) = delete;
  bool came() const { return !f_; }
  const std::string& where() const { return where_; }

 private:
  void reached(const char* point) override {
    const std::string name = point;
    if (name == "lock") locked_ = true;
    if (name == "unlock") locked_ = false;
    if (locked_ || !f_ || left_-- != 0) return;
    where_ = name;
    t_test_points = nullptr;
    std::exchange(f_, nullptr)();
  }
  void blocked() override { FAIL() << "the lock is held by nobody"; }

  u32 left_;
  bool locked_ = false;
  std::function<void()> f_;
  std::string where_;
};

/// vCPU 0 translates, 1 writes, 2 looks on.
class Publishing : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("ARMVISOR_TEST_JIT", "no-background", 0);
    m = std::make_unique<Machine>(3);
    m->words(k_function, {k_mov_r0_1, k_return});
    m->words(k_other, {0xe3a00007, k_return});
    m->words(k_end, {k_stop});
    m->words(k_store, {0xe5812000, 0xf57ff05b, k_stop});  // str r2, [r1]; dmb ish; stop
    m->words(k_maintain, {
                             0xf57ff04f,  // dsb
                             0xee071f35,  // mcr p15, 0, r1, c7, c5, 1  (ICIMVAU)
                             0xf57ff04f,  // dsb
                             0xf57ff06f,  // isb
                             0xe12fff36,  // blx r6
                             k_stop,
                         });
    m->words(k_store_and_maintain, {0xe5812000, 0xf57ff04f, 0xee071f35, 0xf57ff04f, 0xf57ff06f, 0xe12fff36, k_stop});
    for (const u32 k : {1u, 2u}) {  // their code is translated
      store(k, k_store_and_maintain, k_free, 0, k_other);
      store(k, k_maintain, k_free, 0, k_other);
      store(k, k_store, k_free, 0, k_other);
    }
    store(1, k_store, k_function + 0x100, 0, k_other);  // vCPU 1 may write the frame unseen
  }
  void store(u32 vcpu, u32 code, u32 at, u32 word, u32 then) {
    m->reg(1, vcpu) = at;
    m->reg(2, vcpu) = word;
    m->reg(6, vcpu) = then;
    EXPECT_EQ(m->run(code, vcpu), Exit::Kicked);
  }
  u32 call(u32 vcpu, u32 function) {
    m->reg(14, vcpu) = k_end;
    EXPECT_EQ(m->run(function, vcpu), Exit::Kicked);
    return m->reg(0, vcpu);
  }
  /// For each point of vCPU 0's way to the function: runs f there.
  template <class F>
  void at_each_point(F f) {
    std::set<std::string> seen;
    for (u32 n = 0;; ++n) {
      SetUp();
      bool came = false;
      std::string where;
      {
        AtPoint point(n, [&] { f(); });
        call(0, k_function);
        came = point.came();
        where = point.where();
      }
      if (HasFailure()) FAIL() << "with vCPU 0 at point " << n << ", " << where;
      if (!came) break;
      seen.insert(where);
    }
    for (const char* point : {"watch: begun", "watch: marked", "mailbox: to post", "watch: claimed", "unlock"})
      EXPECT_TRUE(seen.contains(point)) << point;
  }

  std::unique_ptr<Machine> m;
};

TEST_F(Publishing, TheWriterRunsWhatItWrote) {
  at_each_point([this] {
    store(1, k_store_and_maintain, k_function, k_mov_r0_2, k_function);
    EXPECT_EQ(m->reg(0, 1), 2u);
  });
}

/// The maintenance is another vCPU's, which has seen the write.
TEST_F(Publishing, WhoMaintainsRunsWhatWasWritten) {
  at_each_point([this] {
    store(1, k_store, k_function, k_mov_r0_2, k_other);
    store(2, k_maintain, k_function, 0, k_function);
    EXPECT_EQ(m->reg(0, 2), 2u);
  });
}

/// Calls f(how often before) wherever the calling thread comes by a point of this name.
class OnPoint final : private TestPoints {
 public:
  OnPoint(std::string name, std::function<void(u32)> f) : name_(std::move(name)), f_(std::move(f)) {
    t_test_points = this;
  }
  ~OnPoint() { t_test_points = nullptr; }
  OnPoint(const OnPoint&) = delete;
  OnPoint& operator=(const OnPoint&) = delete;

 private:
  void reached(const char* point) override {
    if (name_ != point) return;
    t_test_points = nullptr;
    f_(count_++);
    t_test_points = this;
  }
  void blocked() override { std::this_thread::yield(); }

  const std::string name_;
  u32 count_ = 0;
  const std::function<void(u32)> f_;
};

class PublishingBy : public Publishing, public testing::WithParamInterface<u32> {};

/// The writer was asked to let go, and writes before it comes by its mailbox; maintenance that another vCPU makes
/// meanwhile is not done before it has.
TEST_P(PublishingBy, MaintenanceWaitsForAWriterThatIsStillToLetGo) {
  m->words(k_maintain + 8, {GetParam()});
  store(2, k_maintain, k_free, 0, k_other);
  store(2, k_store_and_maintain, k_free, 0, k_other);  // its DSB leaves nothing to wait for
  const u32 code = k_ram + 0xc000;
  m->words(code, {
                     0xe5832000,  // str r2, [r3]   no entry yet: vCPU 0 translates the function meanwhile
                     0xe5812000,  // str r2, [r1]   the function, unseen
                     0xe5842000,  // str r2, [r4]   no entry yet: vCPU 2 makes maintenance meanwhile
                     k_stop,
                 });
  m->reg(3, 1) = k_free + 0x1000;
  m->reg(4, 1) = k_free + 0x2000;
  std::atomic<bool> waits{false}, done{false};
  std::thread maintainer;
  const auto maintain = [&] {
    const OnPoint waiting("mailbox: not served", [&](u32) { waits = true; });
    store(2, k_maintain, k_function, 0, k_function);
    done = true;
  };
  {
    const OnPoint slow("write entry: unmarked", [&](u32 before) {
      if (before == 0) {
        EXPECT_EQ(call(0, k_function), 1u);
      } else {
        maintainer = std::thread(maintain);
        while (!waits && !done) std::this_thread::yield();
      }
    });
    store(1, code, k_function, k_mov_r0_2, k_other);
  }
  ASSERT_TRUE(maintainer.joinable());
  maintainer.join();
  EXPECT_EQ(m->reg(0, 2), 2u);
}

INSTANTIATE_TEST_SUITE_P(Barriers, PublishingBy,
                         testing::Values(0xf57ff04f,    // dsb
                                         0xee070f9a));  // mcr p15, 0, r0, c7, c10, 4  (CP15DSB)

}  // namespace
}  // namespace armvisor::engine::test
