// Dead blocks are freed while a vCPU is in a device for long, and what it comes back to is still there.
#include <condition_variable>
#include <mutex>

#include "engine/jit/jit.h"
#include "engine/shared.h"
#include "engine/vcpu.h"
#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_function = k_ram + 0x30000, k_loop = k_ram + 0x8000, k_device_code = k_ram + 0x9000;

/// HVC stops the vCPU; a write to the device takes until release().
class SlowPort final : public MachinePort {
 public:
  bool mmio_read(GuestPa, u32, u64&) override { return false; }
  bool mmio_write(GuestPa, u32, u64) override {
    std::unique_lock lock(mutex_);
    inside_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
    return true;
  }
  const u8* rom_page(GuestPa) override { return nullptr; }
  bool hypercall(arm::CpuState&, u32 vcpu, bool, u32) override {
    (*vcpus)[vcpu]->kick();
    return true;
  }
  u64 counter() override { return 0; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {}

  void wait_until_inside() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_; });
  }
  void release() {
    const std::lock_guard guard(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  std::vector<std::unique_ptr<TranslatingVcpu>>* vcpus = nullptr;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool inside_ = false, released_ = false;
};

std::unique_ptr<Backend> make_backend() {
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
  JitOptions options;
  options.warm = 0;
  if (engine && std::string(engine) == "jit") return std::move(*jit::make_backend(options));
  return make_interpreter_backend();
}

TEST(EngineReclaim, DeadBlocksDoNotWaitForAVcpuInADevice) {
  GuestRam ram = std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size));
  SlowPort port;
  Shared shared({.vcpus = 2, .ram = &ram, .port = &port, .translator = {}}, make_backend());
  std::vector<std::unique_ptr<TranslatingVcpu>> vcpus;
  port.vcpus = &vcpus;
  for (u32 k = 0; k < 2; ++k) vcpus.push_back(std::make_unique<TranslatingVcpu>(shared, k));
  const auto words = [&](u32 pa, std::initializer_list<u32> code) {
    for (const u32 word : code) {
      std::memcpy(ram.host(GuestPa(pa)), &word, sizeof word);
      pa += 4;
    }
  };
  const auto run = [&](u32 pc, u32 k) {
    vcpus[k]->state().r[15] = pc;
    vcpus[k]->state_changed();
    Exit exit = vcpus[k]->run();
    while (exit == Exit::Yield) exit = vcpus[k]->run();
    EXPECT_EQ(exit, Exit::Kicked);
  };
  words(k_device_code, {
                           0xe12fff36,  // blx r6
                           0xe5810000,  // str r0, [r1]   the device
                           0xe3a05007,  // mov r5, #7
                           0xe12fff36,  // blx r6
                           k_stop,
                       });
  words(k_function, {0xe3a00001, 0xe12fff1e});  // mov r0, #1; bx lr
  words(k_loop, {
                    0xe5812000,  // str r2, [r1]       the function is written
                    0xf57ff04f,  // dsb
                    0xee071f35,  // mcr p15, 0, r1, c7, c5, 1  (ICIMVAU)
                    0xf57ff04f,  // dsb
                    0xf57ff06f,  // isb
                    0xe12fff36,  // blx r6
                    0xe2533001,  // subs r3, r3, #1
                    0x1afffff7,  // bne to the first
                    k_stop,
                });
  arm::CpuState &slow = vcpus[0]->state(), &busy = vcpus[1]->state();
  slow.r[1] = k_device;
  slow.r[6] = busy.r[6] = busy.r[1] = k_function;
  busy.r[2] = 0xe3a00002;  // mov r0, #2
  busy.r[3] = 20'000;
  std::thread runner([&] { run(k_device_code, 0); });
  port.wait_until_inside();
  // The block that it is in dies, too.
  EXPECT_TRUE(shared.code.invalidate(GuestPa(k_device_code), k_page_size));
  run(k_loop, 1);
  EXPECT_EQ(busy.r[0], 2u);
  EXPECT_LT(shared.code.dead_bytes(), 4u << 20);  // of some 10 MiB
  port.release();
  runner.join();
  EXPECT_EQ(slow.r[5], 7u);
  EXPECT_EQ(slow.r[0], 2u);  // not what it knew before
}

}  // namespace
}  // namespace armvisor::engine::test
