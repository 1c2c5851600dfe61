#pragma once
// A PCI function: its configuration space, its regions, its interrupt pin and messages.
//
// Configuration accesses are made by one thread at a time (the host bridge's lock on the bus). Interrupts are raised by
// any thread.
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "devices/device.h"
#include "devices/pci/config_space.h"
#include "devices/pci/msix.h"

namespace armvisor::devices::pci {

/// What a function drives.
struct Wires {
  IrqLine& intx;      ///< INTA#
  MessageSink& sink;  ///< of its messages
};

class Function {
 public:
  struct Bar {
    u32 index;
    BarKind kind;
    u32 size;  ///< bytes, a power of two
    MmioDevice* device;
  };

  Function(const Identity& identity, IrqLine& intx) : config_(identity), intx_(intx) {}
  virtual ~Function() = default;
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  // By the guest: 1, 2 or 4 bytes.
  virtual u32 config_read(u32 offset, u32 size);
  virtual void config_write(u32 offset, u32 size, u32 value);

  ConfigSpace& config() { return config_; }
  std::span<const Bar> bars() const { return bars_; }

 protected:
  void add_bar(const Bar& bar);
  /// With its region as BAR `bar`.
  void add_msix(std::string name, u32 vectors, MessageSink& sink, u32 bar);

  // (any thread)
  void set_intx(bool level);
  bool msix_enabled() const { return msix_ && msix_->enabled(); }
  /// The message of a vector, if the function may be a master of the bus.
  void send_message(u16 vector);
  bool is_master() const { return master_.load(std::memory_order_relaxed); }
  u32 vectors() const { return msix_ ? msix_->vectors() : 0; }

 private:
  void follow_command();

  ConfigSpace config_;
  std::vector<Bar> bars_;
  std::unique_ptr<Msix> msix_;
  u32 msix_offset_ = 0;
  std::atomic<bool> master_{false};

  IrqLine& intx_;
  std::mutex intx_mutex_;  // guards what follows; held while the line is set
  bool intx_level_ = false, intx_disabled_ = false;
};

}  // namespace armvisor::devices::pci
