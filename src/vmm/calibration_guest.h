#pragma once
// The guest that armvisor calibrate runs: a bare-metal program of loops, one for each kind of event, each inside a
// mark.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "machine/virt.h"

namespace armvisor::vmm {

inline constexpr u32 k_calibration_base = static_cast<u32>(machine::k_virt.ram.base.value) + 0x10000;
inline constexpr u32 k_calibration_ram = 32u << 20;  ///< that its machine has

/// A loop of the guest. Its mark's name is mark_of(its place in the list).
struct CalibrationLoop {
  std::string_view term;  ///< what it was made to show, as measure::Calibration names it
  bool windowed;          ///< counts in a machine with host-MMU windows, in no other
};
const std::vector<CalibrationLoop>& calibration_loops();
std::string mark_of(std::size_t loop);

/// Its code with those of the loops, by their places in the list, in that order; to be loaded and started at
/// k_calibration_base. It powers the machine off at the end.
std::vector<u32> calibration_guest(std::span<const std::size_t> wanted);

}  // namespace armvisor::vmm
