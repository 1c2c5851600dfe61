#pragma once
// Reads what json_report wrote, by this version of the program or another.
#include <string>
#include <vector>

#include "base/result.h"
#include "measure/marks.h"
#include "measure/snapshot.h"

namespace armvisor::measure {

struct StatsFile {
  Snapshot all;
  std::vector<MarkTotal> marks;
};

/// `name` is for messages. BadInput: not JSON, another format, or other counters than this version's.
Result<StatsFile> parse_stats(const std::string& text, const std::string& name);

}  // namespace armvisor::measure
