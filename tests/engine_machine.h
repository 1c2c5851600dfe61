#pragma once
// A machine with RAM, a device page and nothing else, for tests of engines.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <map>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "random_jit.h"

namespace armvisor::engine::test {

inline constexpr u32 k_ram = 0x40000000;
inline constexpr u32 k_ram_size = 16u << 20;
inline constexpr u32 k_device = 0x09000000;
inline constexpr u32 k_rom = 0x04000000;

/// HVC #0 stops the vCPU that makes it. The device page is 4 KiB of registers that keep what is written.
class Port final : public MachinePort {
 public:
  bool mmio_read(GuestPa pa, u32 size, u64& value) override {
    if (pa.value >> 12 != k_device >> 12) return false;
    ++reads;
    value = 0;
    for (u32 k = 0; k < size; ++k) value |= u64{registers[pa.value + k]} << (8 * k);
    if (log) log->push_back({pa.value, size, false, value});
    return true;
  }
  bool mmio_write(GuestPa pa, u32 size, u64 value) override {
    if (pa.value >> 12 != k_device >> 12) return false;
    ++writes;
    if (log) log->push_back({pa.value, size, true, value});
    for (u32 k = 0; k < size; ++k) registers[pa.value + k] = static_cast<u8>(value >> (8 * k));
    return true;
  }
  const u8* rom_page(GuestPa pa) override { return pa.value == k_rom && !rom.empty() ? rom.data() : nullptr; }
  bool hypercall(arm::CpuState&, u32 vcpu, bool smc, u32 comment) override {
    if (smc || comment != 0) return false;
    engine->vcpu(vcpu).kick();
    return true;
  }
  u64 counter() override { return ++ticks; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {
    for (u32 k = 0; k < engine->vcpu_count(); ++k) engine->vcpu(k).set_event();
  }

  struct Access {
    u64 pa;
    u32 size;
    bool write;
    u64 value;
    bool operator==(const Access&) const = default;
  };

  Engine* engine = nullptr;
  std::vector<Access>* log = nullptr;  ///< each access of the device page goes there
  std::map<u64, u8> registers;
  std::vector<u8> rom;
  u64 reads = 0, writes = 0;
  std::atomic<u64> ticks{0};
};

class Machine {
 public:
  using Translator = std::function<void(u32, ir::Block&)>;
  /// `kind` and `options` are for tests of one engine.
  explicit Machine(u32 vcpus = 1, Translator translator = {}, JitOptions options = {}, const char* kind = nullptr)
      : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))) {
    // ARMVISOR_TEST_ENGINE names the engine, ARMVISOR_TEST_MMU the policy, ARMVISOR_TEST_TRAPS the level,
    // ARMVISOR_TEST_JIT choices of the compiler (random:SEED is random_jit.h), ARMVISOR_TEST_VERIFY asks for lockstep
    // verification; CTest runs these tests with each.
    const char* const name = kind ? kind : std::getenv("ARMVISOR_TEST_ENGINE");
    const char* const mmu = std::getenv("ARMVISOR_TEST_MMU");
    const char* const traps = std::getenv("ARMVISOR_TEST_TRAPS");
    EXPECT_TRUE(!traps || set_trap_level(traps, options));
    options.warm = 0;  // what runs once shall be compiled too
    const char* const jit = std::getenv("ARMVISOR_TEST_JIT");
    if (jit) {
      const std::string list = test::expand_jit_list(jit);
      EXPECT_TRUE(parse_jit_options(list, options)) << list;
      if (list != jit) ::testing::Test::RecordProperty("jit", list);
    }
    EngineConfig config{.vcpus = vcpus, .ram = &ram, .port = &port, .translator = std::move(translator)};
    if (mmu) config.mmu = *parse_mmu_policy(mmu);
    config.verify = std::getenv("ARMVISOR_TEST_VERIFY") != nullptr;
    engine = std::move(*make_engine(name ? name : "interp", config, options));
    port.engine = engine.get();
    warm = options.warm;
  }

  void words(u32 pa, std::initializer_list<u32> code) {
    for (const u32 word : code) {
      put32(pa, word);
      pa += 4;
    }
  }
  void put32(u32 pa, u32 word) {
    u8 bytes[4];
    for (u32 k = 0; k < 4; ++k) bytes[k] = static_cast<u8>(word >> (8 * k));
    EXPECT_TRUE(ram.write(GuestPa(pa), bytes));
  }
  u32 get32(u32 pa) {
    u8 b[4];
    EXPECT_TRUE(ram.read(GuestPa(pa), b));
    return b[0] | b[1] << 8 | b[2] << 16 | u32{b[3]} << 24;
  }
  arm::CpuState& state(u32 k = 0) { return engine->vcpu(k).state(); }
  u32& reg(u32 n, u32 k = 0) { return state(k).r[n]; }
  Exit run(u32 pc, u32 k = 0) {
    state(k).r[15] = pc;
    engine->vcpu(k).state_changed();
    return engine->vcpu(k).run();
  }

  GuestRam ram;
  Port port;
  std::unique_ptr<Engine> engine;
  u64 warm = 0;  ///< JitOptions::warm of the engine
};

inline constexpr u32 k_stop = 0xe1400070;  ///< HVC #0

}  // namespace armvisor::engine::test
