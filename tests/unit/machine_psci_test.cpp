#include <gtest/gtest.h>

#include <string>

#include "machine/psci.h"

namespace armvisor::machine {
namespace {

struct Power final : PowerControl {
  u32 cpu_count() const override { return 4; }
  CpuPower cpu_power(u32 index) override { return index == 0 ? CpuPower::On : CpuPower::Off; }
  PsciStatus cpu_on(u32 index, u32 entry, u32 context) override {
    log = "on " + std::to_string(index) + " " + std::to_string(entry) + " " + std::to_string(context);
    return index == 0 ? PsciStatus::AlreadyOn : PsciStatus::Success;
  }
  void cpu_off(u32 caller) override { log = "off " + std::to_string(caller); }
  void cpu_suspend(u32 caller) override { log = "suspend " + std::to_string(caller); }
  void system_off(u32) override { log = "system off"; }
  void system_reset(u32) override { log = "system reset"; }
  std::string log;
};

struct Row {
  u32 r0, r1, r2, r3;
  s32 answer;
  const char* log;
};

// Function numbers and return codes as in ARM DEN0022.
const Row k_rows[] = {
    {0x84000000, 0, 0, 0, 0x10000, ""},
    {0x84000001, 0, 0, 0, 0, "suspend 2"},
    {0x84000003, 1, 0x8000, 42, 0, "on 1 32768 42"},
    {0x84000003, 0, 0x8000, 42, -4, "on 0 32768 42"},
    {0x84000003, 4, 0x8000, 42, -2, ""},
    {0x84000003, 0x80000001, 0x8000, 42, -2, ""},
    {0x84000004, 0, 0, 0, 0, ""},
    {0x84000004, 3, 0, 0, 1, ""},
    {0x84000004, 0, 1, 0, 0, ""},
    {0x84000004, 7, 0, 0, -2, ""},
    {0x84000004, 0, 4, 0, -2, ""},
    {0x84000005, 0, 0, 0, -1, ""},
    {0x84000006, 0, 0, 0, 2, ""},
    {0x8400000a, 0x84000003, 0, 0, 0, ""},
    {0x8400000a, 0x84000005, 0, 0, -1, ""},
    {0x8400000a, 0x80000000, 0, 0, 0, ""},
    {0x12345678, 0, 0, 0, -1, ""},
};

TEST(Psci, AnswersEveryFunction) {
  for (const Row& row : k_rows) {
    Power power;
    arm::CpuState s;
    s.r[0] = row.r0;
    s.r[1] = row.r1;
    s.r[2] = row.r2;
    s.r[3] = row.r3;
    psci_call(s, 2, power);
    EXPECT_EQ(static_cast<s32>(s.r[0]), row.answer) << std::hex << row.r0;
    EXPECT_EQ(power.log, row.log) << std::hex << row.r0;
    EXPECT_EQ(s.r[1], row.r1);
    EXPECT_EQ(s.r[3], row.r3);
  }
}

TEST(Psci, EndsReachTheSystem) {
  const std::pair<u32, const char*> rows[] = {
      {0x84000002, "off 3"}, {0x84000008, "system off"}, {0x84000009, "system reset"}};
  for (const auto& [function, log] : rows) {
    Power power;
    arm::CpuState s;
    s.r[0] = function;
    psci_call(s, 3, power);
    EXPECT_EQ(power.log, log);
  }
}

}  // namespace
}  // namespace armvisor::machine
