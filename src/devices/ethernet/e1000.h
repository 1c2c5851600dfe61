#pragma once
// The Intel 82540EM Gigabit Ethernet controller, as QEMU's e1000 (317453): a PCI function with one receive and one
// transmit ring, checksums and segmentation of what is sent, tags of VLANs, and an interrupt pin. For guests whose
// firmware or kernel has no driver for virtio.
//
// Registers are under mutex_. Rings are walked by the backend's thread; the write of a tail wakes it. The thread sends
// without the mutex, since what the backend answers at once comes back through receive().
#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/backends/network.h"
#include "devices/ethernet/e1000_parts.h"
#include "devices/ethernet/e1000_registers.h"
#include "devices/ethernet/e1000_segments.h"
#include "devices/pci/function.h"
#include "devices/waiting_frames.h"
#include "memory/guest_ram.h"

namespace armvisor::devices::e1000 {

class Controller final : public pci::Function, private NetworkClient {
 public:
  static constexpr u32 k_region_size = 0x20000, k_ports_size = 0x40;

  /// Starts the backend; fails if that does.
  static Result<std::unique_ptr<Controller>> create(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac,
                                                    GuestRam& ram, IrqLine& intx);
  ~Controller() override;

 private:
  /// BAR 0: the registers. BAR 1, of I/O ports: the address of one, and its value.
  class Registers final : public MmioDevice {
   public:
    explicit Registers(Controller& controller) : controller_(controller) {}
    std::string_view name() const override { return "e1000"; }
    u64 mmio_read(u64 offset, u32 size) override;
    void mmio_write(u64 offset, u32 size, u64 value) override;

   private:
    Controller& controller_;
  };
  class Ports final : public MmioDevice {
   public:
    explicit Ports(Controller& controller) : controller_(controller) {}
    std::string_view name() const override { return "e1000-ports"; }
    u64 mmio_read(u64 offset, u32 size) override;
    void mmio_write(u64 offset, u32 size, u64 value) override;

   private:
    Controller& controller_;
    u32 address_ = 0;
  };

  /// A ring, as its registers have it now.
  struct Ring {
    u64 base;
    u32 count, head, tail;
    bool is_sound() const { return count && head < count && tail < count; }
    u32 filled() const { return tail >= head ? tail - head : count - head + tail; }
    GuestPa at(u32 index) const { return GuestPa(base + u64{index} * k_descriptor_size); }
  };
  struct Descriptor {
    u64 address = 0;
    u32 words[2] = {};  ///< the third and fourth
  };

  Controller(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac, GuestRam& ram, IrqLine& intx);

  u32 read(u32 offset);
  void write(u32 offset, u32 value);

  // NetworkClient
  bool transmit_pending() override;
  void receive(std::span<const u8> frame) override;
  void received_all() override;

  // With mutex_ held.
  u32& reg(u32 offset) { return registers_[offset / 4]; }
  void reset();
  void control(u32 value);
  void raise(u32 causes);
  void raise_causes();
  void update_intx();
  void count(u32 low, u64 n, bool wide = false);
  Ring ring(u32 first) const;
  Descriptor descriptor(GuestPa at) const;
  // e1000_transmit.cpp
  bool next_frame(Outgoing& out, u32& descriptors);
  bool take(const Descriptor& d);
  // e1000_receive.cpp
  bool accepts(std::span<const u8> frame) const;
  bool accepts_multicast(std::span<const u8> frame) const;
  bool has_address(std::span<const u8> frame) const;
  void keep_or_deliver(std::span<const u8> frame);
  bool deliver(std::span<const u8> frame);
  void deliver_waiting();
  u32 buffer_size() const;

  const std::unique_ptr<NetworkBackend> backend_;
  const MacAddress mac_;
  GuestRam& ram_;
  Registers region_{*this};
  Ports ports_{*this};
  std::mutex mutex_;  // guards what follows
  std::array<u32, RegistersEnd / 4> registers_{};
  Eeprom eeprom_;
  Phy phy_;
  Outgoing outgoing_;       ///< begun, its last descriptor not there yet
  SegmentContext context_;  ///< of the last context descriptor
  WaitingFrames waiting_;   ///< for descriptors
  u32 causes_ = 0;          ///< of the interrupt at the end of what is being done
};

}  // namespace armvisor::devices::e1000
