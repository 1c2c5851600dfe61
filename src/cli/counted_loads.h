#pragma once
// Loads from the files that armvisor run --stats=json:FILE writes.
#include <string>
#include <vector>

#include "base/result.h"
#include "measure/cost_model.h"

namespace armvisor::cli {

/// A whole run, or one mark of it.
struct NamedLoad {
  std::string name;
  measure::Load load;
};

/// The marks of a file; without marks the whole run.
Result<std::vector<NamedLoad>> read_loads(const std::string& path);

}  // namespace armvisor::cli
