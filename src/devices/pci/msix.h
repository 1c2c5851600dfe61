#pragma once
// MSI-X (PCI Local Bus Specification 3.0 section 6.8.2): messages in place of interrupt lines, one for each vector,
// whose addresses, data and masks are in a table that the guest writes. The table and the bits of pending messages are
// a region of one page.
#include <mutex>
#include <string>
#include <vector>

#include "devices/device.h"

namespace armvisor::devices::pci {

/// Where messages go. (any thread)
class MessageSink {
 public:
  /// A write of 4 bytes by a device.
  virtual void message(GuestPa address, u32 data) = 0;

 protected:
  ~MessageSink() = default;
};

class Msix final : public MmioDevice {
 public:
  static constexpr u32 k_region_size = 0x1000, k_pending_offset = 0x800;
  static constexpr u32 k_max_vectors = k_pending_offset / 16;
  static constexpr u16 k_none = 0xffff;  ///< no vector

  /// At most k_max_vectors.
  Msix(std::string name, u32 vectors, MessageSink& sink) : name_(std::move(name)), sink_(sink), entries_(vectors) {}

  u32 vectors() const { return static_cast<u32>(entries_.size()); }
  /// (any thread) Sends the message of a vector, or remembers it while it is masked. No vector: nothing.
  void notify(u32 vector);
  /// (any thread)
  bool enabled() const;

  // Called by one thread at a time.
  void set_control(bool enabled, bool masked);
  std::string_view name() const override { return name_; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

 private:
  struct Entry {
    u32 words[4] = {0, 0, 0, 1};  ///< address, its upper half, data, control with the mask bit: set at reset
    bool pending = false;
    bool masked() const { return (words[3] & 1) != 0; }
  };
  u32 read_word(u32 offset) const;
  void send_pending(Entry& entry);

  const std::string name_;
  MessageSink& sink_;
  mutable std::mutex mutex_;  // guards what follows; held while a message is sent
  std::vector<Entry> entries_;
  bool enabled_ = false, masked_ = false;
};

}  // namespace armvisor::devices::pci
