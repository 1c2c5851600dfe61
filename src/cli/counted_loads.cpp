#include "cli/counted_loads.h"

#include "base/input_file.h"
#include "measure/stats_file.h"

namespace armvisor::cli {
namespace {
constexpr u64 k_most = u64{64} << 20;
}

Result<std::vector<NamedLoad>> read_loads(const std::string& path) {
  AV_TRY_ASSIGN(const auto bytes, read_file(path, "counters", k_most));
  AV_TRY_ASSIGN(const measure::StatsFile stats, measure::parse_stats({bytes.begin(), bytes.end()}, path));
  std::vector<NamedLoad> out;
  for (const measure::MarkTotal& mark : stats.marks) {
    if (mark.times == 0) continue;
    AV_TRY_ASSIGN(measure::Load load, measure::load_of(mark.total, path + ", mark " + mark.name));
    out.push_back({mark.name, std::move(load)});
  }
  if (!out.empty()) return out;
  AV_TRY_ASSIGN(measure::Load load, measure::load_of(stats.all, path));
  out.push_back({path, std::move(load)});
  return out;
}

}  // namespace armvisor::cli
