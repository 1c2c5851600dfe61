#pragma once
// The virtio over MMIO transport (virtio 1.2 section 4.2): 512 bytes of registers, one interrupt line, one device.
//
// Lock order: a device's own mutex, then a queue's mutex or interrupt_mutex_; the interrupt line is set with
// interrupt_mutex_ held, so that its level always follows InterruptStatus.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/device.h"
#include "devices/device_tree.h"
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

/// Which register layout the device presents: version 2, or the legacy version 1 (4.2.4).
enum class MmioVersion : u32 { Legacy = 1, Modern = 2 };

class MmioTransport final : public MmioDevice, private DeviceHost {
 public:
  static constexpr u64 k_region_size = 0x200;
  static constexpr u32 k_magic = 0x74726976;  ///< MagicValue, "virt"

  /// `label` is what messages call the device; empty: its name, which others of its kind have as well.
  MmioTransport(std::unique_ptr<Device> device, GuestRam& ram, IrqLine& irq, MmioVersion version = MmioVersion::Modern,
                std::string label = {});
  ~MmioTransport() override;

  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return name_; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

  const measure::StepTimes* steps() const override { return &steps_; }

  Device& device() { return *device_; }
  QueueFault queue_fault(u16 index) const { return queues_[index]->fault(); }
  const DeviceCounters& counters() const { return device_->counters(); }

 private:
  /// What a driver has written for one queue.
  struct QueueRegisters {
    QueueLayout layout;
    u32 legacy_align = 0;
    u32 legacy_pfn = 0;
  };

  GuestRam& ram() override { return ram_; }
  Queue& queue(u16 index) override { return *queues_[index]; }
  void used_buffers() override;
  void config_changed() override;
  void needs_reset(u16 queue, QueueFault fault) override;

  u32 read_register(u32 offset);
  void write_register(u32 offset, u32 value);
  void write_queue_register(u32 offset, u32 value);
  void write_driver_features(u32 value);
  void write_status(u32 value);
  void write_queue_ready(u32 value);
  void write_queue_pfn(u32 value);
  void notify(u32 value);
  void activate();
  void reset();
  bool accept_features();
  void raise(u32 bits);
  void acknowledge(u32 bits);
  bool legacy() const { return version_ == MmioVersion::Legacy; }
  bool selected_queue_exists() const { return queue_select_ < queues_.size(); }

  std::unique_ptr<Device> device_;
  DeviceCounters& counters_;   // what the device's threads may need while it is being destroyed
  measure::StepTimes& steps_;  // likewise
  const std::string name_, label_;
  GuestRam& ram_;
  IrqLine& irq_;
  const MmioVersion version_;
  const u64 offered_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<QueueRegisters> queue_registers_;

  std::atomic<u32> status_{0};
  std::atomic<u32> config_generation_{0};
  std::mutex interrupt_mutex_;
  u32 interrupt_status_ = 0;

  bool active_ = false;
  u64 driver_features_ = 0;
  u32 device_features_select_ = 0;
  u32 driver_features_select_ = 0;
  u32 queue_select_ = 0;
  u32 legacy_page_size_ = 0;  ///< survives a reset: drivers write it once, before they reset the device
};

}  // namespace armvisor::devices::virtio
