// Reading back what --stats=json:FILE wrote.
#include <gtest/gtest.h>

#include "measure/report.h"
#include "measure/stats_file.h"

namespace armvisor::measure {
namespace {

Snapshot sample() {
  Snapshot s;
  s.ns = 5'000'000'000;
  s.vcpus.resize(2);
  for (u32 k = 0; k < k_counters; ++k) s.vcpus[1].counters[k] = 1000 + k;
  s.vcpus[0][Counter::HeavySvc] = ~u64{0};
  s.vcpus[1].ns = {1, 2, 3, 4};
  s.vcpus[0].cpu_ns = 77;
  for (u32 k = 0; k < k_machine_counters; ++k) s.machine[k] = 10 + k;
  s.devices = {{"pl011", 1, 2, 3}, {"gic", 4, 5, 6}};
  return s;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(StatsFile, HasAllThatWasWritten) {
  Marks marks;
  marks.begin("a", {});
  marks.end("a", sample());
  marks.begin("open", sample());
  const auto read = parse_stats(json_report(sample(), marks.totals()), "file");
  ASSERT_TRUE(read) << read.error().message;
  const Snapshot s = sample();
  EXPECT_EQ(read->all.ns, s.ns);
  ASSERT_EQ(read->all.vcpus.size(), 2u);
  for (u32 v = 0; v < 2; ++v) {
    EXPECT_EQ(read->all.vcpus[v].counters, s.vcpus[v].counters);
    EXPECT_EQ(read->all.vcpus[v].ns, s.vcpus[v].ns);
    EXPECT_EQ(read->all.vcpus[v].cpu_ns, s.vcpus[v].cpu_ns);
  }
  EXPECT_EQ(read->all.machine, s.machine);
  ASSERT_EQ(read->all.devices.size(), 2u);
  EXPECT_EQ(read->all.devices[1].name, "gic");
  EXPECT_EQ(read->all.devices[1].writes, 5u);
  ASSERT_EQ(read->marks.size(), 2u);
  EXPECT_EQ(read->marks[0].name, "a");
  EXPECT_EQ(read->marks[0].times, 1u);
  EXPECT_EQ(read->marks[0].total.vcpus[1].counters, s.vcpus[1].counters);
  EXPECT_EQ(read->marks[1].times, 0u);
}

TEST(StatsFile, OfAnotherVersionIsRefusedWithWhatIsOther) {
  const std::string good = json_report(sample(), {});
  const std::pair<std::string, const char*> bad[] = {
      {"", "JSON"},
      {"[1]", "JSON"},
      {"{}", "format"},
      {replaced(good, "\"format\":1", "\"format\":2"), "found 2"},
      {replaced(good, "\"format\":1,", ""), "'format'"},
      {replaced(good, "\"vcpus\"", "\"cpus\""), "'vcpus'"},
      {good.substr(0, good.size() / 2), "JSON"},
  };
  for (const auto& [text, what] : bad) {
    const auto read = parse_stats(text, "my.json");
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::BadInput);
    EXPECT_NE(read.error().message.find("my.json"), std::string::npos);
    EXPECT_NE(read.error().message.find(what), std::string::npos) << read.error().message;
  }
}

/// In the counters of a vCPU, which come behind those of the total.
std::string in_a_vcpu(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t vcpus = text.find("\"vcpus\"");
  return text.substr(0, vcpus) + replaced(text.substr(vcpus), from, to);
}

TEST(StatsFile, WithOtherCountersIsRefused) {
  const std::string good = json_report(sample(), {});
  const std::pair<std::string, const char*> bad[] = {
      {in_a_vcpu(good, "\"heavy.svc\":", "\"heavy.old\":"), "'heavy.svc'"},
      {in_a_vcpu(good, "\"heavy.svc\":", "\"heavy.new\":1,\"heavy.svc\":"), "counters"},
      {in_a_vcpu(good, "\"code.lookups\":", "\"code.lookups\":-"), "without sign"},
      {in_a_vcpu(good, "\"cpu_ns\":", "\"cpu\":"), "'cpu_ns'"},
      {replaced(good, "\"cache.blocks\":", "\"cache.block\":"), "'cache.blocks'"},
      {replaced(good, "\"name\":\"gic\"", "\"name\":7"), "'name'"},
  };
  for (const auto& [text, what] : bad) {
    const auto read = parse_stats(text, "my.json");
    ASSERT_FALSE(read) << what;
    EXPECT_NE(read.error().message.find(what), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace armvisor::measure
