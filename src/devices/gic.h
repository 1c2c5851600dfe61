#pragma once
// GICv2 interrupt controller (ARM IHI 0048B) as a GIC-400 without the Security Extensions' second view: one interrupt
// group, 32 priorities, 32 private and 256 shared interrupts.
#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/platform.h"
#include "base/types.h"
#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

/// All methods are thread-safe: one mutex guards the state. The output callback is called with that mutex held, so that
/// levels arrive in order; it must not call back into the Gic.
class Gic {
 public:
  static constexpr u32 k_max_cpus = k_max_vcpus, k_sgis = 16, k_ppis = 16, k_private = k_sgis + k_ppis;
  static constexpr u32 k_spis = 256, k_interrupts = k_private + k_spis;
  static_assert(k_max_cpus <= 8, "targets are bytes");
  static constexpr u32 k_words = k_interrupts / 32;
  static constexpr u64 k_distributor_size = 0x10000, k_cpu_interface_size = 0x10000;

  using Output = std::function<void(u32 cpu, bool level)>;
  /// `output` drives the IRQ input of a CPU; called on changes only. Interface and lines live as long as the Gic.
  Gic(u32 cpus, Output output);
  Gic(const Gic&) = delete;
  Gic& operator=(const Gic&) = delete;

  // Interrupt IDs by what the device tree calls them (2.2.1).
  static constexpr u32 ppi_id(u32 n) { return k_sgis + n; }
  static constexpr u32 spi_id(u32 n) { return k_private + n; }
  IrqLine& spi(u32 n);           ///< shared interrupt n, n below k_spis
  IrqLine& ppi(u32 cpu, u32 n);  ///< private peripheral interrupt n of `cpu`, n below k_ppis

  /// Regions: distributor, CPU interface, and a frame for messages (devices/gic_v2m.h) if it has one, whose interrupts
  /// are those from the site's on.
  static void describe(TreeWriter& tree, const Site& site);

  // Register accesses by `cpu`, which selects the banked registers. Byte-accessible registers take sizes 1, 2 and 4,
  // the others aligned words; anything else reads as zero and ignores writes.
  u64 read_distributor(u32 cpu, u64 offset, u32 size);
  void write_distributor(u32 cpu, u64 offset, u32 size, u64 value);
  u64 read_cpu_interface(u32 cpu, u64 offset, u32 size);
  void write_cpu_interface(u32 cpu, u64 offset, u32 size, u64 value);

  void reset();

 private:
  /// Bits of 32 interrupts; word 0 (SGIs and PPIs) exists once per CPU.
  struct Word {
    u32 enabled = 0;
    u32 latched = 0;  ///< pending by an edge, a write, or an SGI
    u32 level = 0;    ///< input lines
    u32 active = 0;
    u32 edge = 0;  ///< configured as edge-triggered
    u32 pending() const { return latched | (level & ~edge); }
  };
  struct Cpu {
    Word word0;
    std::array<u8, k_private> priority{};
    std::array<u8, 16> sgi_sources{};  ///< CPUs whose SGI is pending here
    std::array<u32, k_words> targeted{};
    u32 ctlr = 0, apr = 0;
    u8 pmr = 0, bpr = 0, abpr = 0;
    bool output = false;
  };
  struct Line final : IrqLine {
    Gic* gic = nullptr;
    u32 cpu = 0, intid = 0;
    void set(bool level) override { gic->set_input(cpu, intid, level); }
  };
  struct Candidate {
    u32 intid;
    u8 priority;
  };

  // gic.cpp
  void reset_locked();
  void set_input(u32 cpu, u32 intid, bool level);
  Word& word(u32 cpu, u32 w) { return w == 0 ? cpus_[cpu].word0 : shared_[w]; }
  u8& priority(u32 cpu, u32 intid) { return intid < k_private ? cpus_[cpu].priority[intid] : priority_[intid]; }
  void set_targets(u32 intid, u8 mask);
  Candidate highest_pending(u32 cpu);
  bool can_signal(const Cpu& c, const Candidate& candidate) const;
  void update(u32 cpu);
  void update_all();

  // gic_distributor.cpp
  u32 read_distributor_word(u32 cpu, u32 offset);
  void write_distributor_word(u32 cpu, u32 offset, u32 value);
  u8 read_byte_register(u32 cpu, u32 offset);
  void write_byte_register(u32 cpu, u32 offset, u8 value);
  u32 read_bits(u32 cpu, u32 offset);
  void write_bits(u32 cpu, u32 offset, u32 value);
  u32 read_config(u32 cpu, u32 index);
  void write_config(u32 cpu, u32 index, u32 value);
  void send_sgi(u32 cpu, u32 value);
  void set_sgi_sources(u32 cpu, u32 sgi, u8 sources);

  // gic_cpu_interface.cpp
  u32 acknowledge(u32 cpu);
  u32 highest_pending_id(u32 cpu);
  void end_of_interrupt(u32 cpu, u32 value);
  void deactivate(u32 cpu, u32 intid);

  static constexpr u32 k_spurious = 1023;

  const u32 cpu_count_;
  const Output output_;
  std::mutex mutex_;
  bool enabled_ = false;
  std::array<Cpu, k_max_cpus> cpus_{};
  std::array<Word, k_words> shared_{};  ///< word 0 unused
  std::array<u8, k_interrupts> priority_{}, targets_{};
  std::vector<Line> spi_lines_, ppi_lines_;
};

}  // namespace armvisor::devices
