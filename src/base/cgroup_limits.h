#pragma once
// The limits of the control groups that this process is in, of either version of them.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace armvisor {

class CgroupLimits {
 public:
  CgroupLimits() : CgroupLimits("/proc/self/cgroup", "/sys/fs/cgroup") {}
  /// `memberships`: a file as /proc/self/cgroup; `root`: where the groups are.
  CgroupLimits(const std::filesystem::path& memberships, std::filesystem::path root);

  /// Bytes that may still be used; nothing: there is no limit.
  std::optional<u64> memory_left() const;
  /// In CPUs.
  std::optional<double> cpus() const;
  std::optional<u64> processes_left() const;

 private:
  /// The process's own group and all above it, of a controller.
  std::vector<std::filesystem::path> groups(const std::string& controller) const;
  std::optional<u64> least_left(const std::string& controller, const char* limit, const char* used) const;

  struct Membership {
    std::string controllers, group;  ///< no controllers: version 2
  };
  std::vector<Membership> memberships_;
  std::filesystem::path root_;
};

}  // namespace armvisor
