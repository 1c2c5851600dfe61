#pragma once
// PL011 UART (ARM DDI 0183), revision r1p4 with 16-byte FIFOs. Transmission takes no time while the line takes what is
// sent; then it is held back in the FIFO. Reception is paced by what the guest reads.
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>

#include "devices/chardev/chardev.h"
#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

/// Registers are accessed under the bus's lock; the line's handlers run on its own threads.
class Pl011 final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x1000;

  /// `line` outlives it; null: nobody is at its other end.
  Pl011(IrqLine& irq, Chardev* line);
  ~Pl011() override;
  Pl011(const Pl011&) = delete;

  static std::string node(const Site& site) { return node_name("pl011", site.regions[0].base); }
  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "pl011"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;
  void reset();
  /// The guest does not go on, and what the line did not take is sent; `wait`: as long as anybody waits for the reader.
  void finish(bool wait);

 private:
  static constexpr std::size_t k_fifo_depth = 16, k_backlog = 4096;
  static constexpr std::size_t k_most_held = 64 * 1024;  ///< of a guest that does not look at UARTFR.TXFF

  std::size_t push(std::span<const u8> bytes);
  void receive_break();
  std::size_t depth() const;
  std::size_t receive_trigger() const;
  std::size_t transmit_trigger() const;
  u32 flags() const;
  u32 raw_modem_inputs() const;
  u32 read_register(u32 offset);
  void write_register(u32 offset, u32 value);
  u32 read_data();
  void arrive(u16 word);
  void refill();
  bool transmit(u8 byte);
  void wait_for_room(std::unique_lock<std::mutex>& lock);
  void transmit_held();
  void update_irq();

  IrqLine& irq_;
  Chardev* const line_;

  std::mutex mutex_;        ///< guards everything below
  std::deque<u8> backlog_;  ///< taken from the host, not yet received
  bool refused_ = false;    ///< push() took less than it was offered
  std::deque<u16> fifo_;    ///< with error bits in [11:8]
  std::vector<u8> held_;    ///< the transmit FIFO, and what a guest wrote beyond: what the line has not taken
  std::condition_variable sent_;
  u32 rsr_ = 0, ilpr_ = 0, ibrd_ = 0, fbrd_ = 0, lcr_ = 0, cr_ = 0, ifls_ = 0, imsc_ = 0, ris_ = 0, dmacr_ = 0;
};

}  // namespace armvisor::devices
