#pragma once
// Where this host's costs are kept between armvisor calibrate and armvisor model.
#include <string>

#include "base/result.h"
#include "measure/calibration.h"

namespace armvisor::cli {

/// $XDG_CACHE_HOME/armvisor/costs-HOST.json, or in ~/.cache.
Result<std::string> calibration_path();
Status save_calibration(const std::string& path, const measure::Calibration& calibration);
/// Of this host and this version of the program, or an error that says what to do.
Result<measure::Calibration> load_calibration(const std::string& path);

}  // namespace armvisor::cli
