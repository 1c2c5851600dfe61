// Any bytes as the memory of a machine, executed from its first byte for a short while by one of the engines. Nothing
// that a guest does may end the host.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/engine.h"
#include "input.h"

using namespace armvisor;

namespace {

constexpr GuestPa k_base{0x40000000};
constexpr u64 k_ram_size = 1u << 20;

class Port final : public engine::MachinePort {
 public:
  bool mmio_read(GuestPa pa, u32 size, u64& value) override {
    value = pa.value * 0x9e3779b97f4a7c15u >> (64 - 8 * size);
    return (pa.value >> 16) % 2 == 0;
  }
  bool mmio_write(GuestPa pa, u32, u64) override { return (pa.value >> 16) % 2 == 0; }
  const u8* rom_page(GuestPa) override { return nullptr; }
  bool hypercall(arm::CpuState& s, u32, bool smc, u32) override {
    s.r[0] = ~0u;
    return !smc;
  }
  u64 counter() override { return ++counter_; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {}

 private:
  u64 counter_ = 0;
};

/// Kicks the vCPU when its time is over, again and again until it has stopped.
class Watchdog {
 public:
  explicit Watchdog(engine::Vcpu& vcpu) : thread_([this, &vcpu] { watch(vcpu); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  bool over() const { return over_; }

 private:
  void watch(engine::Vcpu& vcpu) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(2), [this] { return done_; })) {
      over_ = true;
      vcpu.kick();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

arm::CpuState start(fuzz::Input& in, u8 how) {
  arm::CpuState s = arm::reset_state(0, 1);
  arm::set_cpsr(s, (arm::cpsr(s) & ~arm::k_psr_mode) | (how & 1 ? arm::k_mode_usr : arm::k_mode_svc) |
                       (how & 2 ? arm::k_psr_t : 0));
  if (how & 4) {
    s.cp15.cpacr = 0x00f00000;
    s.fpexc = 1u << 30;
  }
  for (u32 i = 0; i < 13; ++i) s.r[i] = in.get<u16>() * 4u + static_cast<u32>(k_base.value);
  s.r[13] = static_cast<u32>(k_base.value) + 0x80000;
  s.r[15] = static_cast<u32>(k_base.value);
  s.cp15.vbar = static_cast<u32>(k_base.value) + 0x1000;
  return s;
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto ram = GuestRam::create(k_base, k_ram_size);
  if (!ram) return 0;
  Port port;
  engine::EngineConfig config;
  config.ram = &*ram;
  config.port = &port;
  const u8 how = in.get<u8>();
  engine::JitOptions options;
  options.code_bytes = 1u << 20;
  options.inline_fp = how & 16;
  options.warm = how & 32 ? 2 : 0;
  auto engine = engine::make_engine((how & 8) && engine::jit_available() ? "jit" : "interp", config, options);
  if (!engine) return 0;
  engine::Vcpu& vcpu = (*engine)->vcpu(0);
  vcpu.state() = start(in, how);
  const auto image = in.rest();
  if (!ram->write(k_base, image.first(std::min<std::size_t>(image.size(), 0x10000)))) return 0;
  vcpu.state_changed();
  Watchdog watchdog(vcpu);
  for (int waits = 0; waits < 8 && !watchdog.over(); ++waits) {
    vcpu.set_line(engine::k_line_irq, waits & 1);
    (void)vcpu.run();
  }
  return 0;
}
