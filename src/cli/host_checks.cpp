#include "cli/host_checks.h"

#include "engine/engine.h"

namespace armvisor::cli {
namespace {

constexpr HostCheck k_checks[] = {
#define COSTS(name, title, probe, lack, remedy) {#name, title, probes::probe, false, lack, remedy},
#define CANNOT(name, title, probe, lack, remedy) {#name, title, probes::probe, true, lack, remedy},
#include "cli/host_checks.inc"
#undef COSTS
#undef CANNOT
};

/// As generated code sees it, ARMVISOR_HIDE included.
Finding feature(std::string_view name) {
  for (const engine::HostFeature& f : engine::host_features())
    if (f.name == name) return {f.usable, f.usable ? "there" : "not there, or hidden by ARMVISOR_HIDE"};
  return {false, "not known to the engine"};
}

}  // namespace

std::span<const HostCheck> host_checks() { return k_checks; }

namespace probes {
Finding feature_fsgsbase() { return feature("fsgsbase"); }
Finding feature_avx2() { return feature("avx2"); }
Finding feature_fma() { return feature("fma"); }
Finding feature_avx() { return feature("avx"); }
Finding feature_bmi1() { return feature("bmi1"); }
Finding feature_bmi2() { return feature("bmi2"); }
Finding feature_lzcnt() { return feature("abm"); }
Finding feature_sse41() { return feature("sse4_1"); }
}  // namespace probes

}  // namespace armvisor::cli
