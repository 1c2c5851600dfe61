#pragma once
// QEMU's device for education (docs/specs/edu.rst of QEMU): a number that is inverted, factorials, interrupts by a line
// or by messages, and transfers between RAM and a buffer of its own. Systems test their PCI with it.
//
// Other than QEMU's, which takes a moment in which it says that it is busy, it is done with all when the write returns.
#include <array>
#include <mutex>

#include "devices/pci/function.h"
#include "memory/guest_ram.h"

namespace armvisor::devices::pci {

class Edu final : public Function, private MmioDevice {
 public:
  static constexpr u32 k_region_size = 0x10'0000;
  static constexpr u64 k_buffer_at = 0x40000, k_buffer_size = 4096;
  static constexpr u64 k_usual_mask = (u64{1} << 28) - 1;

  /// `dma_mask`: what it can reach of RAM.
  Edu(GuestRam& ram, const Wires& wires, u64 dma_mask);

  void config_write(u32 offset, u32 size, u32 value) override;

 private:
  std::string_view name() const override { return "edu"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;
  void raise(u32 causes);
  void lower(u32 causes);
  void transfer();
  bool sends_messages() { return config().read(message_at_, 2) & 1; }

  GuestRam& ram_;
  MessageSink& sink_;
  const u64 dma_mask_;
  u32 message_at_ = 0;  ///< the control word of its messages, in the configuration space
  u32 inverted_ = 0, factorial_ = 0, status_ = 0, causes_ = 0;
  u64 source_ = 0, destination_ = 0, count_ = 0, command_ = 0;
  std::array<u8, k_buffer_size> buffer_{};
};

}  // namespace armvisor::devices::pci
