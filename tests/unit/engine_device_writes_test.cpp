// Devices that write code under running vCPUs, as a disk does that reads a program into RAM: when the device has said
// that it is done, and the guest has done the maintenance that the architecture asks for (ARM DDI 0406C A3.5.4,
// B2.2.7), the new instructions run.
#include <array>

#include "engine_threads.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_table = k_ram + 0x4000, k_code = k_ram + 0x10000, k_done = k_ram + 0x20000, k_seen = k_done + 0x1000;
constexpr u32 k_function = k_ram + 0x40ff8;  ///< eight words, two in the frame before
constexpr u32 k_vcpus = 2, k_writes = 200;
// Registers of guest code: R0 to R3 are what the function returns.
constexpr u32 k_target = 6, k_done_at = 4, k_number = 5, k_seen_at = 7, k_calls = 8, k_stale = 9, k_last = 10;

enum class Dma { Copied, InPlace, WholeFrames };      ///< GuestRam::write; host(), then mark_written; 8 KiB so
enum class Maintenance { ByAddress, All, AllInner };  ///< ICIMVAU of each line, ICIALLU, ICIALLUIS

/// The number in four registers, by instructions in two frames.
std::array<u32, 8> function_of(u32 number) {
  std::array<u32, 8> code;
  code.fill(vmm::A32Assembler::k_nop);
  for (const u32 n : {0u, 1u, 2u, 3u}) code[n] = 0xe3000000 | n << 12 | (number & 0xf000) << 4 | (number & 0xfff);
  code[4] = 0xe12fff1e;  // bx lr
  return code;
}

class EngineDeviceWrites : public ::testing::Test {
 protected:
  static JitOptions options() {
    JitOptions options;
    options.hot = 50;
    return options;
  }

  EngineDeviceWrites() : m(k_vcpus, {}, options()) {
    m.words(k_ram, {k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop});
    for (u32 mib = k_ram >> 20; mib < (k_ram + k_ram_size) >> 20; ++mib)
      m.put32(k_table + 4 * mib, mib << 20 | 0x11c0e);  // Normal, shareable, all may write
  }

  /// Calls the function until the device's last number has come, and counts results that are older than what the device
  /// had said before the maintenance.
  void lay_guest(Maintenance how) {
    // The vector of SVC branches there: User mode may not do maintenance itself.
    vmm::A32Assembler svc(k_ram + 0x10);
    svc.go_to(k_ram + 0x20);
    const u32 handler = svc.here();
    for (u32 line = 0; line < 2; ++line)
      if (how == Maintenance::ByAddress) {
        svc.add(13, k_target, 16 * line);
        svc.mcr(13, 0, 7, 5, 1);
      }
    if (how == Maintenance::All) svc.mcr(0, 0, 7, 5, 0);
    if (how == Maintenance::AllInner) svc.mcr(0, 0, 7, 1, 0);
    svc.mcr(0, 0, 7, 5, 6);  // BPIALL
    svc.word(svc.k_dsb);
    svc.word(svc.k_isb);
    svc.word(0xe1b0f00e);  // movs pc, lr
    emit(m, k_ram + 0x10, svc.words());
    m.put32(k_ram + 8, 0xea000000 | (handler - (k_ram + 8) - 8) >> 2);

    for (u32 k = 0; k < k_vcpus; ++k) {
      vmm::A32Assembler a(k_code + k * 0x1000);
      const u32 again = a.here();
      a.ldr(k_number, k_done_at);
      a.word(k_dmb);
      a.word(0xef000000);  // svc
      a.blx(k_target);
      for (const u32 n : {0u, 1u, 2u, 3u}) {
        a.word(0xe1500000 | n << 16 | k_number);             // cmp rn, number
        a.word(0x32800001 | k_stale << 16 | k_stale << 12);  // addlo stale, stale, #1
      }
      a.add(k_calls, k_calls, 1);
      a.str(k_number, k_seen_at);
      a.str(k_calls, k_seen_at, 4);
      a.word(0xe310003f | k_calls << 16);            // tst calls, #63
      a.word(0x0320f001);                            // yieldeq, for the device
      a.word(0xe1500000 | k_number << 16 | k_last);  // cmp number, last
      a.branch(again, a.k_not_equal);
      a.word(k_stop);
      emit(m, k_code + k * 0x1000, a.words());
    }
  }

