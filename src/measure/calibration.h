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

struct Calibration {
  std::string version;  ///< of the program
  std::string host;     ///< its processor and kernel: the costs are of this host
  u32 rounds = 0;
  std::map<std::string, Cost> costs;  ///< by counter ("heavy.svc"), "device.NAME", or "instruction"

  const Cost* find(const std::string& name) const;
};

std::string calibration_json(const Calibration& calibration);
/// `name` is for messages.
Result<Calibration> parse_calibration(const std::string& text, const std::string& name);

/// Median and spread of some measurements.
Cost summarise(std::vector<double> values);

}  // namespace armvisor::measure
