#include "base/cgroup_limits.h"

#include <algorithm>
#include <fstream>

namespace armvisor {
namespace {

namespace fs = std::filesystem;

/// Above this a limit of version 1 says that there is none.
constexpr u64 k_no_limit = u64{1} << 60;

/// Nothing: there is no such file, or "max" in it.
std::optional<u64> number_in(const fs::path& path) {
  std::ifstream in(path);
  u64 value = 0;
  if (!(in >> value) || value >= k_no_limit) return std::nullopt;
  return value;
}

/// "QUOTA PERIOD" of version 2, or a file for each.
std::optional<double> quota_of(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream both(group / "cpu.max");
  if (!both.is_open()) {
    std::ifstream first(group / "cpu.cfs_quota_us"), second(group / "cpu.cfs_period_us");
    first >> quota;
    second >> period;
  } else if (!(both >> quota >> period)) {
    return std::nullopt;
  }
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

}  // namespace

CgroupLimits::CgroupLimits(const fs::path& memberships, fs::path root) : root_(std::move(root)) {
  std::ifstream in(memberships);
  for (std::string line; std::getline(in, line);) {  // NUMBER:CONTROLLERS:GROUP
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    memberships_.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
}

std::vector<fs::path> CgroupLimits::groups(const std::string& controller) const {
  std::vector<fs::path> all;
  for (const Membership& m : memberships_) {
    if (!m.controllers.empty() && !has_word(m.controllers, controller)) continue;
    fs::path top = root_;
    if (!m.controllers.empty())
      top /= controller;
    else if (fs::exists(root_ / "unified"))
      top /= "unified";
    for (fs::path group = fs::path(m.group).relative_path();; group = group.parent_path()) {
      all.push_back(top / group);
      if (group.empty()) break;
    }
  }
  return all;
}

std::optional<u64> CgroupLimits::least_left(const std::string& controller, const char* limit, const char* used) const {
  std::optional<u64> least;
  for (const fs::path& group : groups(controller)) {
    const auto most = number_in(group / limit);
    if (!most) continue;
    const u64 left = *most - std::min(number_in(group / used).value_or(0), *most);
    least = std::min(least.value_or(left), left);
  }
  return least;
}

std::optional<u64> CgroupLimits::memory_left() const {
  const auto second = least_left("memory", "memory.max", "memory.current");
  const auto first = least_left("memory", "memory.limit_in_bytes", "memory.usage_in_bytes");
  return second && first ? std::min(second, first) : second ? second : first;
}

std::optional<u64> CgroupLimits::processes_left() const { return least_left("pids", "pids.max", "pids.current"); }

std::optional<double> CgroupLimits::cpus() const {
  std::optional<double> least;
  for (const fs::path& group : groups("cpu"))
    if (const auto quota = quota_of(group)) least = std::min(least.value_or(*quota), *quota);
  return least;
}

}  // namespace armvisor
