#pragma once
// Counters for people and for programs.
#include <string>
#include <vector>

#include "measure/marks.h"
#include "measure/snapshot.h"

namespace armvisor::measure {

/// Lines by group; rows that are 0 are left out.
std::string text_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks);
/// One object on one line; all counters, zeros included (docs/virtualization.md has its form).
std::string json_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks);

}  // namespace armvisor::measure
