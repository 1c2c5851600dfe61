#pragma once
// One set of registers for tests' drivers, those of virtio-mmio, over each transport.
#include <functional>
#include <memory>

#include "devices/virtio/mmio.h"
#include "devices/virtio/pci.h"

namespace armvisor::devices::virtio::testing {

/// Offsets of virtio-mmio's registers.
enum Reg : u32 {
  Magic = 0x000,
  Version = 0x004,
  DeviceID = 0x008,
  DeviceFeatures = 0x010,
  DeviceFeaturesSel = 0x014,
  DriverFeatures = 0x020,
  DriverFeaturesSel = 0x024,
  GuestPageSize = 0x028,
  QueueSel = 0x030,
  QueueNumMax = 0x034,
  QueueNum = 0x038,
  QueueAlign = 0x03c,
  QueuePFN = 0x040,
  QueueReady = 0x044,
  QueueNotify = 0x050,
  InterruptStatus = 0x060,
  InterruptACK = 0x064,
  Status = 0x070,
  QueueDesc = 0x080,
  QueueDriver = 0x090,
  QueueDevice = 0x0a0,
  ConfigGeneration = 0x0fc,
  Config = 0x100,
};

class Registers {
 public:
  virtual ~Registers() = default;
  virtual u64 read(u32 offset, u32 size) = 0;
  virtual void write(u32 offset, u32 size, u64 value) = 0;
  virtual Transport& transport() = 0;
  /// An access that no driver makes: what it does, where and with which value is for three numbers to say.
  virtual void any_access(u32 how, u32 where, u32 value) = 0;
};

class MmioRegisters final : public Registers {
 public:
  MmioRegisters(std::unique_ptr<Device> device, GuestRam& ram, IrqLine& irq, MmioVersion version)
      : transport_(std::move(device), ram, irq, version) {}
  u64 read(u32 offset, u32 size) override { return transport_.mmio_read(offset, size); }
  void write(u32 offset, u32 size, u64 value) override { transport_.mmio_write(offset, size, value); }
  Transport& transport() override { return transport_; }
  void any_access(u32 how, u32 where, u32 value) override {
    const u32 size = 1u << (how >> 1 & 3), offset = where % 0x200 & ~(size - 1);
    how & 1 ? write(offset, size, u64{value} << 32 | value) : (void)read(offset, size);
  }

 private:
  MmioTransport transport_;
};

/// Where messages of the device go: each counts as a rise of the line.
struct MessageLine final : pci::MessageSink {
  explicit MessageLine(IrqLine& l) : line(l) {}
  void message(GuestPa address, u32 data) override {
    last_address = address;
    last_data = data;
    ++count;
    line.set(true);
    line.set(false);
  }
  IrqLine& line;
  std::atomic<u32> count{0};
  GuestPa last_address;
  u32 last_data = 0;
};

class PciRegisters final : public Registers {
 public:
  PciRegisters(std::unique_ptr<Device> device, GuestRam& ram, IrqLine& irq, PciForm form)
      : messages_(irq),
        legacy_(!form.modern),
        id_(device->id()),
        function_(std::move(device), ram, {irq, messages_}, form) {
    function_.config_write(pci::Command, 2, 7);
  }
  PciTransport& function() { return function_; }
  MessageLine& messages() { return messages_; }
  Transport& transport() override { return function_; }

