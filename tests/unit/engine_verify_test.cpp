// Lockstep verification: what agrees runs on, each device access once; what does not is found.
#include "engine/journal.h"
#include "engine_machine.h"
#include "stderr_text.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000;

/// A port whose answer to the second of two equal calls is to change the vCPU's state.
class MeddlingPort final : public MachinePort {
 public:
  bool mmio_read(GuestPa, u32, u64&) override { return false; }
  bool mmio_write(GuestPa, u32, u64) override { return false; }
  const u8* rom_page(GuestPa) override { return nullptr; }
  bool hypercall(arm::CpuState&, u32 vcpu, bool, u32) override {
    engine->vcpu(vcpu).kick();
    return true;
  }
  u64 counter() override { return 0; }
  void timer_changed(u32, const arm::CpuState&, bool) override {
    engine->vcpu(0).state().r[6] += ++calls == meddle_at ? 1 : 0;
  }
  void send_event() override {}

  Engine* engine = nullptr;
  u32 calls = 0, meddle_at = 0;
};

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!jit_available()) GTEST_SKIP() << "no code generator for this host";
  }

  /// Runs `code` from k_code under verification.
  template <class P>
  Exit run(P& port, std::initializer_list<u32> code) {
    auto made = make_engine("jit", {.vcpus = 1, .ram = &ram, .port = &port, .translator = {}, .verify = true});
    EXPECT_TRUE(made);
    engine = std::move(*made);
    port.engine = engine.get();
    u32 pa = k_code;
    for (const u32 word : code) {
      const u8 bytes[4] = {static_cast<u8>(word), static_cast<u8>(word >> 8), static_cast<u8>(word >> 16),
                           static_cast<u8>(word >> 24)};
      EXPECT_TRUE(ram.write(GuestPa(pa), bytes));
      pa += 4;
    }
    arm::CpuState& s = engine->vcpu(0).state();
    s.r[2] = k_data;
    s.r[8] = k_device;
    s.r[15] = k_code;
    engine->vcpu(0).state_changed();
    return engine->vcpu(0).run();
  }

  GuestRam ram = std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size));
  std::unique_ptr<Engine> engine;
};

TEST_F(Verify, WhatAgreesRunsOn) {
  Port port;
  EXPECT_EQ(run(port,
                {
                    0xe3a05000 | 100,  // mov r5, #100
                    0xe5923000,        // ldr r3, [r2]
                    0xe2833001,        // add r3, r3, #1
                    0xe5823000,        // str r3, [r2]
                    0xe1924f9f,        // ldrex r4, [r2]
                    0xe2844001,        // add r4, r4, #1
                    0xe1827f94,        // strex r7, r4, [r2]
                    0xe5824004,        // str r4, [r2, #4]
                    0xe2555001,        // subs r5, r5, #1
                    0x1afffff6,        // bne -8
                    k_stop,
                }),
            Exit::Kicked);
  EXPECT_EQ(engine->vcpu(0).state().r[7], 0u);
}

TEST_F(Verify, DevicesAreAccessedOnce) {
  Port port;
  EXPECT_EQ(run(port,
                {
                    0xe3a05000 | 10,  // mov r5, #10
                    0xe5983000,       // ldr r3, [r8]
                    0xe2833001,       // add r3, r3, #1
                    0xe5883000,       // str r3, [r8]
                    0xe2555001,       // subs r5, r5, #1
                    0x1afffffa,       // bne -4
                    k_stop,
                }),
            Exit::Kicked);
  EXPECT_EQ(port.reads, 10u);
  EXPECT_EQ(port.writes, 10u);
  EXPECT_EQ(engine->vcpu(0).state().r[3], 10u);
}

