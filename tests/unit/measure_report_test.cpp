#include <gtest/gtest.h>

#include <thread>

#include "measure/report.h"

namespace armvisor::measure {
namespace {

Snapshot sample(u64 svc, u64 reads) {
  Snapshot s;
  s.ns = 1'000'000'000 * (svc + 1);
  s.vcpus.resize(2);
  s.vcpus[0][Counter::HeavySvc] = svc;
  s.vcpus[1][Counter::HeavySvc] = 2 * svc;
  s.vcpus[1].ns[0] = 10 * svc;
  s[MachineCounter::BlocksKilled] = svc;
  s[MachineCounter::LiveBlocks] = 100 - svc;
  s.devices = {{"pl011", reads, 2 * reads, 0, {}}};
  s.devices[0].steps[0] = {reads, 100 * reads};
  return s;
}

TEST(Counters, EachHasANameOfItsOwnInItsGroup) {
  for (u32 k = 0; k < k_counters; ++k)
    for (u32 j = 0; j < k; ++j) {
      const CounterInfo &a = info(static_cast<Counter>(k)), &b = info(static_cast<Counter>(j));
      EXPECT_FALSE(a.group == b.group && a.name == b.name) << a.name;
    }
}

TEST(Snapshot, DifferencesAreWhatHappenedAndLevelsAreTheLast) {
  const Snapshot d = difference(sample(7, 5), sample(4, 1));
  EXPECT_EQ(d.vcpus[0][Counter::HeavySvc], 3u);
  EXPECT_EQ(d.total()[Counter::HeavySvc], 9u);
  EXPECT_EQ(d.total().sum(Group::Heavy), 9u);
  EXPECT_EQ(d.vcpus[1].ns[0], 30u);
  EXPECT_EQ(d[MachineCounter::BlocksKilled], 3u);
  EXPECT_EQ(d[MachineCounter::LiveBlocks], 93u);
  EXPECT_EQ(d.devices[0].reads, 4u);
  EXPECT_EQ(d.devices[0].steps[0].count, 4u);
  EXPECT_EQ(d.devices[0].steps[0].ns, 400u);
  EXPECT_EQ(d.ns, 3'000'000'000u);
}

TEST(Snapshot, ADifferenceIsNeverNegative) {
  EXPECT_EQ(difference(sample(1, 0), sample(2, 0)).vcpus[0][Counter::HeavySvc], 0u);
}

TEST(Snapshot, AResetAddsUp) {
  Snapshot all;
  accumulate(all, sample(3, 1));
  accumulate(all, sample(4, 1));
  EXPECT_EQ(all.vcpus[0][Counter::HeavySvc], 7u);
  EXPECT_EQ(all[MachineCounter::LiveBlocks], 96u);
  EXPECT_EQ(all.devices.size(), 1u);
  EXPECT_EQ(all.devices[0].writes, 4u);
}

TEST(Marks, CountWhatIsBetweenBeginAndEnd) {
  Marks marks;
  EXPECT_EQ(marks.begin("sort", sample(1, 0)), Marks::Outcome::Done);
  EXPECT_EQ(marks.end("sort", sample(3, 0)), Marks::Outcome::Done);
  EXPECT_EQ(marks.begin("sort", sample(5, 0)), Marks::Outcome::Done);
  ASSERT_EQ(marks.totals().size(), 1u);
  EXPECT_TRUE(marks.totals()[0].open);
  EXPECT_EQ(marks.end("sort", sample(10, 0)), Marks::Outcome::Done);
  EXPECT_EQ(marks.totals()[0].times, 2u);
  EXPECT_FALSE(marks.totals()[0].open);
  EXPECT_EQ(marks.totals()[0].total.vcpus[0][Counter::HeavySvc], 7u);
}

TEST(Marks, AGuestCannotMakeThemWithoutEndNorGiveThemAnyName) {
  Marks marks;
  EXPECT_EQ(marks.end("x", {}), Marks::Outcome::NotOpen);
  for (const char* bad : {"", "a\"b", "a\nb", "seventeen-letters", "\xff"})
    EXPECT_EQ(marks.begin(bad, {}), Marks::Outcome::BadName) << bad;
  for (std::size_t k = 0; k < Marks::k_max; ++k)
    EXPECT_EQ(marks.begin("m" + std::to_string(k), {}), Marks::Outcome::Done);
  EXPECT_EQ(marks.begin("more", {}), Marks::Outcome::NoRoom);
  EXPECT_EQ(marks.begin("m3", {}), Marks::Outcome::Done);
}

TEST(Clock, SharesTimeAmongStates) {
  VcpuClock clock;
  EXPECT_EQ(clock.enter(VcpuTime::Guest), VcpuTime::Guest);  // off: nothing is counted
  EXPECT_EQ(clock.read()[0], 0u);
  clock.start(VcpuTime::Idle);
  EXPECT_EQ(clock.enter(VcpuTime::Guest), VcpuTime::Idle);
  const u64 before = clock.read()[0];
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GT(clock.read()[0], before);  // what has not ended is in it
  EXPECT_EQ(clock.enter(VcpuTime::Device), VcpuTime::Guest);
  EXPECT_EQ(clock.read()[1], 0u);
}

TEST(Clock, KnowsTheCpuTimeOfAThreadThatRunsAndOfOneThatHasEnded) {
  VcpuClock clock;
  EXPECT_EQ(clock.cpu_ns(), 0u);
  u64 inside = 0;
  std::thread([&] {
    clock.attach();
    while (clock.cpu_ns() < 2'000'000) {
    }
    inside = clock.cpu_ns();
    clock.detach();
  }).join();
  EXPECT_GE(clock.cpu_ns(), inside);
  EXPECT_LT(clock.cpu_ns(), inside + 1'000'000'000);
  EXPECT_EQ(clock.cpu_ns(), clock.cpu_ns());  // it has stopped
}

TEST(Report, NamesEveryCounterInJsonAndWhatIsNotZeroInText) {
  Marks marks;
  marks.begin("a", sample(1, 0));
  marks.end("a", sample(2, 0));
  const std::string json = json_report(sample(3, 4), marks.totals()), text = text_report(sample(3, 4), marks.totals());
  for (u32 k = 0; k < k_counters; ++k) {
    const CounterInfo& i = info(static_cast<Counter>(k));
    EXPECT_NE(
        json.find("\"" + std::string(k_group_names[static_cast<u32>(i.group)]) + "." + std::string(i.name) + "\":"),
        json.npos);
  }
  EXPECT_NE(json.find("\"marks\":[{\"name\":\"a\",\"times\":1,\"open\":false,"), json.npos);
  EXPECT_NE(json.find("\"steps\":{\"notice\":{\"count\":4,\"ns\":400}}}"), json.npos) << "steps that happened, alone";
  EXPECT_NE(text.find("pl011 notice                       4         0.10 us"), text.npos) << text;
  EXPECT_NE(text.find("  svc"), text.npos);
  EXPECT_EQ(text.find("  smc"), text.npos);
  EXPECT_NE(text.find("mark a: 1 times, 1.000000 s"), text.npos) << text;
}

}  // namespace
}  // namespace armvisor::measure
