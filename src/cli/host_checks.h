#pragma once
// What of this host matters to machines, as host_checks.inc lists it.
#include <span>
#include <string>
#include <string_view>

namespace armvisor::cli {

struct Finding {
  bool fine = false;
  std::string found;
};

struct HostCheck {
  std::string_view name, title;
  Finding (*probe)();
  bool prevents;  ///< something cannot be done where it is lacking; else it costs something
  std::string_view lack, remedy;
};

/// The last of them is "machine": whether a machine runs here.
std::span<const HostCheck> host_checks();

#define COSTS(name, title, probe, lack, remedy) Finding probe();
#define CANNOT(name, title, probe, lack, remedy) Finding probe();
namespace probes {
#include "cli/host_checks.inc"
}
#undef COSTS
#undef CANNOT

}  // namespace armvisor::cli
