#pragma once
// Measures on this host what each kind of event costs, by running a guest made for it.
#include <functional>

#include "base/result.h"
#include "measure/calibration.h"

namespace armvisor::vmm {

struct CalibrationPlan {
  u32 rounds = 7;                                  ///< machines of each kind; costs are medians over them
  std::string version;                             ///< of the program, for the record
  std::function<void(u32 done, u32 of)> progress;  ///< may be empty
};

/// To be called with signals blocked, as Vm::create.
Result<measure::Calibration> calibrate(const CalibrationPlan& plan);

/// What identifies this host in a calibration: processor, kernel, and features that generated code has to do without.
std::string host_name();

}  // namespace armvisor::vmm
