// A calibration of the host that the tests run on. It may be busy with other things, so what is asked of the figures is
// what no load changes.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/engine.h"
#include "measure/marks.h"
#include "vmm/calibration_guest.h"
#include "vmm/calibrator.h"

namespace armvisor::vmm {
namespace {

class Calibrator : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  void SetUp() override {
    if (!engine::jit_available()) GTEST_SKIP() << "there is no compiler for this host";
  }
  /// A calibration that the tests share: making one takes long.
  static const measure::Calibration& first() {
    static const measure::Calibration calibration = make(k_rounds);
    return calibration;
  }
  static measure::Calibration make(u32 rounds) {
    const u32 machines = rounds * (engine::windows_available() ? 6 : 5);
    u32 told = 0;
    auto result = calibrate({.rounds = rounds, .version = "test", .progress = [&](u32 done, u32 of) {
                               EXPECT_EQ(done, ++told);
                               EXPECT_EQ(of, machines);
                             }});
    EXPECT_EQ(told, machines);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? *result : measure::Calibration();
  }
  static constexpr u32 k_rounds = 5;
};

TEST_F(Calibrator, FindsACostForEveryLoop) {
  const measure::Calibration& result = first();
  EXPECT_EQ(result.version, "test");
  EXPECT_EQ(result.rounds, k_rounds);
  EXPECT_EQ(result.host, host_name());
  // What a loop costs beyond the rest of its round may be less than can be measured for these; an interrupt's round has
  // three accesses to the GIC, each dearer, and twice as dear while the host's other thread of the core is busy.
  const std::set<std::string> small = {"code.code-writes",   "shadow.tlbi-asid", "shadow.tlbi-va",
                                       "shadow.tlbi-va-all", "exception.irq",    "heavy.attention"};
  for (const CalibrationLoop& loop : calibration_loops()) {
    const std::string term(loop.term);
    const bool cannot_be = term == "shadow.window-faults" && !engine::windows_available();
    ASSERT_EQ(result.not_shown.contains(term), cannot_be) << term;
    if (result.not_shown.contains(term)) continue;
    const measure::Cost* const cost = result.find(term);
    ASSERT_TRUE(cost) << term;
    EXPECT_GE(cost->ns, 0) << term;
    if (!small.contains(term)) {
      EXPECT_GT(cost->ns, 0) << term;
    }
    EXPECT_LT(cost->ns, 10e6) << term;
    EXPECT_GE(cost->spread, 0) << term;
  }
}

TEST_F(Calibrator, OrdersTheClassesOfTrapsAsTheyAre) {
  const measure::Calibration& c = first();
  const auto ns = [&](const char* name) { return c.find(name) ? c.find(name)->ns : -1; };
  EXPECT_LT(ns("loop"), ns("fast.exclusive"));
  EXPECT_LT(ns("fast.exclusive"), ns("light.exclusive"));
  EXPECT_LT(ns("fast.sysreg-read"), ns("light.sysreg-read"));
  EXPECT_LT(ns("fast.sysreg-write"), ns("heavy.svc"));
  EXPECT_LT(ns("heavy.svc"), ns("heavy.wfi"));
  EXPECT_LT(ns("heavy.svc"), ns("code.translations"));
  EXPECT_LT(ns("code.lookups"), ns("code.translations"));
}

TEST_F(Calibrator, RepeatsItself) {
  const measure::Calibration &a = first(), b = make(2);
  std::vector<double> ratios;
  for (const auto& [name, cost] : a.costs) {
    const measure::Cost* const other = b.find(name);
    ASSERT_TRUE(other) << name;
    if (cost.ns > 2 && other->ns > 2) ratios.push_back(std::abs(std::log(cost.ns / other->ns)));
  }
  ASSERT_GT(ratios.size(), 25u);
  std::ranges::sort(ratios);
  // A host whose load changes between the two makes all of them dearer, so this is no narrower.
  EXPECT_LT(ratios[ratios.size() / 2], std::log(2.5));
}

TEST(CalibrationGuest, HasAMarkOfItsOwnForEachLoop) {
  std::set<std::string> marks;
  std::set<std::string_view> terms;
  for (std::size_t k = 0; k < calibration_loops().size(); ++k) {
    EXPECT_LE(mark_of(k).size(), 4u);  // it is passed in one register
    EXPECT_TRUE(marks.insert(mark_of(k)).second);
    EXPECT_TRUE(terms.insert(calibration_loops()[k].term).second) << calibration_loops()[k].term;
  }
  EXPECT_LE(marks.size(), measure::Marks::k_max);
}

TEST(CalibrationGuest, HasTheLoopsThatAreWantedAndNoOthers) {
  const auto size = [](std::vector<std::size_t> wanted) { return calibration_guest(wanted).size(); };
  std::vector<std::size_t> all(calibration_loops().size());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_LT(size({}), size({0}));
  EXPECT_LT(size({0}), size(all));
  EXPECT_LT(size({all.begin(), all.end() - 1}), size(all));
}

}  // namespace
}  // namespace armvisor::vmm
