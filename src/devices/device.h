#pragma once
// What a device knows: its registers, its interrupt line, its clock, and guest memory for DMA. Nothing else.
#include <string_view>

#include "base/types.h"
#include "measure/steps.h"

namespace armvisor::devices {

/// Memory-mapped registers. Calls for one device are serialised by the bus (a lock per device): a device needs no
/// lock for its registers, only for what its own worker threads share with them. `offset` + `size` never exceeds the
/// region. Sizes are 1, 2, 4, 8; a size the device does not implement reads as 0 and ignores writes.
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  virtual std::string_view name() const = 0;
  virtual u64 mmio_read(u64 offset, u32 size) = 0;
  virtual void mmio_write(u64 offset, u32 size, u64 value) = 0;
  /// (any thread) How long its requests took, if it has any.
  virtual const measure::StepTimes* steps() const { return nullptr; }
};

/// An interrupt output, level-sensitive. (any thread)
class IrqLine {
 public:
  virtual ~IrqLine() = default;
  virtual void set(bool level) = 0;
};

/// A register of the identification that ends each PrimeCell's 4 KiB (ARM DDI 0183, DDI 0190, DDI 0224: PeriphID and
/// PCellID), which has a byte in each word; 0: it is none of these.
inline u32 primecell_id(const u8 (&bytes)[8], u64 offset) {
  constexpr u64 k_first = 0xfe0, k_end = 0x1000;
  return offset >= k_first && offset < k_end && offset % 4 == 0 ? bytes[(offset - k_first) / 4] : 0;
}

}  // namespace armvisor::devices
