#pragma once
// PL011 UART (ARM DDI 0183), revision r1p4 with 16-byte FIFOs. Transmission takes no time; reception is paced by what
// the guest reads.
#include <array>
#include <deque>
#include <functional>
#include <mutex>
#include <span>

#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

/// Registers are accessed under the bus's lock; push() may be called by another thread at any time. The callbacks are
/// called without the device's own lock: `output` on the accessing thread, `space` likewise.
class Pl011 final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x1000;
  using Output = std::function<void(std::span<const u8>)>;

  Pl011(IrqLine& irq, Output output);

  /// (any thread) Offers received bytes; returns how many were taken. When it was fewer than offered, `space` is called
  /// once there is room again.
  std::size_t push(std::span<const u8> bytes);
  /// (any thread) The line is low for longer than a character. Lost if the FIFO is full or the receiver disabled.
  void receive_break();
  /// To be set before the guest runs.
  void set_space_callback(std::function<void()> space) { space_ = std::move(space); }

  static std::string node(const Site& site) { return node_name("pl011", site.regions[0].base); }
  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "pl011"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;
  void reset();

 private:
  static constexpr std::size_t k_fifo_depth = 16, k_backlog = 4096;

  std::size_t depth() const;
  std::size_t receive_trigger() const;
  u32 flags() const;
  u32 raw_modem_inputs() const;
  u32 read_register(u32 offset);
  void write_register(u32 offset, u32 value);
  u32 read_data();
  void arrive(u16 word);
  void refill();
  void update_irq();

  IrqLine& irq_;
  Output output_;
  std::function<void()> space_;

  std::mutex mutex_;        ///< guards everything below
  std::deque<u8> backlog_;  ///< taken from the host, not yet received
  bool refused_ = false;    ///< push() took less than it was offered
  std::deque<u16> fifo_;    ///< with error bits in [11:8]
  u32 rsr_ = 0, ilpr_ = 0, ibrd_ = 0, fbrd_ = 0, lcr_ = 0, cr_ = 0, ifls_ = 0, imsc_ = 0, ris_ = 0, dmacr_ = 0;
};

}  // namespace armvisor::devices