  void prepare(u32 k) {
    arm::CpuState& s = m.state(k);
    s.cp15.vbar = k_ram;
    s.cp15.ttbr0 = k_table;
    s.cp15.dacr = 1;
    s.cp15.sctlr |= 1;
    arm::set_cpsr(s, (k == 0 ? arm::k_mode_usr : arm::k_mode_sys) | arm::k_psr_a | arm::k_psr_i | arm::k_psr_f);
    s.r[k_target] = k_function;
    s.r[k_done_at] = k_done;
    s.r[k_seen_at] = seen_at(k);
    s.r[k_calls] = s.r[k_stale] = 0;
    s.r[k_last] = k_writes;
  }
  static constexpr u32 seen_at(u32 k) { return k_seen + 64 * k; }

  u32 peek(u32 pa) {
    return std::atomic_ref(*reinterpret_cast<u32*>(m.ram.host(GuestPa(pa)))).load(std::memory_order_acquire);
  }

  /// Writes the function anew and says so. Half of the time the vCPUs come to know each number and run it often enough
  /// to have it compiled; else the next comes while they may be in the midst of this one.
  void play_device(Dma how) {
    for (u32 number = 1; number <= k_writes; ++number) {
      write_function(number, how);
      const u8 done[4] = {static_cast<u8>(number), static_cast<u8>(number >> 8), 0, 0};
      EXPECT_TRUE(m.ram.write(GuestPa(k_done), done));
      if (number % 2 == 0 || number == k_writes) continue;
      for (u32 k = 0; k < k_vcpus; ++k) {
        while (peek(seen_at(k)) != number) std::this_thread::yield();
        const u32 calls = peek(seen_at(k) + 4);
        while (peek(seen_at(k) + 4) - calls < (number % 8 == 1 ? 120 : 4)) std::this_thread::yield();
      }
    }
  }

  void write_function(u32 number, Dma how) {
    const std::array<u32, 8> code = function_of(number);
    const auto bytes = std::as_bytes(std::span(code));
    const std::span<const u8> in(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
    if (how == Dma::Copied) {
      EXPECT_TRUE(m.ram.write(GuestPa(k_function), in));
      return;
    }
    if (how == Dma::InPlace) {
      std::memcpy(m.ram.host(GuestPa(k_function)), in.data(), in.size());
      return m.ram.mark_written(GuestPa(k_function), in.size());
    }
    std::vector<u8> frames(0x2000, static_cast<u8>(number));
    std::memcpy(frames.data() + k_function % 0x1000, in.data(), in.size());
    const GuestPa first(k_function & ~0xfffu);
    std::memcpy(m.ram.host(first), frames.data(), frames.size());
    m.ram.mark_written(first, frames.size());
  }

  void run(Dma dma, Maintenance maintenance) {
    m.put32(k_done, 0);
    for (u32 k = 0; k < k_vcpus; ++k) m.words(seen_at(k), {0, 0});
    write_function(0, dma);
    lay_guest(maintenance);
    for (u32 k = 0; k < k_vcpus; ++k) prepare(k);
    std::thread device([this, dma] { play_device(dma); });
    run_on_threads(m, {k_code, k_code + 0x1000});
    device.join();
    for (u32 k = 0; k < k_vcpus; ++k) {
      EXPECT_EQ(m.reg(k_stale, k), 0u) << "of " << m.reg(k_calls, k) << " calls by vCPU " << k;
      EXPECT_EQ(m.reg(k_number, k), k_writes);
    }
  }

  Machine m;
};

TEST_F(EngineDeviceWrites, CopiedAndInvalidatedByAddress) { run(Dma::Copied, Maintenance::ByAddress); }
TEST_F(EngineDeviceWrites, InPlaceAndInvalidatedByAddress) { run(Dma::InPlace, Maintenance::ByAddress); }
TEST_F(EngineDeviceWrites, InPlaceAndAllInvalidated) { run(Dma::InPlace, Maintenance::All); }
TEST_F(EngineDeviceWrites, WholeFramesAndInvalidatedByAddress) { run(Dma::WholeFrames, Maintenance::ByAddress); }
TEST_F(EngineDeviceWrites, WholeFramesAndAllInvalidated) { run(Dma::WholeFrames, Maintenance::AllInner); }

}  // namespace
}  // namespace armvisor::engine::test
