#pragma once
// Small devices of the board itself: register windows of the interrupt controller, and empty virtio slots.
#include "devices/gic.h"
#include "devices/virtio/mmio.h"
#include "machine/bus.h"

namespace armvisor::machine {

/// The distributor's registers, as the accessing vCPU sees them.
class GicDistributorWindow final : public devices::MmioDevice {
 public:
  explicit GicDistributorWindow(devices::Gic& gic) : gic_(gic) {}
  std::string_view name() const override { return "gic-distributor"; }
  u64 mmio_read(u64 offset, u32 size) override { return gic_.read_distributor(Bus::accessing_vcpu(), offset, size); }
  void mmio_write(u64 offset, u32 size, u64 value) override {
    gic_.write_distributor(Bus::accessing_vcpu(), offset, size, value);
  }

 private:
  devices::Gic& gic_;
};

/// The accessing vCPU's own CPU interface.
class GicCpuWindow final : public devices::MmioDevice {
 public:
  explicit GicCpuWindow(devices::Gic& gic) : gic_(gic) {}
  std::string_view name() const override { return "gic-cpu-interface"; }
  u64 mmio_read(u64 offset, u32 size) override { return gic_.read_cpu_interface(Bus::accessing_vcpu(), offset, size); }
  void mmio_write(u64 offset, u32 size, u64 value) override {
    gic_.write_cpu_interface(Bus::accessing_vcpu(), offset, size, value);
  }

 private:
  devices::Gic& gic_;
};

/// Virtio transports without a device (virtio 1.2 section 4.2.2.2: device ID 0, which a driver ignores), in the slots
/// that the board has and nobody fills.
class EmptyVirtioSlots final : public devices::MmioDevice {
 public:
  std::string_view name() const override { return "virtio-empty"; }
  u64 mmio_read(u64 offset, u32 size) override {
    if (size != 4) return 0;
    switch (offset % devices::virtio::MmioTransport::k_region_size) {
      case 0x000: return devices::virtio::MmioTransport::k_magic;
      case 0x004: return static_cast<u32>(devices::virtio::MmioVersion::Modern);
      default: return 0;
    }
  }
  void mmio_write(u64, u32, u64) override {}
};

}  // namespace armvisor::machine
