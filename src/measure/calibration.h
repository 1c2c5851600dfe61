#pragma once
// What each kind of event costs on one host, as armvisor calibrate found it, and the file that keeps it.
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::measure {

struct Cost {
  double ns = 0;      ///< median over the rounds
  double spread = 0;  ///< half the distance of the quartiles, in ns
};

/// Of the costs that are fitted to loads, if any are (fit.h): how well each load is predicted by the others.
struct FitQuality {
  u32 loads = 0;  ///< 0: there was no fit
  double median_error = 0, largest_error = 0;
};

struct Calibration {
  std::string version;  ///< of the program
  std::string host;     ///< vmm::host_name() of the one that the costs are of
  u32 rounds = 0;
  std::map<std::string, Cost> costs;  ///< by counter ("heavy.svc"), "device.NAME", "instruction", or "code.cold"
  FitQuality fit = {};
  std::map<std::string, std::string> not_shown = {};  ///< events that the host cannot have, with what it lacks

  const Cost* find(const std::string& name) const;
};

std::string calibration_json(const Calibration& calibration);
/// `name` is for messages.
Result<Calibration> parse_calibration(const std::string& text, const std::string& name);

/// Median and spread of some measurements.
Cost summarise(std::vector<double> values);

}  // namespace armvisor::measure
