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

}  // namespace armvisor::devices
