#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "machine/hypercalls.h"

namespace armvisor::machine {
namespace {

using engine::TableHint;

struct Vcpu final : engine::Vcpu {
  engine::Exit run() override { return engine::Exit::Kicked; }
  arm::CpuState& state() override { return s; }
  void state_changed() override {}
  void set_line(engine::InputLine, bool) override {}
  bool line_pending() const override { return false; }
  void kick() override {}
  void step(bool, bool) override {}
  const engine::DebugStop& debug_stop() const override { return stop_reason; }
  void set_event() override {}
  void table_hint(TableHint hint, GuestPa table, u32 level) override {
    log += "hint " + std::to_string(static_cast<int>(hint)) + " " + std::to_string(table.value) + " " +
           std::to_string(level);
  }
  bool uses_table_hints() const override { return hints; }
  arm::CpuState s;
  engine::DebugStop stop_reason;
  bool hints = false;
  std::string log;
};

struct Host final : HypercallHost {
  Time host_time() override { return {0x1'0000'0002, 0x3'0000'0004}; }
  void guest_exit(u32 caller, u32 status) override {
    log += "exit " + std::to_string(caller) + " " + std::to_string(status);
  }
  CallStatus mark_begin(std::string_view name) override {
    log += "begin <" + std::string(name) + ">";
    return CallStatus::NoRoom;
  }
  CallStatus mark_end(std::string_view name) override {
    log += "end <" + std::string(name) + ">";
    return CallStatus::NotFound;
  }
  std::string log;
};

struct Row {
  u32 r[5];
  u32 answer;
  const char *vcpu, *host;
};

// "abcd", "efgh", "ijkl", "mnop" as words.
constexpr u32 k_abcd = 0x64636261, k_efgh = 0x68676665, k_ijkl = 0x6c6b6a69, k_mnop = 0x706f6e6d;
const Row k_rows[] = {
    {{0x80000000}, 0x10001, "", ""},
    {{0x80000001, 0x80000000}, 0, "", ""},
    {{0x80000001, 0x80008000}, ~0u, "", ""},
    {{0x8600ff00}, 12, "", ""},
    {{0x8600ff01}, 0x766d7261, "", ""},
    {{0x8600ff03}, 1, "", ""},
    {{0x86000000}, 0x1ff, "", ""},
    {{0x86000001, 0x4000'1000, 1, 2}, 0, "hint 0 5368713216 2", ""},
    {{0x86000001, 0x4000'1000, 0, 4}, ~2u, "", ""},
    {{0x86000001, 0x4000'1000, 0, 0}, ~2u, "", ""},
    {{0x86000002, 0x4000'1000, 0, 99}, 0, "hint 1 1073745920 1", ""},
    {{0x86000003}, 0, "hint 2 0 1", ""},
    {{0x86000004}, 0, "hint 3 0 1", ""},
    {{0x86000005}, 2, "", ""},
    {{0x86000006, 63}, 0, "", "exit 5 63"},
    {{0x86000006, 64}, ~2u, "", ""},
    {{0x86000006, 0xffffffff}, ~2u, "", ""},
    {{0x86000007, k_abcd, 0x6665}, ~3u, "", "begin <abcdef>"},
    {{0x86000007, 0, k_abcd}, ~3u, "", "begin <>"},
    {{0x86000008, k_abcd, k_efgh, k_ijkl, k_mnop}, ~4u, "", "end <abcdefghijklmnop>"},
    {{0x86000009}, ~0u, "", ""},
    {{0x8600fffe}, ~0u, "", ""},
};

TEST(Hypercalls, AnswerEveryFunction) {
  for (const Row& row : k_rows) {
    Vcpu vcpu;
    Host host;
    std::memcpy(vcpu.s.r.data(), row.r, sizeof row.r);
    EXPECT_TRUE(hypercalls::call(vcpu.s, 5, vcpu, host)) << std::hex << row.r[0];
    EXPECT_EQ(vcpu.s.r[0], row.answer) << std::hex << row.r[0];
    EXPECT_EQ(vcpu.log, row.vcpu);
    EXPECT_EQ(host.log, row.host);
  }
}

TEST(Hypercalls, LeaveAllOthersAlone) {
  for (const u32 function : {0x84000000u, 0xc6000000u, 0x06000000u, 0x86010000u, 0x80000002u, 0u, ~0u}) {
    Vcpu vcpu;
    Host host;
    vcpu.s.r[0] = function;
    const arm::CpuState before = vcpu.s;
    EXPECT_FALSE(hypercalls::call(vcpu.s, 0, vcpu, host));
    EXPECT_EQ(vcpu.s.r, before.r);
  }
}

TEST(Hypercalls, TellWhetherHintsHaveAnEffect) {
  for (const bool effect : {false, true}) {
    Vcpu vcpu;
    Host host;
    vcpu.hints = effect;
    vcpu.s.r[0] = 0x86000000;
    hypercalls::call(vcpu.s, 0, vcpu, host);
    EXPECT_EQ(vcpu.s.r[0], 0x1ffu);
    EXPECT_EQ(vcpu.s.r[1], effect ? 0x1ffu : 0x1e1u);
  }
}

TEST(Hypercalls, ClockHasBothTimes) {
  Vcpu vcpu;
  Host host;
  vcpu.s.r[0] = 0x86000005;
  hypercalls::call(vcpu.s, 0, vcpu, host);
  EXPECT_EQ(vcpu.s.r[0], 2u);
  EXPECT_EQ(vcpu.s.r[1], 1u);
  EXPECT_EQ(vcpu.s.r[2], 4u);
  EXPECT_EQ(vcpu.s.r[3], 3u);
}

TEST(Hypercalls, NoArgumentsDoHarm) {
  std::mt19937 random(1);
  for (u32 k = 0; k < 100000; ++k) {
    Vcpu vcpu;
    Host host;
    for (u32& r : vcpu.s.r) r = static_cast<u32>(random());
    vcpu.s.r[0] = 0x86000000 | (random() & 0xf);
    const u32 r4 = vcpu.s.r[4];
    EXPECT_TRUE(hypercalls::call(vcpu.s, 0, vcpu, host));
    EXPECT_EQ(vcpu.s.r[4], r4);  // DEN0028: R4 on are preserved
  }
}

}  // namespace
}  // namespace armvisor::machine