TEST_F(Verify, AWriteToADeviceSeesTheStoresBeforeIt) {
  struct Watching final : MachinePort {
    explicit Watching(GuestRam& r) : ram(r) {}
    bool mmio_read(GuestPa, u32, u64& value) override {
      value = ++reads;
      return true;
    }
    bool mmio_write(GuestPa, u32, u64) override {
      u8 b[4];
      EXPECT_TRUE(ram.read(GuestPa(k_data), b));
      seen.push_back(b[0]);
      return true;
    }
    const u8* rom_page(GuestPa) override { return nullptr; }
    bool hypercall(arm::CpuState&, u32 vcpu, bool, u32) override {
      engine->vcpu(vcpu).kick();
      return true;
    }
    u64 counter() override { return 0; }
    void timer_changed(u32, const arm::CpuState&, bool) override {}
    void send_event() override {}
    GuestRam& ram;
    Engine* engine = nullptr;
    u64 reads = 0;
    std::vector<u8> seen;
  } port(ram);
  EXPECT_EQ(run(port,
                {
                    0xe3a03000 | 7,  // mov r3, #7
                    0xe5984000,      // ldr r4, [r8]
                    0xe5823000,      // str r3, [r2]
                    0xe5883000,      // str r3, [r8]: a doorbell
                    0xe5986000,      // ldr r6, [r8]
                    k_stop,
                }),
            Exit::Kicked);
  EXPECT_EQ(port.seen, std::vector<u8>{7});
  EXPECT_EQ(port.reads, 2u);
  EXPECT_EQ(engine->vcpu(0).state().r[4], 1u);
  EXPECT_EQ(engine->vcpu(0).state().r[6], 2u);
}

TEST_F(Verify, ADifferenceEndsTheRun) {
  const std::initializer_list<u32> code = {
      0xe3a03000,  // mov r3, #0
      0xee0e3f33,  // mcr p15, 0, r3, c14, c3, 1: CNTV_CTL
      0xee0e3f33,  // again
      k_stop,
  };
  MeddlingPort port;
  EXPECT_EQ(run(port, code), Exit::Kicked);
  ASSERT_EQ(port.calls, 4u) << "each write of the register, by both";
  for (u32 k = 1; k <= 4; ++k) {
    MeddlingPort other;
    other.meddle_at = k;
    const std::string text = stderr_text_of([&] { EXPECT_EQ(run(other, code), Exit::Differs) << k; });
    EXPECT_NE(text.find("r6 "), std::string::npos) << text;
    EXPECT_NE(text.find("40008004"), std::string::npos) << text;
  }
}

TEST(VerifyJournal, LaterLoadsSeeStoresAndMemoryDoesNot) {
  u64 memory = 0x1122334455667788;
  const auto at = reinterpret_cast<u64>(&memory);
  Journal j;
  j.begin();
  EXPECT_TRUE(j.stored(at + 1, 2, 0xabcd));
  EXPECT_EQ(j.loaded(at, 4, 0x55667788), 0x55abcd88u);
  EXPECT_EQ(j.seen(at + 2, 1, 0x66), 0xabu);
  j.replay();
  EXPECT_EQ(j.loaded(at, 4, 0x55667788), 0x55667788u);
  EXPECT_FALSE(j.stored(at + 1, 2, 0xabcd));
  EXPECT_NE(j.difference(), "") << "memory does not have it yet";
  memory = 0x1122334455abcd88;
  EXPECT_EQ(j.difference(), "");
  EXPECT_FALSE(j.raced());
  memory ^= 1u << 24;
  EXPECT_TRUE(j.raced()) << "what was loaded has changed";
  EXPECT_FALSE(j.stored(at + 4, 1, 0));
  EXPECT_NE(j.difference(), "") << "a store that the interpreter did not make";
}

TEST(VerifyJournal, DeviceAccessesMustBeTheSame) {
  Journal j;
  const GuestPa a(0x9000000);
  u64 value = 5;
  const auto record = [&] {
    j.begin();
    value = 5;
    EXPECT_FALSE(j.device_access(a, 4, true, value));
    j.device_accessed(a, 4, true, value, true);
    EXPECT_FALSE(j.device_access(a, 4, false, value));
    j.device_accessed(a, 4, false, 77, false);
    j.replay();
  };
  record();
  EXPECT_EQ(j.device_access(a, 4, true, value), std::optional(true));
  EXPECT_EQ(j.device_access(a, 4, false, value), std::optional(false));
  EXPECT_EQ(value, 77u);
  EXPECT_EQ(j.difference(), "");
  record();
  EXPECT_NE(j.difference(), "") << "not made";
  record();
  value = 6;
  EXPECT_TRUE(j.device_access(a, 4, true, value));
  EXPECT_TRUE(j.device_access(a, 4, false, value));
  EXPECT_NE(j.difference(), "") << "another value";
  record();
  value = 5;
  for (u32 k = 0; k < 3; ++k) EXPECT_TRUE(j.device_access(a, 4, k == 0, value));
  EXPECT_NE(j.difference(), "") << "one more";
}

}  // namespace
}  // namespace armvisor::engine::test
