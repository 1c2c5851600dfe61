#pragma once
// What transports have in common (virtio 1.2 chapters 2 and 3): status, features and queues of one device. A transport
// maps registers to it, and carries interrupts.
//
// The registers' side is called by one thread at a time. Lock order: a device's own mutex, then a queue's mutex or the
// transport's for interrupts.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

/// By which rules a driver speaks: those of virtio 1, or those before ("legacy interface" in the specification).
enum class Interface { Legacy, Modern };

class Transport : private DeviceHost {
 public:
  virtual ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  Device& device() { return *device_; }
  QueueFault queue_fault(u16 index) const { return queues_[index]->fault(); }
  const DeviceCounters& counters() const { return counters_; }

 protected:
  static constexpr u32 k_vendor_id = 0x41564d41;  ///< "AMVA", where a transport asks for one

  // Bits of the interrupt status, the same for all (4.2.2, 4.1.4.5).
  static constexpr u32 k_interrupt_used = 1;
  static constexpr u32 k_interrupt_config = 2;

  /// What a driver has written for one queue.
  struct QueueRegisters {
    QueueLayout layout;
    u32 legacy_align = 0;
    u32 legacy_pfn = 0;
  };

  /// `label` is what messages call the device; empty: its name, which others of its kind have as well.
  Transport(std::unique_ptr<Device> device, GuestRam& ram, std::string label);
  /// Of the derived class's destructor: ends the device's threads while the transport can still be called.
  void end_device() { device_.reset(); }

  // Interrupts, from any thread.
  virtual void raise_used(u16 queue) = 0;
  virtual void raise_config() = 0;
  /// At a reset: none is pending any more.
  virtual void drop_interrupts() = 0;

  const std::string& device_name() const { return name_; }
  const measure::StepTimes& step_times() const { return steps_; }
  measure::StepTimes& step_times() { return steps_; }
  DeviceCounters& mutable_counters() { return counters_; }

  u64 offered(Interface interface) const;
  u32 offered_half(Interface interface, u32 select) const;
  u32 driver_half(u32 select) const;
  void write_driver_features(Interface interface, u32 select, u32 value);

  u32 status() const { return status_.load(); }
  void write_status(Interface interface, u32 value);

  u32 config_generation() const { return config_generation_.load(); }
  void read_config(u32 offset, std::span<u8> out) { device_->read_config(offset, out); }
  void write_config(u32 offset, std::span<const u8> in) { device_->write_config(offset, in); }

  std::size_t queue_count() const { return queues_.size(); }
  /// Of a queue that there is.
  QueueRegisters& registers_of(u32 index) { return queue_registers_[index]; }
  const Queue& queue_at(u32 index) const { return *queues_[index]; }
  void enable_queue(u32 index);
  void disable_queue(u32 index) { queues_[index]->disable(); }
  /// 2.7.2, the legacy layout: descriptors at page `pfn`, available ring behind, then the used ring at the next
  /// legacy_align.
  void place_legacy_queue(u32 index, u32 pfn, u32 page_size);
  void notify(Interface interface, u32 queue);

  static void set_low(GuestPa& pa, u32 low) { pa = GuestPa((pa.value & ~u64{0xffffffff}) | low); }
  static void set_high(GuestPa& pa, u32 high) { pa = GuestPa((pa.value & 0xffffffff) | (u64{high} << 32)); }

  u32 queue_select_ = 0, device_features_select_ = 0, driver_features_select_ = 0;
  bool selected_queue_exists() const { return queue_select_ < queues_.size(); }

 private:
  GuestRam& ram() final { return ram_; }
  Queue& queue(u16 index) final { return *queues_[index]; }
  void used_buffers(u16 queue) final;
  void config_changed() final;
  void needs_reset(u16 queue, QueueFault fault) final;

  bool accept_features();
  void activate();
  void reset();

  std::unique_ptr<Device> device_;
  DeviceCounters& counters_;   // what the device's threads may need while it is being destroyed
  measure::StepTimes& steps_;  // likewise
  const std::string name_, label_;
  GuestRam& ram_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<QueueRegisters> queue_registers_;
  std::atomic<u32> status_{0};
  std::atomic<u32> config_generation_{0};
  bool active_ = false;
  u64 driver_features_ = 0;
};

}  // namespace armvisor::devices::virtio