  u64 read(u32 offset, u32 size) override {
    if (offset >= Config)
      return legacy_ ? io_read(0x14 + offset - Config, size) : modern_read(0x2000 + offset - Config, size);
    switch (offset) {
      case Magic: return MmioTransport::k_magic;
      case Version: return legacy_ ? 1 : 2;
      case DeviceID: return id_;
      default: return legacy_ ? read_legacy(offset) : read_modern(offset);
    }
  }
  void write(u32 offset, u32 size, u64 value) override {
    if (offset >= Config)
      legacy_ ? function_.write_legacy(0x14 + offset - Config, size, value)
              : function_.write_modern(0x2000 + offset - Config, size, value);
    else
      legacy_ ? write_legacy(offset, value) : write_modern(offset, value);
  }
  void any_access(u32 how, u32 where, u32 value) override {
    const u32 size = 1u << (how >> 1 & 3);
    const u64 wide = u64{value} << 32 | value;
    switch (how >> 3 & 3) {
      case 0: {
        const u32 at = where % 0x100 & ~(size - 1);
        // The command register stays as it is: the rest of the attack would lead nowhere.
        if (size > 4 || at / 4 == pci::Command / 4) return;
        return how & 1 ? function_.config_write(at, size, value) : (void)function_.config_read(at, size);
      }
      case 1: {
        const u32 at = where % 0x20 & ~(size - 1);
        return how & 1 ? function_.write_legacy(at, size, wide) : (void)function_.read_legacy(at, size);
      }
      case 2: {
        const u32 at = where % PciTransport::k_modern_size & ~(size - 1);
        return how & 1 ? function_.write_modern(at, size, wide) : (void)function_.read_modern(at, size);
      }
      default: {
        MmioDevice& table = *function_.bars().back().device;
        const u32 at = where % 0x1000 & ~(size - 1);
        return how & 1 ? table.mmio_write(at, size, wide) : (void)table.mmio_read(at, size);
      }
    }
  }

 private:
  u64 io_read(u32 offset, u32 size) { return function_.read_legacy(offset, size); }
  u64 modern_read(u32 offset, u32 size) { return function_.read_modern(offset, size); }

  u64 read_modern(u32 offset) {
    switch (offset) {
      case DeviceFeatures: return modern_read(0x04, 4);
      case QueueNumMax: return modern_read(0x18, 2);
      case QueueReady: return modern_read(0x1c, 2);
      case InterruptStatus: return modern_read(0x1000, 1);
      case Status: return modern_read(0x14, 1);
      case ConfigGeneration: return modern_read(0x15, 1);
      default: return 0;
    }
  }
  void write_modern(u32 offset, u64 value) {
    const auto put = [&](u32 at, u32 size) { function_.write_modern(at, size, value); };
    switch (offset) {
      case DeviceFeaturesSel: return put(0x00, 4);
      case DriverFeaturesSel: return put(0x08, 4);
      case DriverFeatures: return put(0x0c, 4);
      case QueueSel: return put(0x16, 2);
      case QueueNum: return put(0x18, 2);
      case QueueReady: return put(0x1c, 2);
      case QueueNotify: return put(0x3000 + 4 * static_cast<u32>(value & 0x3ff), 2);
      case Status: return put(0x14, 1);
      case QueueDesc:
      case QueueDesc + 4:
      case QueueDriver:
      case QueueDriver + 4:
      case QueueDevice:
      case QueueDevice + 4: return put(0x20 + (offset - QueueDesc) / 0x10 * 8 + offset % 8, 4);
      default: return;
    }
  }
  u64 read_legacy(u32 offset) {
    switch (offset) {
      case DeviceFeatures: return high_features_ ? 0 : io_read(0x00, 4);
      case QueueNumMax: return io_read(0x0c, 2);
      case QueuePFN: return io_read(0x08, 4);
      case InterruptStatus: return io_read(0x13, 1);
      case Status: return io_read(0x12, 1);
      default: return 0;
    }
  }
  void write_legacy(u32 offset, u64 value) {
    const auto put = [&](u32 at, u32 size) { function_.write_legacy(at, size, value); };
    switch (offset) {
      case DeviceFeaturesSel: high_features_ = value != 0; return;
      case DriverFeaturesSel: high_driver_features_ = value != 0; return;
      case DriverFeatures:
        if (!high_driver_features_) put(0x04, 4);
        return;
      case QueueSel: return put(0x0e, 2);
      case QueuePFN: return put(0x08, 4);
      case QueueNotify: return put(0x10, 2);
      case Status: return put(0x12, 1);
      default: return;
    }
  }

  MessageLine messages_;
  const bool legacy_;
  const u32 id_;
  bool high_features_ = false, high_driver_features_ = false;
  PciTransport function_;
};

}  // namespace armvisor::devices::virtio::testing
